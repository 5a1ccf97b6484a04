"""Links are summed over workers, and what a worker did stays counted after its end."""

from __future__ import annotations

from typing import Any

import pytest

from outgrow.telemetry import LinkBook, LinkTotals, LinkWindow, bucket_of

MS = 1_000_000


def totals(calls: int, duration_ms: int = 2, **more: Any) -> LinkTotals:
    link = LinkTotals("Orders.place", "Stock.reserve", calls=calls, **more)
    link.buckets[bucket_of(duration_ms * MS)] = calls
    return link


def test_a_link_is_summed_over_its_workers() -> None:
    window = LinkWindow()
    for second in range(11):
        window.add("a", float(second), [totals(10 * second, errors=second)])
        window.add("b", float(second), [totals(20 * second, refused=second)])
    (link,) = window.links(10.0)
    assert (link.caller, link.callee, link.calls_total) == ("Orders.place", "Stock.reserve", 300)
    assert link.calls_per_second == pytest.approx(30, rel=0.15)
    assert link.errors_per_second == pytest.approx(1, rel=0.15)
    assert link.refused_per_second == pytest.approx(1, rel=0.15)
    assert link.latency_p50_ms == pytest.approx(2, rel=0.07)
    assert link.latency_p99_ms == pytest.approx(2, rel=0.07)


def test_the_busiest_link_comes_first() -> None:
    book = LinkBook()
    book.meet("edge", "Orders.place").calls = 5
    book.meet("Orders.place", "Stock.reserve").calls = 50
    window = LinkWindow()
    window.add("a", 1.0, book.all())
    assert [link.callee for link in window.links(1.0)] == ["Stock.reserve", "Orders.place"]


def test_calls_of_a_worker_that_ended_stay_counted() -> None:
    window = LinkWindow()
    window.add("a", 1.0, [totals(7)])
    window.forget("a")
    window.forget("a")
    (link,) = window.links(2.0)
    assert (link.calls_total, link.calls_per_second, link.latency_p50_ms) == (7, 0.0, None)


def test_hedges_that_callers_count_are_part_of_the_link() -> None:
    window = LinkWindow()
    for second in range(11):
        window.add("callee", float(second), [totals(10 * second)])
        hedged = LinkTotals("Orders.place", "Stock.reserve", hedges=2 * second, hedges_won=second)
        window.add("caller", float(second), [hedged])
    (link,) = window.links(10.0)
    assert link.calls_per_second == pytest.approx(10, rel=0.15)
    assert link.hedges_per_second == pytest.approx(2, rel=0.15)
    assert link.hedges_won_per_second == pytest.approx(1, rel=0.15)


def test_nothing_was_called_where_nobody_reported() -> None:
    assert LinkWindow().links(1.0) == []
