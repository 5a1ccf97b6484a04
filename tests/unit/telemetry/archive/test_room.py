"""Disk and memory have limits: what is too much goes, the oldest first, and is counted."""

from __future__ import annotations

import os
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from outgrow.telemetry import LogSearch, MetricPoint, RouteTotals, TraceSearch
from outgrow.telemetry.archive import kinds, slots, totals
from outgrow.telemetry.archive.waiting import Waiting
from outgrow.telemetry.records import Report, StationTotals
from tests.unit.telemetry.archive.telling import (
    DAY_NS,
    EVER,
    SECOND_NS,
    Clock,
    Teller,
    ledger,
    line,
    opened,
    span,
    told,
)

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1024**2
# A million names in the long form; else far fewer, against a twentieth of the limits.
LONG = os.environ.get("OUTGROW_FAULTS") == "long"
SHARE = 1 if LONG else 20
TURNS = 100 if LONG else 30


def folder_bytes(folder: Path) -> int:
    """What the folder takes."""
    return sum(path.stat().st_size for path in folder.iterdir())


def test_days_that_are_too_old_are_deleted(tmp_path: Path, clock: Clock) -> None:
    archive, teller = opened(tmp_path, clock, days_max=3), Teller(clock)
    for _ in range(6):
        teller.work(2)
        archive.take(teller.origin, teller.report())
        archive.write(is_all=True)
        archive.trim()
        clock.pass_seconds(86_400)
    assert archive.health().days == ["2026-11-27", "2026-11-28", "2026-11-29"]
    assert told(archive)["calls"] == 6
    assert archive.began_ns() // DAY_NS == clock.now_ns // DAY_NS - 3
    archive.close()


def test_records_of_days_that_are_not_kept_are_dropped_and_counted(
    tmp_path: Path, clock: Clock
) -> None:
    archive = opened(tmp_path, clock, days_max=3)
    for days in (-400, -3, -2, 0, 1, 2, 9000):
        archive.keep(spans=[span(days % 10_000, clock.now_ns + days * DAY_NS)])
    archive.write()
    assert archive.health().dropped == {"spans of another time": 4}
    assert archive.health().days == ["2026-11-22", "2026-11-24", "2026-11-25"]
    archive.close()


def test_the_oldest_days_go_when_all_are_too_much(tmp_path: Path, clock: Clock) -> None:
    archive = opened(tmp_path, clock, days_max=30, bytes_max=20 * MIB)
    for day in range(6):
        archive.keep(logs=[line(os.urandom(4000).hex(), clock.now_ns) for _ in range(600)])
        archive.mark(clock.now_ns, "deploy", str(day))
        archive.write()
        archive.trim()
        assert folder_bytes(tmp_path) <= 20 * MIB
        clock.pass_seconds(86_400)
    assert 1 < len(archive.health().days) < 6
    assert archive.health().days[-1] == "2026-11-29"
    assert archive.health().kept_bytes <= 20 * MIB
    archive.close()


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_a_day_that_is_too_much_alone_loses_its_older_half_and_keeps_its_counts(
    tmp_path: Path, clock: Clock
) -> None:
    archive, teller = opened(tmp_path, clock, bytes_max=24 * MIB), Teller(clock)
    most = 0
    for _ in range(24):
        teller.work(2)
        logs = [line(os.urandom(4000).hex(), clock.now_ns + n) for n in range(300)]
        archive.take(teller.origin, teller.report(logs=logs))
        clock.pass_seconds(10)
        archive.write()
        archive.trim()
        most = max(most, folder_bytes(tmp_path))
    # Ten times as much was told.
    assert most <= 24 * MIB
    found = archive.logs(LogSearch(limit=10_000), *EVER)
    assert found[0].at_ns >= clock.now_ns - 10 * SECOND_NS
    assert 300 < len(found) < 24 * 300
    assert told(archive) == ledger(teller.calls)
    archive.close()


def test_files_that_were_set_aside_count_and_go(tmp_path: Path, clock: Clock) -> None:
    for day in ("2026-11-01", "2026-11-22", "2026-11-23"):
        (tmp_path / f"{day}.duckdb.aside-1").write_bytes(b"\0" * 3 * MIB)
    archive = opened(tmp_path, clock, days_max=9, bytes_max=9 * MIB)
    archive.trim()
    assert len(list(tmp_path.glob("*aside*"))) == 2
    archive.keep(logs=[line(os.urandom(4000).hex(), clock.now_ns) for _ in range(1000)])
    archive.write(is_all=True)
    archive.trim()
    assert [path.name[:10] for path in tmp_path.glob("*aside*")] == ["2026-11-23"]
    archive.close()


def test_records_that_wait_take_so_much_memory_and_the_rest_is_counted() -> None:
    waiting = Waiting(bytes_max=100_000)
    rows = [(n, "deploy", "x") for n in range(1000)]
    dropped = waiting.add("marks", rows, lambda _: True)
    assert dropped == [("marks", 750)]
    assert waiting.count == 250
    batch = waiting.take()
    waiting.add("marks", rows[:100], lambda _: True)
    waiting.give_back(batch)
    assert waiting.count == 250
    assert waiting.dropped == {"marks": 850}


def names(begin: int, count: int) -> list[RouteTotals]:
    """Routes with names that were never there before."""
    return [
        RouteTotals("GET", f"/{n}", calls=1, buckets={1: 1}) for n in range(begin, begin + count)
    ]


def test_names_past_a_limit_are_one_in_a_window_and_their_sum_stays(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "KEYS_MAX", 50)
    archive, teller = opened(tmp_path, clock), Teller(clock)
    archive.take(teller.origin, Report(1, clock.now_ns, routes=names(0, 200)))
    archive.write(is_all=True)
    found = archive.calls(*EVER)
    assert len(found) == 51
    assert sum(one.calls for one in found) == 200
    assert {one.callee: one.calls for one in found}[kinds.OTHER] == 150
    archive.close()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_names_without_end_stay_bounded(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room, limit in (
        *((totals, limit) for limit in ("KEYS_MAX", "TOTAL_KEYS_MAX")),
        *((slots, limit) for limit in ("KEYS_MAX", "WAITING_KEYS_MAX")),
    ):
        monkeypatch.setattr(room, limit, getattr(room, limit) // SHARE)
    count = 10_000 // SHARE
    archive = opened(tmp_path, clock, bytes_max=200 * MIB // SHARE)
    tracemalloc.start()
    for turn in range(TURNS):
        # New workers as well, so that the limit of one of them is not what helps.
        teller = Teller(clock, worker=f"front/{turn}", epoch=f"e{turn // 2}", number=turn)
        archive.take(teller.origin, teller.report(routes=names(turn * count, count)))
        clock.pass_seconds(1)
        archive.write()
        archive.trim()
    assert tracemalloc.get_traced_memory()[0] < 600 * MIB // SHARE
    tracemalloc.stop()
    remembered = sum(epoch.key_count() for epoch in archive._totals.epochs.values())
    assert TURNS * count > totals.TOTAL_KEYS_MAX
    assert remembered <= totals.TOTAL_KEYS_MAX + totals.KEYS_MAX
    assert folder_bytes(tmp_path) <= 200 * MIB // SHARE
    assert sum(one.calls for one in archive.calls(*EVER)) == TURNS * count
    archive.close()


def test_names_past_the_limit_of_a_worker_are_counted_as_lost(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "KEYS_MAX", 10)
    archive, teller = opened(tmp_path, clock), Teller(clock)
    archive.take(teller.origin, Report(1, clock.now_ns, routes=names(0, 25)))
    assert archive.lost(*EVER) == {"counts": 15}
    archive.close()


def test_a_silent_worker_whose_totals_were_dropped_is_not_counted_twice(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "TOTAL_KEYS_MAX", 100)
    archive = opened(tmp_path, clock)
    silent, loud = Teller(clock), Teller(clock, worker="front/2", epoch="e2")
    silent.work(5)
    archive.take(silent.origin, silent.report())
    clock.pass_seconds(5)
    archive.take(loud.origin, loud.report(routes=names(0, 100)))
    silent.work(3)
    archive.take(silent.origin, silent.report())
    silent.work(2)
    archive.take(silent.origin, silent.report())
    assert told(archive)["calls"] == 7
    assert archive.lost(*EVER)["counts"] > 0
    archive.close()


def test_windows_that_can_not_be_written_are_merged_and_their_sum_stays(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "WAITING_WINDOWS_MAX", 3)
    monkeypatch.setattr("outgrow.telemetry.archive.writing.FREE_BYTES_MIN", 1 << 60)
    archive, teller = opened(tmp_path, clock), Teller(clock)
    for _ in range(9):
        teller.work(2)
        archive.take(teller.origin, teller.report())
        clock.pass_seconds(10)
        archive.write()
    monkeypatch.undo()
    assert told(archive) == ledger(18)
    archive.write(is_all=True)
    assert told(archive) == ledger(18)
    archive.close()


def test_a_row_that_no_table_takes_is_left_out_and_the_others_are_kept(
    tmp_path: Path, clock: Clock
) -> None:
    archive = opened(tmp_path, clock)
    good = [line(f"good {n}", clock.now_ns) for n in range(5)]
    archive.keep(logs=[*good[:3], line("bad \ud800", clock.now_ns), *good[3:]])
    archive.keep(spans=[span(1, clock.now_ns)])
    assert archive.write()
    assert len(archive.logs(LogSearch(), *EVER)) == 5
    assert len(archive.traces(TraceSearch(), *EVER)) == 1
    assert archive.health().dropped == {"logs that are not sound": 1}
    archive.close()


@pytest.mark.parametrize(
    "bad",
    [
        RouteTotals("GET", "/bad", calls=-1),
        RouteTotals("GET", "/bad", calls=1 << 63),
        RouteTotals("GET", "/bad", calls=1, buckets={1 << 20: 1}),
        RouteTotals("GET", "/bad", calls=1, buckets={1: -1}),
    ],
    ids=["negative", "too much", "no bucket", "negative in a bucket"],
)
def test_a_count_that_is_no_number_is_left_out_and_the_others_are_kept(
    tmp_path: Path, clock: Clock, bad: RouteTotals
) -> None:
    archive, teller = opened(tmp_path, clock), Teller(clock)
    teller.work(3)
    report = teller.report()
    report.routes.append(bad)
    report.stations.append(StationTotals("s", "pool", hold_squared_s2=float("nan")))
    archive.take(teller.origin, report)
    assert archive.write(is_all=True)
    assert told(archive) == ledger(3)
    assert archive.lost(*EVER) == {"counts": 2}
    archive.close()


def test_long_names_are_cut_and_told_apart(tmp_path: Path, clock: Clock) -> None:
    archive, teller = opened(tmp_path, clock), Teller(clock)
    routes = [
        RouteTotals("GET", "/" + "x" * 5000 + end, calls=n) for n, end in ((1, "a"), (2, "b"))
    ]
    archive.take(teller.origin, Report(1, clock.now_ns, routes=routes))
    found = archive.calls(*EVER)
    assert sorted(one.calls for one in found) == [1, 2]
    assert all(len(one.callee) <= kinds.NAME_CHARACTERS_MAX for one in found)
    point = MetricPoint("m" * 5000, "gauge", clock.now_ns, 1.0)
    archive.keep(points=[point])
    archive.write()
    assert len(archive.metrics(*EVER)[0].name) == kinds.NAME_CHARACTERS_MAX
    archive.close()
