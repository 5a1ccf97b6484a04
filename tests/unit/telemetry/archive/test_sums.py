"""What is read is what was counted, whatever is lost or restarted in between."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.unit.telemetry.archive.telling import (
    DAY_NS,
    EVER,
    HOUR_NS,
    MORNING_NS,
    SECOND_NS,
    Clock,
    Teller,
    ledger,
    opened,
    told,
)

if TYPE_CHECKING:
    from pathlib import Path

    from outgrow.telemetry import Archive


@pytest.mark.timeout(90)
def test_sums_are_the_same_before_and_after_they_are_written(
    archive: Archive, clock: Clock
) -> None:
    teller = Teller(clock)
    for _ in range(25):
        teller.work(7)
        archive.take(teller.origin, teller.report())
        clock.pass_seconds(1)
        archive.write()
        assert told(archive) == ledger(teller.calls)
    archive.write(is_all=True)
    assert told(archive) == ledger(teller.calls)


def test_a_lost_report_costs_resolution_and_no_sum(archive: Archive, clock: Clock) -> None:
    teller = Teller(clock)
    for turn in range(60):
        teller.work(turn)
        report = teller.report()
        if turn % 3 == 0:
            archive.take(teller.origin, report)
        clock.pass_seconds(1)
        archive.write()
    archive.take(teller.origin, teller.report())
    assert told(archive) == ledger(teller.calls)


def test_a_report_that_comes_twice_or_late_counts_once(archive: Archive, clock: Clock) -> None:
    teller = Teller(clock)
    teller.work(5)
    first = teller.report()
    teller.work(5)
    second = teller.report()
    for report in (second, first, second):
        archive.take(teller.origin, report)
    assert told(archive) == ledger(10)
    assert archive.health().dropped == {"reports that came twice": 2}
    assert archive.lost(*EVER) == {"reports that came twice": 2}


def test_a_last_report_that_comes_twice_counts_once(archive: Archive, clock: Clock) -> None:
    teller = Teller(clock)
    teller.work(5)
    last = teller.report(is_last=True)
    archive.take(teller.origin, last)
    archive.take(teller.origin, last)
    assert told(archive) == ledger(5)


def test_a_new_process_under_an_old_name_counts_from_nothing(
    archive: Archive, clock: Clock
) -> None:
    for epoch in ("e1", "e2", "e3"):
        teller = Teller(clock, epoch=epoch)
        teller.work(9)
        archive.take(teller.origin, teller.report())
        clock.pass_seconds(1)
    assert told(archive) == ledger(27)
    assert len(archive.workers(*EVER)) == 3


def test_several_workers_add_up(archive: Archive, clock: Clock) -> None:
    tellers = [Teller(clock, worker=f"front/{n}", epoch=f"e{n}") for n in range(4)]
    for _ in range(15):
        for teller in tellers:
            teller.work(3)
            archive.take(teller.origin, teller.report())
        clock.pass_seconds(1)
        archive.write()
    assert told(archive) == ledger(180)


def test_a_restart_of_the_archive_counts_nothing_twice(tmp_path: Path, clock: Clock) -> None:
    teller = Teller(clock)
    for _ in range(4):
        archive = opened(tmp_path, clock)
        for _ in range(13):
            teller.work(3)
            archive.take(teller.origin, teller.report())
            clock.pass_seconds(1)
            archive.write()
        archive.close()
        teller.work(3)
        clock.pass_seconds(20)
    archive = opened(tmp_path, clock)
    archive.take(teller.origin, teller.report())
    assert told(archive) == ledger(teller.calls)
    archive.close()


@pytest.mark.parametrize("is_last", [True, False], ids=["with a last word", "without one"])
def test_what_a_worker_told_that_left_outlives_a_killed_archive(
    tmp_path: Path, clock: Clock, is_last: bool
) -> None:
    archive, teller = opened(tmp_path / "here", clock), Teller(clock)
    for _ in range(2):
        teller.work(5)
        archive.take(teller.origin, teller.report())
    archive.take(teller.origin, teller.report(is_last=is_last))
    archive.left(teller.origin)
    archive.write()
    shutil.copytree(tmp_path / "here", tmp_path / "left by a kill")
    archive.close()
    again = opened(tmp_path / "left by a kill", clock)
    assert told(again) == ledger(10)
    again.close()


@pytest.mark.timeout(90)
def test_a_clock_that_is_set_back_changes_no_sum(archive: Archive, clock: Clock) -> None:
    teller = Teller(clock)
    for jump in (0, -30, 3600, -7200, 12, -1):
        clock.pass_seconds(jump)
        for _ in range(12):
            teller.work(4)
            archive.take(teller.origin, teller.report())
            clock.pass_seconds(1)
            archive.write()
            assert told(archive) == ledger(teller.calls)
    (worker,) = archive.workers(*EVER)
    # What the clock skipped is taken for time that passed; what it went back is not.
    assert worker.seconds == pytest.approx(6 * 12 - 1 + 3600 + 12, abs=8)


@pytest.mark.parametrize("jump_days", [5, -5], ids=["ahead", "back"])
def test_windows_lie_in_the_file_of_their_day_when_the_clock_jumps(
    tmp_path: Path, clock: Clock, jump_days: int
) -> None:
    archive = opened(tmp_path, clock, days_max=30)
    teller = Teller(clock)
    teller.work(6)
    archive.take(teller.origin, teller.report())
    clock.pass_seconds(jump_days * 86_400)
    teller.work(5)
    archive.take(teller.origin, teller.report())
    clock.pass_seconds(10)
    archive.write(is_all=True)
    assert told(archive, MORNING_NS, MORNING_NS + 60 * SECOND_NS) == ledger(6)
    assert told(archive)["calls"] == 11
    archive.close()
    again = opened(tmp_path, clock, days_max=30)
    assert told(again)["calls"] == 11
    again.close()


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_longer_windows_add_up_to_the_same_as_short_ones(tmp_path: Path) -> None:
    # Over two midnights, so that a day is closed and a period lies in three files.
    clock = Clock(MORNING_NS)
    archive = opened(tmp_path, clock)
    teller = Teller(clock)
    at: list[tuple[int, int]] = []
    while clock.now_ns < MORNING_NS + 2 * DAY_NS:
        teller.work(1 + clock.now_ns // SECOND_NS % 5)
        archive.take(teller.origin, teller.report())
        at.append((clock.now_ns, teller.calls))
        clock.pass_seconds(1777)
        archive.write()
    archive.write(is_all=True)
    assert told(archive) == ledger(teller.calls)
    for hours in ((0, 1), (3, 30), (0, 24), (14, 40), (13, 16)):
        from_ns, to_ns = (MORNING_NS + hour * HOUR_NS for hour in hours)
        before = max((calls for when, calls in at if when < from_ns), default=0)
        until = max(calls for when, calls in at if when < to_ns)
        assert told(archive, from_ns, to_ns)["calls"] == until - before, hours
        for step in (600, 3600, 7200, 100_000_000):
            steps = archive.steps("GET /tea", from_ns, to_ns, step * SECOND_NS)
            assert sum(one.calls for one in steps) == until - before, (hours, step)
            assert all(one.at_ns % (step * SECOND_NS) == 0 for one in steps)
            assert sum(sum(one.buckets.values()) for one in steps) == until - before
    archive.close()


def test_what_comes_late_into_a_closed_day_is_counted_there(tmp_path: Path, clock: Clock) -> None:
    archive = opened(tmp_path, clock)
    teller = Teller(clock)
    for _ in range(3):
        teller.work(5)
        archive.take(teller.origin, teller.report())
        archive.write(is_all=True)
        clock.pass_seconds(86_400)
    clock.pass_seconds(-2 * 86_400)
    teller.work(100)
    archive.take(teller.origin, teller.report())
    archive.write(is_all=True)
    day_ns = clock.now_ns // DAY_NS * DAY_NS
    assert told(archive, day_ns, day_ns + DAY_NS)["calls"] == 105
    assert told(archive) == ledger(115)
    archive.close()


def test_steps_of_seconds_are_told_apart_for_the_newest_of_them(
    archive: Archive, clock: Clock
) -> None:
    teller = Teller(clock)
    for calls in (1, 2, 3):
        teller.work(calls)
        archive.take(teller.origin, teller.report())
        clock.pass_seconds(1)
    steps = archive.steps("", MORNING_NS, clock.now_ns, SECOND_NS)
    assert [(one.at_ns - MORNING_NS, one.calls) for one in steps] == [
        (0, 1),
        (SECOND_NS, 2),
        (2 * SECOND_NS, 3),
    ]
    assert archive.calls(MORNING_NS + SECOND_NS, MORNING_NS + 2 * SECOND_NS)[0].calls == 2
