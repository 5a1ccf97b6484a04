"""Windows one by one: what the archive gives to those who foresee."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.telemetry.archive.telling import EVER, MORNING_NS, SECOND_NS, Clock, Teller, opened

WINDOW_NS = 10 * SECOND_NS


@pytest.mark.parametrize("is_written", [False, True], ids=["in memory", "in a file"])
def test_each_window_has_what_was_counted_in_it(tmp_path: Path, is_written: bool) -> None:
    clock = Clock()
    archive = opened(tmp_path, clock)
    teller = Teller(clock)
    worked = [7, 0, 30, 4]
    for calls in worked:
        for part in range(10):
            clock.pass_seconds(1)
            if part == 4:
                teller.work(calls)
            archive.take(teller.origin, teller.report())
    clock.pass_seconds(60)
    if is_written:
        archive.write(is_all=True)
    found = archive.windows(MORNING_NS, MORNING_NS + 60 * SECOND_NS)
    archive.close()
    by_window = {one.at_ns: sum(c.calls for c in one.calls if c.caller == "") for one in found}
    places = [MORNING_NS + number * WINDOW_NS for number in range(len(worked))]
    assert [by_window[at_ns] for at_ns in places] == worked
    busy = next(one for one in found if one.at_ns == places[2])
    assert [(one.worker, one.used.served) for one in busy.stations] == [("front/1", 30)]
    assert sum(one.seconds for one in busy.processes) == pytest.approx(10)
    assert [one.squares for one in busy.arrivals] == [90]


def test_windows_of_all_time_add_up_to_the_sums(tmp_path: Path) -> None:
    clock = Clock()
    archive = opened(tmp_path, clock)
    tellers = [Teller(clock, worker=f"front/{n}", epoch=f"e{n}") for n in (1, 2)]
    for number in range(25):
        clock.pass_seconds(7)
        for teller in tellers:
            teller.work(number)
            archive.take(teller.origin, teller.report())
        if number % 9 == 0:
            archive.write()
    sums = {(one.caller, one.callee): one.calls for one in archive.calls(*EVER)}
    found: dict[tuple[str, str], int] = {}
    for window in archive.windows(*EVER):
        for one in window.calls:
            key = (one.caller, one.callee)
            found[key] = found.get(key, 0) + one.calls
    archive.close()
    assert found == sums
