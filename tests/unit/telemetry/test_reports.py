"""What workers and the observer say crosses whole, in any pieces, and nothing else is taken."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgrow.telemetry import LogRecord, Origin, Report, RouteTotals, SpanRecord
from outgrow.telemetry.records import Wanted
from outgrow.telemetry.reports import (
    HELLO_BYTES_MAX,
    FrameError,
    Hello,
    ObserverAddress,
    Refused,
    Welcome,
    frame_of,
    from_worker,
    halves_of,
    to_worker,
)

ORIGIN = Origin(app="shop", worker="front/1", epoch="e1", labels={"commit": "abc"})


def report(count: int = 3) -> Report:
    spans = [SpanRecord(b"t" * 16, bytes([n] * 8), b"", "GET /", 2, 1, 2) for n in range(count)]
    logs = [LogRecord(n, 9, f"line {n}") for n in range(count)]
    routes = [RouteTotals("GET", f"/{n}", calls=n, buckets={3: n}) for n in range(count)]
    return Report(7, 99, is_last=True, routes=routes, spans=spans, logs=logs, lost={"logs": 2})


@pytest.mark.parametrize("size", [1, 3, 1000], ids=["byte by byte", "in threes", "at once"])
def test_messages_cross_in_any_pieces(size: int) -> None:
    said = [Hello(1, ORIGIN, "secret"), report(), report(0)]
    sent = b"".join(frame_of(each) for each in said)
    reader = from_worker()
    found = [
        message
        for start in range(0, len(sent), size)
        for message in reader.read(sent[start : start + size])
    ]
    assert found == said
    assert reader.kept_bytes == 0


def test_what_the_observer_says_crosses_too() -> None:
    said = [Welcome(), Wanted([b"t" * 16]), Refused("no", "try again")]
    assert list(to_worker().read(b"".join(frame_of(each) for each in said))) == said


def test_a_message_that_is_too_long_is_refused_by_its_first_bytes() -> None:
    with pytest.raises(FrameError, match="over the limit"):
        list(from_worker().read(struct.pack(">I", HELLO_BYTES_MAX + 1)))


@given(st.binary(max_size=200))
def test_nonsense_is_refused_or_waited_for(sent: bytes) -> None:
    reader = from_worker()
    try:
        for message in reader.read(sent):
            assert isinstance(message, Hello | Report)
    except FrameError:
        return
    assert reader.kept_bytes <= len(sent)


@given(st.binary(max_size=100))
def test_nonsense_of_the_right_length_is_refused(body: bytes) -> None:
    with pytest.raises(FrameError, match="no message of ours"):
        list(from_worker().read(struct.pack(">I", len(body)) + body))


def test_the_halves_of_a_report_say_together_what_it_says() -> None:
    whole = report(5)
    halves = halves_of(whole)
    assert halves is not None
    first, second = halves
    assert not first.is_last
    assert second.is_last
    for name in ("routes", "spans", "logs"):
        assert [*getattr(first, name), *getattr(second, name)] == getattr(whole, name)
    assert halves_of(report(1)) is None


def test_an_address_is_shown_without_its_token() -> None:
    assert str(ObserverAddress(path="/run/observer")) == "unix:/run/observer"
    shown = str(ObserverAddress(host="watch.example", port=7000, token="secret"))
    assert shown == "tls:watch.example:7000"
