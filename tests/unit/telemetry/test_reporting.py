"""A reporter tells an observer all, and waits for none."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import trustme

from outgrow.telemetry import (
    LogRecord,
    ObserverAddress,
    Origin,
    Report,
    Reporter,
    ReportServer,
    RouteTotals,
    reporting,
)

WAIT_SECONDS = 10.0
ORIGIN = Origin(app="shop", worker="front/1", epoch="e1")


class Source:
    """What a worker counts: one more of each route with each report."""

    def __init__(self) -> None:
        self.asked: list[tuple[bool, bool]] = []
        self.wanted: list[bytes] = []
        self.logs: list[LogRecord] = []
        self.problem: Exception | None = None

    def collect(self, *, is_whole: bool, is_last: bool) -> Report:
        self.asked.append((is_whole, is_last))
        if self.problem is not None:
            raise self.problem
        count = len(self.asked)
        return Report(0, 0, routes=[RouteTotals("GET", "/", calls=count)], logs=list(self.logs))

    def want(self, trace_ids: Sequence[bytes]) -> None:
        self.wanted += trace_ids


class Heard:
    """What the observer was told."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.greetings = 0
        self.ends = 0

    def hear(self, origin: Origin) -> None:
        self.greetings += 1

    def take(self, origin: Origin, report: Report) -> None:
        self.reports.append(report)

    def left(self, origin: Origin) -> None:
        self.ends += 1


class Observer:
    """A report server on a loop of its own thread."""

    def __init__(self, heard: Heard, *, token: str = "") -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        self.server = ReportServer(heard, token=token)

    def run(self, work: object) -> object:
        future = asyncio.run_coroutine_threadsafe(work, self.loop)  # type: ignore[arg-type]
        return future.result(WAIT_SECONDS)

    def close(self) -> None:
        self.run(self.server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


def until(condition: Callable[[], object], what: str) -> None:
    give_up = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < give_up, f"waited for {what}"
        threading.Event().wait(0.002)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def reporter(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reporter]:
    """One that reports every 20 ms to an observer that may come, and may not."""
    monkeypatch.setattr(reporting, "PAUSES_SECONDS", (0.02,))
    address = ObserverAddress(path=str(tmp_path / "observer"))
    made = Reporter(address, ORIGIN, source.collect, source.want, every_seconds=0.02)
    yield made
    made.stop()
    if made.ident is not None:
        made.join(WAIT_SECONDS)
    made.abandon()


def observer_at(path: Path, heard: Heard, token: str = "") -> Observer:
    made = Observer(heard, token=token)
    made.run(made.server.listen(path))
    return made


def test_reports_come_one_after_the_other_and_the_last_says_so(
    reporter: Reporter, source: Source, heard: Heard, tmp_path: Path
) -> None:
    observer = observer_at(tmp_path / "observer", heard)
    reporter.start()
    until(lambda: len(heard.reports) > 3, "reports")
    assert reporter.stop()
    until(lambda: heard.ends, "the end")
    observer.close()
    assert [each.number for each in heard.reports] == list(range(1, len(heard.reports) + 1))
    assert [each.is_last for each in heard.reports[-2:]] == [False, True]
    assert source.asked[0] == (True, False)
    assert source.asked[1] == (False, False)
    assert source.asked[-1] == (True, True)


def test_nothing_is_collected_while_nobody_hears(reporter: Reporter, source: Source) -> None:
    reporter.start()
    until(reporter.is_alive, "the thread")
    began = time.monotonic()
    assert not reporter.stop()
    assert time.monotonic() - began < 5
    assert source.asked == []


def test_all_is_told_again_to_an_observer_that_comes_back(
    reporter: Reporter, source: Source, heard: Heard, tmp_path: Path
) -> None:
    reporter.start()
    for times in range(1, 4):
        observer = observer_at(tmp_path / "observer", heard)
        until(lambda times=times: heard.greetings == times, "a greeting")
        before = len(heard.reports)
        until(lambda before=before: len(heard.reports) > before + 1, "reports")
        observer.close()
    assert sum(is_whole for is_whole, _ in source.asked) == 3
    numbers = [each.number for each in heard.reports]
    assert numbers == sorted(set(numbers))


def test_an_observer_that_hangs_keeps_one_message_waiting_and_no_more(
    reporter: Reporter, source: Source, tmp_path: Path
) -> None:
    source.logs = [LogRecord(0, 9, "x" * 4000)] * 2000
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "observer"))
        server.listen()
        reporter.start()
        connection, _ = server.accept()
        connection.sendall(reporting.frame_of(reporting.Welcome()))
        until(lambda: source.asked, "the first report")
        threading.Event().wait(0.2)  # ten times as long as from one report to the next
        assert len(source.asked) == 1
        began = time.monotonic()
        assert not reporter.stop()
        assert time.monotonic() - began < 5
        reporter.join(WAIT_SECONDS)
        assert not reporter.is_alive()
        connection.close()


def test_what_was_half_sent_is_sent_again_whole(
    reporter: Reporter, source: Source, heard: Heard, tmp_path: Path
) -> None:
    source.logs = [LogRecord(0, 9, "x" * 4000)] * 500
    path = tmp_path / "observer"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        reporter.start()
        connection, _ = server.accept()
        connection.sendall(reporting.frame_of(reporting.Welcome()))
        until(lambda: source.asked, "the first report")
        connection.recv(100_000)
        connection.close()
        path.unlink()
    observer = observer_at(path, heard)
    until(lambda: len(heard.reports) > 1, "reports")
    observer.close()
    assert heard.reports[0].number == 1
    assert len(heard.reports[0].logs) == 500


def test_a_report_that_is_too_long_is_sent_in_parts(
    reporter: Reporter,
    source: Source,
    heard: Heard,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reporting, "REPORT_BYTES_MAX", 10_000)
    source.logs = [LogRecord(number, 9, "x" * 1000) for number in range(50)]
    observer = observer_at(tmp_path / "observer", heard)
    reporter.start()
    until(lambda: sum(len(each.logs) for each in heard.reports) >= 50, "all logs")
    reporter.stop()
    observer.close()
    assert [log.at_ns for each in heard.reports for log in each.logs][:50] == list(range(50))
    assert [each.number for each in heard.reports] == list(range(1, len(heard.reports) + 1))
    assert [each.is_last for each in heard.reports].count(True) <= 1


def test_what_the_observer_wants_is_passed_on(
    reporter: Reporter, source: Source, heard: Heard, tmp_path: Path
) -> None:
    observer = observer_at(tmp_path / "observer", heard)
    reporter.start()
    until(lambda: heard.reports, "a report")
    observer.loop.call_soon_threadsafe(observer.server.ask, [b"t" * 16])
    until(lambda: source.wanted == [b"t" * 16], "the wish")
    observer.close()


def test_a_fault_of_ours_is_said_once_and_kills_nobody(
    reporter: Reporter,
    source: Source,
    heard: Heard,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    source.problem = ValueError("broken")
    observer = observer_at(tmp_path / "observer", heard)
    reporter.start()
    until(lambda: len(source.asked) > 2, "three tries")
    assert reporter.is_alive()
    source.problem = None
    until(lambda: heard.reports, "a report")
    observer.close()
    assert caplog.text.count("ValueError('broken')") == 1


def test_a_refusal_is_said(
    reporter: Reporter, heard: Heard, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    observer = observer_at(tmp_path / "observer", heard, token="secret")
    reporter.start()
    until(lambda: "refuses this worker" in caplog.text, "the warning")
    observer.close()
    assert "Give both the same token" in caplog.text


def test_an_observer_far_away_that_cannot_be_reached_is_named_once(
    source: Source, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reporting, "PAUSES_SECONDS", (0.01,))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = ObserverAddress(host="127.0.0.1", port=port, token="secret")
    reporter = Reporter(address, ORIGIN, source.collect, source.want)
    reporter.start()
    until(lambda: f"tls:127.0.0.1:{port}" in caplog.text, "the warning")
    reporter.stop()
    reporter.join(WAIT_SECONDS)
    reporter.abandon()
    assert caplog.text.count("cannot report") == 1
    assert "secret" not in caplog.text


def test_reports_cross_over_tls(source: Source, heard: Heard, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    observer = Observer(heard, token="secret")
    port = observer.run(observer.server.listen_tls("localhost", 0, context))
    assert isinstance(port, int)
    address = ObserverAddress(
        host="localhost", port=port, token="secret", authority=str(tmp_path / "ca.pem")
    )
    source.logs = [LogRecord(0, 9, "x" * 4000)] * 500
    reporter = Reporter(address, ORIGIN, source.collect, source.want, every_seconds=0.02)
    reporter.start()
    until(lambda: len(heard.reports) > 2, "reports")
    observer.loop.call_soon_threadsafe(observer.server.ask, [b"t" * 16])
    until(lambda: source.wanted, "the wish")
    assert reporter.stop(WAIT_SECONDS)
    until(lambda: heard.ends, "the end")
    observer.close()
    reporter.abandon()
    assert heard.reports[-1].is_last


def test_a_fork_does_not_keep_the_connection_open(
    reporter: Reporter, heard: Heard, tmp_path: Path
) -> None:
    observer = observer_at(tmp_path / "observer", heard)
    reporter.start()
    until(lambda: heard.reports, "a report")
    ending, end = os.pipe()
    child = os.fork()
    if not child:
        os.close(end)
        os.read(ending, 1)  # until the parent closes its end
        os._exit(0)
    reporter.stop()
    until(lambda: heard.ends, "the end, though the child lives")
    os.close(end)
    os.close(ending)
    os.waitpid(child, 0)
    observer.close()
