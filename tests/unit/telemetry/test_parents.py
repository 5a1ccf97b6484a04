"""How often one run called the same thing."""

from __future__ import annotations

from outgrow.telemetry.parents import SAMPLED_MASK, ParentBook, note_leaving
from outgrow.telemetry.traces import CLIENT, OPERATION, ROOT, Segment, begin

ROUTE = "GET /orders/{id}"


def segment_of(*spans: tuple[int, int, str, int], is_sampled: bool = True) -> Segment:
    """A segment with these spans: number, parent, name, kind."""
    segment = begin(0)
    segment.seed = segment.seed & ~SAMPLED_MASK if is_sampled else segment.seed | 1
    segment.spans += [(*span, 0, 1, "", None) for span in spans]
    return segment


def test_each_run_of_a_caller_counts_by_itself() -> None:
    book = ParentBook()
    spans = [(2, ROOT, "Orders.place", OPERATION), (3, ROOT, "Orders.place", OPERATION)]
    spans += [(number, 2, "Stock.take", OPERATION) for number in (4, 5, 6, 7, 8)]
    spans += [(9, 3, "Stock.take", OPERATION)]
    book.fold(segment_of(*spans), ROUTE)
    assert book.links == {
        (ROUTE, "Orders.place"): {1: 1},  # two calls in one run
        ("Orders.place", "Stock.take"): {0: 1, 2: 1},  # one call in one run, five in the other
    }


def test_only_operations_in_one_segment_of_16_are_looked_at() -> None:
    book = ParentBook()
    book.fold(segment_of((2, ROOT, "Orders.place", OPERATION), is_sampled=False), ROUTE)
    book.fold(segment_of((2, ROOT, "SELECT orders", CLIENT)), ROUTE)
    assert book.links == {}


def test_what_leaves_the_process_counts_in_each_segment_and_once() -> None:
    book = ParentBook()
    segment = segment_of(is_sampled=False)
    for _ in range(3):
        note_leaving(segment, ROOT, ROUTE, "http api.example")
    note_leaving(segment, 2, "Orders.place", "http api.example")
    book.fold(segment, ROUTE)
    book.fold(segment, ROUTE)
    assert book.links == {
        (ROUTE, "http api.example"): {1: 1},
        ("Orders.place", "http api.example"): {0: 1},
    }


def test_a_call_from_another_process_has_no_run_here() -> None:
    book = ParentBook()
    book.fold(segment_of((2, 0, "Stock.take", OPERATION)), "Stock.take")
    assert book.links == {}
