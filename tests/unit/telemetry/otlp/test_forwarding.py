"""What is kept goes on; what the other side does to it is counted, and nobody waits for it."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from outgrow.errors import SettingValueError
from outgrow.telemetry.otlp import forwarding
from outgrow.telemetry.otlp.forwarding import ForwardCounts, Forwarder
from outgrow.telemetry.otlp.replies import success
from outgrow.telemetry.otlp.sending import ForwardTarget, retry_seconds
from outgrow.telemetry.records import LogRecord, MetricPoint, SpanRecord
from tests.unit.telemetry.otlp.elsewhere import Elsewhere, elsewhere, wait_for

LINE = LogRecord(at_ns=9, severity=9, text="x", service="shop")


def spans(count: int) -> list[SpanRecord]:
    return [
        SpanRecord(
            *(b"t" * 16, number.to_bytes(8, "big"), b"", "GET /", 2, 10, 5, 0, ""),
            service="shop",
            worker="front/1",
            kept_for="slow",
            attributes={"n": number},
        )
        for number in range(1, count + 1)
    ]


def forwarder_to(there: Elsewhere, **options: object) -> Forwarder:
    found = Forwarder(
        ForwardTarget(url=there.url, headers={"x-key": "secret"}),
        chance=lambda: 0.5,
        back_off_seconds=0.01,
        **options,  # pyright: ignore[reportArgumentType]
    )
    found.start()
    return found


def test_spans_and_logs_arrive_equal_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "GATHER_SECONDS", 0.01)
    sent = spans(2500)
    with elsewhere() as there:
        forwarder = forwarder_to(there)
        forwarder.kept(sent, [LINE])
        wait_for(lambda: sum(forwarder.counts().sent.values()) == 2501)
        forwarder.stop()
    assert not forwarder.is_alive()
    assert [span for one in there.got for span in one.spans] == sent
    assert [line for one in there.got for line in one.logs] == [LINE]
    assert {headers["x-key"] for headers in there.headers} == {"secret"}
    assert there.headers[0]["content-encoding"] == "gzip"
    assert forwarder.counts() == ForwardCounts(
        sent={"traces": 2500, "logs": 1},
        dropped={"traces": 0, "logs": 0},
        refused={"traces": 0, "logs": 0},
        failed=0,
        waiting=0,
        problem="",
    )


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_work_later_is_tried_again(status: int) -> None:
    answers = [(status, {}, b""), (status, {"retry-after": "0"}, b"")]
    with elsewhere(answers) as there:
        forwarder = forwarder_to(there)
        forwarder.kept(spans(1000), [])
        there.wait_for(3)
        wait_for(lambda: forwarder.counts().sent.get("traces") == 1000)
        forwarder.stop()
    assert forwarder.counts().failed == 2
    assert forwarder.counts().problem == ""
    assert len(there.got) == 1, "nothing comes twice"


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500, 302])
def test_what_is_refused_is_counted_and_not_tried_again(status: int) -> None:
    with elsewhere([(status, {"location": "http://127.0.0.1:9/"}, b"")]) as there:
        forwarder = forwarder_to(there)
        forwarder.kept(spans(1000), [])
        wait_for(lambda: forwarder.counts().refused.get("traces") == 1000)
        assert str(status) in forwarder.counts().problem
        forwarder.stop()
    assert len(there.headers) == 1
    assert forwarder.counts().sent.get("traces", 0) == 0


def test_a_partial_success_is_counted_as_such() -> None:
    with elsewhere([(200, {}, success("traces", "protobuf", 30, "names"))]) as there:
        forwarder = forwarder_to(there)
        forwarder.kept(spans(1000), [])
        wait_for(lambda: forwarder.counts().refused.get("traces") == 30)
        forwarder.stop()
    assert forwarder.counts().sent["traces"] == 970


def test_retry_after_is_heeded() -> None:
    with elsewhere([(503, {"retry-after": "1"}, b"")]) as there:
        forwarder = forwarder_to(there)
        began = time.monotonic()
        forwarder.kept(spans(1000), [])
        there.wait_for(2)
        assert time.monotonic() - began >= 1
        forwarder.stop()


def test_while_the_other_side_is_silent_what_waits_is_bounded_and_nobody_else_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forwarding, "WAITING_MAX", 1500)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        forwarder = Forwarder(ForwardTarget(url=url))
        forwarder.start()
        for _ in range(5):
            forwarder.kept(spans(1000), [])
        counts = forwarder.counts()
        assert counts.waiting <= 1500
        assert 2500 <= counts.dropped["traces"] <= 3500
        forwarder.stop(0.1)
    # Its socket is closed now, so the thread ends: that try fails, and there is no other.
    forwarder.join(10)
    assert not forwarder.is_alive()
    assert sum(forwarder.counts().dropped.values()) == 5000


def test_stopping_sends_what_waits() -> None:
    with elsewhere() as there:
        forwarder = forwarder_to(there)
        forwarder.kept(spans(3), [LINE])
        forwarder.stop()
        assert not forwarder.is_alive()
    assert sum(one.items for one in there.got) == 4


def test_metrics_are_measured_and_sent_now_and_then() -> None:
    point = MetricPoint("requests", "sum", 5, 3.0, "", "shop", {"route": "/"}, 1)
    with elsewhere() as there:
        forwarder = forwarder_to(there, measure=lambda: [point], measure_seconds=0.01)
        there.wait_for(3)
        forwarder.stop()
    assert there.got[0].points == [point]


def test_a_measure_that_fails_does_not_end_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    asked = threading.Event()

    def fails() -> list[MetricPoint]:
        asked.set()
        raise ValueError("no")

    with elsewhere() as there:
        forwarder = forwarder_to(there, measure=fails, measure_seconds=0.01)
        assert asked.wait(10)
        forwarder.kept(spans(1000), [])
        there.wait_for(1)
        forwarder.stop()
    assert "could not be read" in caplog.text


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("7", 7.0),
        ("99999", 300.0),
        ("soon", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2215 07:28:00 GMT", 300.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_seconds(header) == seconds


@pytest.mark.parametrize(
    "url",
    ["localhost:4318", "ftp://a/", "http://", "http://a:99999", "http://a/?x=1", "http://u:p@a/"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(SettingValueError):
        ForwardTarget(url=url)


@pytest.mark.parametrize("headers", [{"a b": "x"}, {"a": "x\r\ny: z"}, {"": "x"}])
def test_headers_that_cannot_be_sent_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(SettingValueError):
        ForwardTarget(url="http://a", headers=headers)


def test_secrets_in_headers_are_not_shown() -> None:
    target = ForwardTarget(url="http://a", headers={"authorization": "Bearer hidden"})
    assert "hidden" not in repr(target)
