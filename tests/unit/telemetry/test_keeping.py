"""Kept are errors, the slowest, one a second of each operation, and what is asked for; no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from outgrow.telemetry import Keeper, Parent, begin_segment
from outgrow.telemetry.keeping import (
    ASKED_PER_SECOND,
    ERRORS_PER_SECOND,
    KEPT_BYTES_MAX,
    SLOWEST,
    Allowance,
)
from outgrow.telemetry.remembering import BYTES_MAX, Remembered
from outgrow.telemetry.traces import NOTED_BYTES_MAX, spans_of

if TYPE_CHECKING:
    from outgrow.telemetry import Segment, Sieve, SpanRecord

SECOND = 10**9
MS = 10**6
BEGIN = 10**15


class Line:
    """Requests of one route, one after another, on a clock of their own."""

    def __init__(self) -> None:
        self.keeper = Keeper()
        self.sieve: Sieve = self.keeper.sieve("GET /orders")
        self.now_ns = BEGIN

    def end(
        self, ms: int = 1, status: int = 200, parent: Parent | None = None, flaw: int = 0
    ) -> Segment:
        segment = begin_segment(self.now_ns - ms * MS, parent)
        segment.flaw = flaw
        self.sieve.end(segment, self.now_ns, status, "GET")
        return segment

    def warm(self) -> None:
        """Have the slowest of this minute known, and this second's sample taken."""
        for _ in range(SLOWEST + 1):
            self.end(ms=100)
        self.keeper.take()


@pytest.fixture
def line() -> Line:
    made = Line()
    made.warm()
    return made


def reasons(keeper: Keeper) -> list[str]:
    return [span.kept_for for span in keeper.take()[0]]


def test_an_ordinary_request_is_not_kept(line: Line) -> None:
    segment = line.end()
    assert not segment.is_open
    assert reasons(line.keeper) == []


def test_one_a_second_is_kept_as_a_sample(line: Line) -> None:
    for _ in range(30):
        line.now_ns += SECOND // 10
        line.end()
    assert reasons(line.keeper) == ["sampled"] * 3


def test_the_slowest_of_a_minute_are_kept(line: Line) -> None:
    for ms in (50, 150, 80, 300):
        line.end(ms=ms)
    assert reasons(line.keeper) == ["slow", "slow"]


def test_what_counts_as_slow_rises_with_what_is_seen(line: Line) -> None:
    for _ in range(SLOWEST):
        line.end(ms=200)
    line.keeper.take()
    line.end(ms=150)
    assert reasons(line.keeper) == []
    assert line.sieve.threshold_ns == 200 * MS


def test_another_minute_has_other_slowest_but_begins_not_at_nothing(line: Line) -> None:
    line.now_ns += 61 * SECOND
    line.end()
    line.keeper.take()
    line.end(ms=10)
    assert reasons(line.keeper) == []
    line.end(ms=60)
    assert reasons(line.keeper) == ["slow"]


def test_errors_are_kept_up_to_a_limit(line: Line) -> None:
    for _ in range(ERRORS_PER_SECOND * 3):
        line.end(status=503)
    assert reasons(line.keeper) == ["error"] * ERRORS_PER_SECOND
    line.now_ns += SECOND
    line.end(status=500)
    assert reasons(line.keeper) == ["error"]


def test_a_request_with_a_part_that_failed_is_kept_and_no_reason_to_miss_whole_errors(
    line: Line,
) -> None:
    for _ in range(20):
        line.end(flaw=1)
    assert reasons(line.keeper) == ["error"] * 2
    line.end(status=500)
    assert reasons(line.keeper) == ["error"]


def test_a_client_that_leaves_is_no_error(line: Line) -> None:
    line.end(status=0)
    assert reasons(line.keeper) == []


def test_what_callers_ask_for_is_kept_but_no_flood_of_it(line: Line) -> None:
    for number in range(ASKED_PER_SECOND * 50):
        line.end(parent=Parent(number + 1, 1, flags=1))
    assert reasons(line.keeper) == ["asked"] * ASKED_PER_SECOND


def test_a_part_of_a_trace_can_be_asked_for_afterwards(line: Line) -> None:
    line.end(parent=Parent(7, 1))
    line.end(parent=Parent(8, 1))
    assert reasons(line.keeper) == []
    line.keeper.wanted([(7).to_bytes(16, "big"), (9).to_bytes(16, "big")])
    (span,) = line.keeper.take()[0]
    assert (span.trace_id, span.kept_for) == ((7).to_bytes(16, "big"), "asked")
    line.keeper.wanted([(7).to_bytes(16, "big")])
    assert reasons(line.keeper) == []


def test_a_part_that_ends_after_it_was_asked_for_is_kept_at_once(line: Line) -> None:
    line.keeper.wanted([(7).to_bytes(16, "big")])
    line.end(parent=Parent(7, 1))
    assert reasons(line.keeper) == ["asked"]


def ended(number: int, ended_ns: int = BEGIN) -> Segment:
    segment = begin_segment(BEGIN - MS, Parent(number, 5, 1, "a=1"))
    segment.ended_ns, segment.is_open = ended_ns, False
    segment.outcome = ("GET /orders", "GET", 500)
    segment.error = "ValueError"
    attributes = {"db.system.name": "sqlite", "rows": 3}
    segment.spans.append((2, 1, "SELECT orders", 3, BEGIN - MS, BEGIN, "", attributes))
    return segment


def told(segment: Segment) -> list[SpanRecord]:
    spans = spans_of(segment)
    for span in spans:
        span.at_ns = 0  # reckoned from the wall clock of that moment
    return spans


def test_what_is_remembered_comes_back_as_it_was() -> None:
    segment, remembered = ended(7), Remembered()
    remembered.add(segment)
    remembered.add(ended(8))
    (again,) = remembered.take({(7).to_bytes(16, "big")})
    assert (again.trace_id, again.ended_ns, again.is_open) == (7, BEGIN, False)
    assert told(again) == told(segment)
    assert again.spans == []
    assert remembered.take({(7).to_bytes(16, "big")}) == []
    assert len(remembered.take({(8).to_bytes(16, "big")})) == 1


def test_what_cannot_be_written_down_is_remembered_as_well() -> None:
    segment, remembered = ended(7), Remembered()
    span = told(ended(7))[0]
    segment.spans.append(lambda: span)
    remembered.add(segment)
    assert remembered.take({(7).to_bytes(16, "big")}) == [segment]
    assert remembered.take({(7).to_bytes(16, "big")}) == []


def test_what_is_remembered_is_forgotten_after_ten_seconds() -> None:
    remembered, wanted = Remembered(), {number.to_bytes(16, "big") for number in range(4)}
    strange = ended(3)
    strange.spans.append(lambda: told(ended(3))[0])
    for segment in (ended(1), ended(2, BEGIN + 5 * SECOND), strange):
        remembered.add(segment)
    remembered.forget(BEGIN + 11 * SECOND)
    assert [segment.trace_id for segment in remembered.take(wanted)] == [2]


def test_parts_that_are_not_asked_for_take_bounded_memory() -> None:
    remembered, size = Remembered(), 100_000
    for number in range(2 * BYTES_MAX // size):
        segment = ended(number + 1)
        segment.spans.append((3, 1, "x" * size, 3, 1, 2, "", None))
        remembered.add(segment)
    everything = {number.to_bytes(16, "big") for number in range(1000)}
    found = remembered.take(everything)
    assert 0.9 * BYTES_MAX // size < len(found) <= BYTES_MAX // size
    assert max(segment.trace_id for segment in found) == 2 * BYTES_MAX // size


def test_what_nobody_fetches_is_lost_and_counted(line: Line) -> None:
    count = 2 * KEPT_BYTES_MAX // NOTED_BYTES_MAX
    for _ in range(count):
        line.now_ns += SECOND
        segment = begin_segment(line.now_ns - MS)
        segment.noted_bytes = NOTED_BYTES_MAX
        line.sieve.end(segment, line.now_ns, 500, "GET")
    found, lost = line.keeper.take()
    assert 0 < len(found) < count
    assert len(found) + lost == count


def test_taking_ends_at_so_many_and_the_rest_waits(line: Line) -> None:
    for _ in range(5):
        line.end(status=500)
    assert len(line.keeper.take(2)[0]) == 2
    assert len(line.keeper.take()[0]) == 3


def test_an_allowance_is_for_each_second() -> None:
    allowance = Allowance(2)
    assert [allowance.take(BEGIN) for _ in range(3)] == [True, True, False]
    assert allowance.take(BEGIN + SECOND)
