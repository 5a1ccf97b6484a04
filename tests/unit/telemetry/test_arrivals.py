"""Arrivals are told as sums of which the variance over parts of 100 ms can be made."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from outgrow.telemetry.arrivals import OPEN_PARTS, PART_NS, ArrivalBook

START = 1000 * PART_NS


class Clock:
    """Stands still until it is set."""

    now_ns = START

    def __call__(self) -> int:
        return self.now_ns


@given(st.lists(st.integers(0, 200), max_size=60), st.lists(st.integers(0, 300), max_size=8))
def test_the_sums_are_those_of_all_parts(parts: list[int], looks: list[int]) -> None:
    clock = Clock()
    book = ArrivalBook("GET /", clock)
    waiting = sorted(parts)
    for look in sorted(looks):
        while waiting and waiting[0] <= look:
            book.came(START + waiting.pop(0) * PART_NS)
        clock.now_ns = START + look * PART_NS
        book.close()
    for part in waiting:
        book.came(START + part * PART_NS)
    last = max([*parts, *looks, 0])
    clock.now_ns = START + last * PART_NS
    totals = book.close(is_last=True)
    counts = [parts.count(part) for part in range(last + 1)]
    assert totals.parts == last + 1
    assert totals.total == sum(counts)
    assert totals.squares == sum(count**2 for count in counts)
    assert totals.neighbours == sum(one * other for one, other in pairwise(counts))


def test_a_part_stays_open_for_requests_that_take_long() -> None:
    clock = Clock()
    book = ArrivalBook("GET /", clock)
    book.came(START)
    clock.now_ns = START + OPEN_PARTS * PART_NS
    assert book.close().total == 0
    book.came(START)
    clock.now_ns = START + (OPEN_PARTS + 1) * PART_NS
    assert (book.close().total, book.totals.squares) == (2, 4)


def test_what_ends_later_still_counts_in_the_oldest_open_part() -> None:
    clock = Clock()
    book = ArrivalBook("GET /", clock)
    clock.now_ns = START + 100 * PART_NS
    book.close()
    book.came(START)
    totals = book.close(is_last=True)
    assert (totals.parts, totals.total) == (101, 1)
