"""Who reported, how that stands, and of which times nothing is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outgrow.telemetry import GapSum, ProcessTotals, StationTotals
from tests.unit.telemetry.archive.telling import (
    EVER,
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


def report(archive: Archive, teller: Teller, seconds: int) -> None:
    """Have it report each second."""
    archive.hear(teller.origin)
    for _ in range(seconds):
        teller.work(1)
        archive.take(teller.origin, teller.report())
        teller.clock.pass_seconds(1)
        archive.write()


def states(archive: Archive) -> list[str]:
    """How it stands with each process."""
    return [one.state for one in archive.workers(*EVER)]


def test_a_worker_is_told_with_what_it_used(archive: Archive, clock: Clock) -> None:
    teller = Teller(clock)
    for second in range(1, 4):
        clock.pass_seconds(1)
        used = ProcessTotals(user_ns=second * 1000, loop_lags={3: second}, busy_percent=second / 2)
        archive.take(teller.origin, teller.report(process=used))
    (worker,) = archive.workers(MORNING_NS, clock.now_ns + 1)
    assert (worker.app, worker.name, worker.group, worker.pid) == ("shop", "front/1", "front", 7)
    assert (worker.commit, worker.machine, worker.epoch) == ("abc", "here", "e1")
    assert worker.began_ns == MORNING_NS
    assert worker.seen_ns == clock.now_ns
    assert worker.seconds == 3
    assert worker.state == "reporting"
    assert (worker.used.user_ns, worker.used.loop_lags) == (3000, {3: 3})
    assert worker.used.busy_percent == 1.5


def test_a_station_is_told_over_the_seconds_of_its_worker(archive: Archive, clock: Clock) -> None:
    report(archive, Teller(clock), 20)
    (station,) = archive.stations(MORNING_NS, clock.now_ns)
    assert (station.worker, station.used.name, station.used.capacity) == ("front/1", "loop", 1)
    assert station.used.served == 20
    assert station.seconds == 19


def test_a_worker_that_says_so_is_gone_without_a_gap(archive: Archive, clock: Clock) -> None:
    teller = Teller(clock)
    report(archive, teller, 3)
    archive.take(teller.origin, teller.report(is_last=True))
    archive.left(teller.origin)
    clock.pass_seconds(60)
    archive.write(is_all=True)
    assert states(archive) == ["gone"]
    assert archive.gaps(*EVER) == []


def test_a_worker_that_vanished_is_lost_and_its_last_moments_are_a_gap(
    archive: Archive, clock: Clock
) -> None:
    teller = Teller(clock)
    report(archive, teller, 3)
    seen_ns = clock.now_ns - SECOND_NS
    archive.left(teller.origin)
    clock.pass_seconds(9)
    archive.write()
    assert states(archive) == ["reporting"]
    clock.pass_seconds(2)
    archive.write()
    assert states(archive) == ["lost"]
    gap = GapSum(worker="front/1", from_ns=seen_ns, to_ns=seen_ns + SECOND_NS)
    assert archive.gaps(*EVER) == [gap]
    assert archive.gaps(seen_ns + SECOND_NS, EVER[1]) == []


def test_a_worker_that_comes_back_is_not_lost_and_its_gap_is_counted(
    archive: Archive, clock: Clock
) -> None:
    teller = Teller(clock)
    report(archive, teller, 3)
    seen_ns = clock.now_ns - SECOND_NS
    archive.left(teller.origin)
    clock.pass_seconds(15)
    archive.write()
    teller.work(50)
    back_ns = clock.now_ns
    report(archive, teller, 1)
    assert states(archive) == ["reporting"]
    assert archive.gaps(*EVER) == [
        GapSum(worker="front/1", from_ns=seen_ns, to_ns=back_ns, is_counted=True)
    ]
    assert told(archive) == ledger(teller.calls)


def test_a_worker_that_is_connected_and_silent_is_lost_until_it_speaks(
    archive: Archive, clock: Clock
) -> None:
    teller = Teller(clock)
    report(archive, teller, 3)
    clock.pass_seconds(31)
    archive.write()
    assert states(archive) == ["lost"]
    report(archive, teller, 1)
    assert states(archive) == ["reporting"]


def test_a_worker_that_began_long_ago_is_not_lost_before_it_speaks(
    archive: Archive, clock: Clock
) -> None:
    teller = Teller(clock, began_at_ns=MORNING_NS - 3600 * SECOND_NS)
    archive.hear(teller.origin)
    archive.write()
    clock.pass_seconds(1)
    archive.write()
    assert archive.gaps(*EVER) == []
    report(archive, teller, 1)
    (gap,) = archive.gaps(*EVER)
    assert (gap.from_ns, gap.is_counted) == (teller.began_at_ns, True)


def test_workers_of_before_a_restart_are_lost_if_they_do_not_come_back(
    tmp_path: Path, clock: Clock
) -> None:
    archive = opened(tmp_path, clock)
    for name in ("e1", "e2"):
        report(archive, Teller(clock, worker=f"front/{name}", epoch=name), 2)
    archive.close()
    clock.pass_seconds(60)
    archive = opened(tmp_path, clock)
    back = Teller(clock, worker="front/e2", epoch="e2", number=2, calls=2)
    report(archive, back, 12)
    found = {one.name: one.state for one in archive.workers(*EVER)}
    assert found == {"front/e1": "lost", "front/e2": "reporting"}
    assert {one.worker: one.is_counted for one in archive.gaps(*EVER)} == {
        "front/e1": False,
        "front/e2": True,
    }
    archive.close()


def test_workers_that_are_long_forgotten_are_read_from_the_files(
    tmp_path: Path, clock: Clock
) -> None:
    archive = opened(tmp_path, clock)
    first, second = Teller(clock), Teller(clock, worker="front/2", epoch="e2")
    report(archive, second, 2)
    report(archive, first, 2)
    archive.take(first.origin, first.report(is_last=True))
    archive.left(second.origin)
    clock.pass_seconds(2 * 86_400)
    archive.write(is_all=True)
    clock.pass_seconds(86_400)
    archive.write(is_all=True)
    assert not archive._totals.epochs
    found = {one.name: (one.state, one.commit, one.pid) for one in archive.workers(*EVER)}
    assert found == {"front/1": ("gone", "abc", 7), "front/2": ("lost", "abc", 7)}
    archive.close()


@pytest.mark.parametrize("step", [10, 60, 600])
@pytest.mark.parametrize("is_written", [False, True], ids=["in memory", "in files"])
def test_processes_over_time_add_up_to_what_they_used(
    archive: Archive, clock: Clock, step: int, is_written: bool
) -> None:
    tellers = [Teller(clock, f"front/{n}", f"e{n}{half}") for half in "ab" for n in (1, 2, 3)]
    for seconds in range(1, 120):
        clock.pass_seconds(10)
        for teller in tellers[:3] if seconds < 60 else tellers[3:]:
            teller.work(2)
            used = 1_000_000 * teller.calls
            process = ProcessTotals(
                user_ns=used, loop_lags={5: teller.calls}, memory_bytes=teller.calls
            )
            archive.take(teller.origin, teller.report(process=process))
    if is_written:
        clock.pass_seconds(3600)
        archive.write(is_all=True)
    steps = archive.processes(["front/1", "front/3"], *EVER, step * SECOND_NS)
    assert {one.worker for one in steps} == {"front/1", "front/3"}
    assert all(one.at_ns % (step * SECOND_NS) == 0 for one in steps)
    assert len({(one.epoch, one.at_ns) for one in steps}) == len(steps)
    for teller in (tellers[0], tellers[2], tellers[3], tellers[5]):
        mine = [one for one in steps if one.epoch == teller.epoch]
        assert sum(one.used.user_ns for one in mine) == 1_000_000 * teller.calls
        assert sum(one.used.loop_lags[5] for one in mine) == teller.calls
        assert mine[-1].used.memory_bytes == teller.calls
        assert sum(one.loop_busy_ns for one in mine) == pytest.approx(7 * teller.calls, abs=20)
    assert archive.processes([], *EVER, step * SECOND_NS) == []


def test_stations_of_a_kind_are_told_over_time(archive: Archive, clock: Clock) -> None:
    teller = Teller(clock, worker="work/1")
    for served in (5, 5, 12):
        slots = StationTotals("queue mail: slots", "queue", 4, served=served, waits={9: served})
        other = StationTotals("pool mail", "pool", 3, served=served)
        archive.take(teller.origin, teller.report(stations=[slots, other]))
        clock.pass_seconds(10)
    archive.write(is_all=True)
    steps = archive.station_steps("queue", *EVER, 10 * SECOND_NS)
    assert [(one.worker, one.used.name, one.used.served) for one in steps] == [
        ("work/1", "queue mail: slots", 5),
        ("work/1", "queue mail: slots", 7),
    ]
    assert [one.used.capacity for one in steps] == [4, 4]
    assert steps[1].at_ns - steps[0].at_ns == 20 * SECOND_NS
