"""The archive at work: its thread, what it passes on, and how it is reached."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from outgrow import telemetry
from outgrow.telemetry import Archive, LogSearch, MetricPoint, TraceSearch
from tests.unit.telemetry.archive.telling import (
    EVER,
    Clock,
    Teller,
    ledger,
    line,
    opened,
    span,
    told,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from outgrow.dashboard.source import Source
    from outgrow.telemetry import LogRecord, SpanRecord


def test_the_door_brings_no_database_until_the_archive_is_asked_for() -> None:
    code = (
        "import sys; from outgrow import telemetry; telemetry.CallSum; "
        "print('duckdb' in sys.modules); telemetry.Archive; print('duckdb' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]
    with pytest.raises(AttributeError, match="no attribute 'Archiv'"):
        _ = telemetry.Archiv


def test_an_archive_is_what_the_dashboard_asks(tmp_path: Path) -> None:
    archive = opened(tmp_path, Clock())
    source: Source = archive
    assert source.calls(*EVER) == []
    assert source.traces(TraceSearch(), *EVER) == []
    archive.close()


def test_it_writes_by_itself_and_all_of_it_when_it_is_closed(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.start()
    archive.keep(spans=[span(1, time.time_ns())])
    until(lambda: len(archive.trace((1).to_bytes(16, "big"))[0]) == 1)
    clock = Clock(time.time_ns())
    teller = Teller(clock, began_at_ns=clock.now_ns)
    teller.work(5)
    archive.take(teller.origin, teller.report())
    archive.close()
    archive.close()
    again = Archive(tmp_path)
    assert told(again) == ledger(5)
    again.close()


def test_it_can_be_told_and_asked_from_many_threads(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.start()
    clock = Clock(time.time_ns())
    tellers = [Teller(clock, worker=f"w/{n}", epoch=f"e{n}", began_at_ns=1) for n in range(4)]
    wrong: list[BaseException] = []

    def tell(teller: Teller) -> None:
        try:
            for _ in range(30):
                teller.work(3)
                archive.take(teller.origin, teller.report(spans=[span(1, time.time_ns())]))
        except BaseException as error:
            wrong.append(error)

    def ask() -> None:
        try:
            for _ in range(5):
                calls = told(archive)
                assert calls["calls"] % 3 == 0, calls
                archive.workers(*EVER)
                archive.traces(TraceSearch(), *EVER)
                archive.write(is_all=True)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=tell, args=(teller,)) for teller in tellers]
    threads += [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert told(archive) == ledger(360)
    archive.close()


def test_what_is_kept_is_passed_on_and_errors_of_that_disturb_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, passed = Clock(), list[tuple[int, int]]()

    def pass_on(spans: object, logs: object) -> None:
        passed.append((len(spans), len(logs)))  # pyright: ignore[reportArgumentType]
        if len(passed) == 3:
            raise OSError("no way there")

    archive, teller = opened(tmp_path, clock, on_kept=pass_on), Teller(clock)
    archive.take(teller.origin, teller.report())
    archive.take(teller.origin, teller.report(spans=[span(1, clock.now_ns)]))
    archive.keep(spans=[span(2, clock.now_ns)], logs=[line("x", clock.now_ns)])
    archive.keep(logs=[line("y", clock.now_ns)])
    assert passed == [(1, 0), (1, 1), (0, 1)]
    assert "could not be passed on" in caplog.text
    archive.close()


def test_where_counts_alone_are_kept_spans_and_lines_are_passed_on_and_points_stay(
    tmp_path: Path,
) -> None:
    clock, passed = Clock(), list[str]()

    def pass_on(spans: Sequence[SpanRecord], logs: Sequence[LogRecord]) -> None:
        passed.extend([f"{one.service} {one.worker}" for one in (*spans, *logs)])

    archive = opened(tmp_path, clock, keeps_records=False, on_kept=pass_on)
    teller = Teller(clock)
    teller.work(7)
    told_of = {"spans": [span(1, clock.now_ns)], "logs": [line("x", clock.now_ns)]}
    archive.take(teller.origin, teller.report(**told_of))
    point = MetricPoint("queue.depth", "gauge", clock.now_ns, 3.0)
    archive.keep(spans=[span(2, clock.now_ns, service="depot")], points=[point])
    archive.write(is_all=True)
    assert passed == ["shop front/1", "shop front/1", "depot "]
    assert archive.traces(TraceSearch(), *EVER) == []
    assert archive.logs(LogSearch(), *EVER) == []
    assert told(archive) == ledger(7)
    assert archive.metric("queue.depth", *EVER, 10) == [point]
    assert archive.lost(*EVER) == {}
    archive.close()


def test_spans_and_lines_of_a_worker_carry_its_name(tmp_path: Path) -> None:
    clock = Clock()
    archive, teller = opened(tmp_path, clock), Teller(clock)
    lines = [line("x", clock.now_ns, trace_id=(1).to_bytes(16, "big"))]
    archive.take(teller.origin, teller.report(spans=[span(1, clock.now_ns)], logs=lines))
    archive.write()
    (one,), (said,) = archive.trace((1).to_bytes(16, "big"))
    assert (one.worker, one.service) == (said.worker, said.service) == ("front/1", "shop")
    archive.close()


def test_statements_are_told_with_their_text_after_a_restart_as_well(tmp_path: Path) -> None:
    clock = Clock()
    archive, teller = opened(tmp_path, clock), Teller(clock)
    teller.work(2)
    archive.take(teller.origin, teller.report())
    for _ in range(2):
        (statement,) = archive.statements(*EVER)
        assert (statement.text, statement.reads, statement.writes) == ("SELECT tea", ["tea"], [])
        assert statement.per_parent == {1: 2}
        archive.close()
        archive = opened(tmp_path, clock)
    archive.close()


def test_statements_are_told_by_window(tmp_path: Path) -> None:
    clock = Clock()
    archive, teller = opened(tmp_path, clock), Teller(clock)
    for _ in range(3):
        teller.work(2)
        archive.take(teller.origin, teller.report())
        clock.pass_seconds(20)
    archive.write(is_all=True)
    (whole,) = archive.statements(*EVER)
    steps = archive.statement_steps([whole.fingerprint], *EVER, 10 * 10**9)
    assert len(steps) == 3
    parts = [one for several in steps.values() for one in several]
    assert {one.text for one in parts} == {whole.text}
    assert sum(one.calls for one in parts) == whole.calls
    assert archive.statement_steps([], *EVER, 10 * 10**9) == {}
    archive.close()


def test_it_says_since_when_it_counts(tmp_path: Path) -> None:
    clock = Clock()
    archive, teller = opened(tmp_path, clock), Teller(clock)
    assert archive.began_ns() == clock.now_ns
    teller.work(1)
    archive.take(teller.origin, teller.report())
    began_ns = clock.now_ns
    clock.pass_seconds(3600)
    assert archive.began_ns() == began_ns
    archive.write(is_all=True)
    assert archive.began_ns() == began_ns
    archive.close()
