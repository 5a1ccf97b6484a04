"""Stations add up how long they were held and waited for, and tell the one from the other."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from time import monotonic_ns
from types import FrameType
from typing import Any

import pytest

from outgrow.telemetry import Station, StationBook, StationTotals, bucket_of, squares_of, stations
from outgrow.telemetry.stations import WAITS_MAX, note_wait, waited_here, waited_since
from outgrow.telemetry.traces import Segment, begin, here

MS = 1_000_000
LINES_MAX = 1000


@pytest.fixture
def segment() -> Iterator[Segment]:
    """The part of a trace that runs here."""
    made = begin(monotonic_ns())
    token = here.set(made)
    yield made
    here.reset(token)


def pause(ms: float = 5) -> None:
    threading.Event().wait(ms / 1e3)


def test_a_use_that_waits_counts_its_wait_and_its_hold() -> None:
    station = Station("pool x", "pool", 1)
    first = station.visit(waits=False)
    first.begin()
    second = station.visit(waits=True)
    pause()
    assert station.told().busy_ns >= 5 * MS, "a use that goes on counts up to now"
    first.end()
    second.begin()
    pause()
    second.end()
    told = station.told()
    assert (told.served, told.rejected, told.queue_max) == (2, 0, 1)
    assert told.wait_ns >= 5 * MS
    assert told.hold_ns >= 10 * MS
    assert told.busy_ns == told.hold_ns
    assert told.waits[0] == 1
    assert sum(told.waits.values()) == 2


def test_a_use_that_never_begins_is_rejected() -> None:
    station = Station("pool x", "pool", 1)
    visit = station.visit(waits=True)
    visit.end()
    visit.end()
    visit.begin()
    told = station.told()
    assert (told.served, told.rejected, told.busy_ns) == (0, 1, 0)
    station.visit(waits=True).begin()
    assert station.told().queue_max == 1, "nobody is left in the queue"


def interrupted(step: Callable[[], object], line: int, other: Callable[[], object]) -> bool:
    """Take a step, and let another thread take its own before this line; whether there is one."""
    thread = threading.Thread(target=other)
    lines = itertools.count(1)

    def trace(frame: FrameType, event: str, _: object) -> Any:
        is_ours = event == "line" and frame.f_code.co_filename == stations.__file__
        if is_ours and next(lines) == line:
            thread.start()
            thread.join(0.01)  # where a lock has it wait for this one, that goes on
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        step()
    finally:
        sys.settrace(before)
    if thread.ident is None:
        return False
    thread.join(5)
    return True


@pytest.mark.parametrize("gives_up_first", [False, True], ids=["begins first", "gives up first"])
def test_who_gives_up_in_the_moment_in_which_it_begins_elsewhere_counts_once(
    gives_up_first: bool,
) -> None:
    for line in range(1, LINES_MAX):
        station = Station("threads x", "threads", 1)
        visit = station.visit(waits=True)
        first, second = visit.begin, visit.give_up
        if gives_up_first:
            first, second = second, first
        if not interrupted(first, line, second):
            break
        visit.end()
        told = station.told()
        assert told.served + told.rejected == 1, f"interrupted before line {line}"
        assert station.told().busy_ns == told.busy_ns, "nothing is in use any more"
        station.visit(waits=True)
        assert station.told().queue_max == 1, "nobody is left in the queue, and no less than nobody"
    else:
        pytest.fail("a step has no end")


@pytest.mark.usefixtures("segment")
def test_a_wait_within_a_use_is_told_apart_from_its_work() -> None:
    outer, inner = Station("pool x", "pool", 1), Station("writer x", "lock", 1)
    around = outer.visit(waits=False)
    around.begin()
    within = inner.visit(waits=True)
    pause(20)
    within.begin()
    within.end()
    around.end()
    told = outer.told()
    assert 20 * MS <= told.nested_wait_ns <= told.hold_ns
    assert inner.told().nested_wait_ns == 0, "its own wait is not within it"


@pytest.mark.usefixtures("segment")
def test_the_wait_for_a_use_is_not_nested_in_it() -> None:
    station = Station("pool x", "pool", 1)
    visit = station.visit(waits=True)
    pause()
    visit.begin()
    visit.end()
    assert station.told().nested_wait_ns == 0


def test_waits_are_found_by_when_they_began(segment: Segment) -> None:
    note_wait(100, 150)
    note_wait(200, 230)
    assert waited_here() == 80
    assert waited_since(segment, 150) == 30
    for number in range(2 * WAITS_MAX):
        note_wait(300 + number, 301 + number)
    assert segment.waits is not None
    assert len(segment.waits) == WAITS_MAX
    assert waited_here() == 80 + 2 * WAITS_MAX


def test_outside_of_traces_waits_are_nobodys() -> None:
    note_wait(100, 150)
    assert waited_here() == 0


def test_the_squares_of_durations_are_found_from_their_buckets() -> None:
    buckets = [0] * 512
    durations_ns = [7 * MS, 40 * MS, 40 * MS, 3000 * MS]
    for duration in durations_ns:
        buckets[bucket_of(duration)] += 1
    true = sum((duration / 1e9) ** 2 for duration in durations_ns)
    assert squares_of(buckets) == pytest.approx(true, rel=0.07)


def test_a_book_has_one_station_of_a_name_and_a_limited_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    book = StationBook()
    assert book.meet("pool x", "pool", 2) is book.meet("pool x", "pool", 3)
    assert book.all()[0].capacity == 3
    monkeypatch.setattr(stations, "STATIONS_MAX", 2)
    book.add("gate", "bulkhead", lambda: StationTotals("gate", "bulkhead"))
    book.add("gate 2", "bulkhead", lambda: StationTotals("gate 2", "bulkhead"))
    assert [each.name for each in book.all()] == ["pool x", "gate"]


def test_a_use_may_take_its_slot_from_before_it_begins() -> None:
    station = Station("queue x: slots", "queue", 1)
    asked_ns = monotonic_ns() - 5 * MS
    use = station.take(since_ns=asked_ns)
    station.give_back(use)
    told = station.told()
    assert told.hold_ns >= 5 * MS
    assert told.busy_ns == told.hold_ns
