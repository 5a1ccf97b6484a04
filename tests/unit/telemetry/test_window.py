"""A window is the exact difference of totals, over all workers, whatever was lost between."""

from __future__ import annotations

import pytest

from outgrow.telemetry import RouteTotals, RouteWindow, Window
from outgrow.telemetry.calls import ROUTES_MAX
from outgrow.telemetry.histogram import bucket_of

MS = 1_000_000


def totals(
    calls: int, *, route: str = "/a", errors: int = 0, ms: int = 10, loop_ms: int = 0
) -> RouteTotals:
    """Totals of a route whose calls took `ms` each, and `loop_ms` on the loop, all metered."""
    return RouteTotals(
        "GET",
        route,
        calls=calls,
        errors=errors,
        duration_ns=calls * ms * MS,
        metered=calls,
        loop_ns=calls * loop_ms * MS,
        buckets={bucket_of(ms * MS): calls} if calls else {},
    )


def only(window: Window, now: float) -> RouteWindow:
    (route,) = window.routes(now)
    return route


def test_rates_are_of_the_last_ten_seconds_over_all_workers() -> None:
    window = Window()
    for second in range(31):
        now = 100.0 + second
        window.add("one", now, [totals(10 * second, errors=second)])
        window.add("two", now, [totals(30 * second)])
    route = only(window, 130.0)
    assert route.requests_total == 1200
    assert route.requests_per_second == pytest.approx(40.0)
    assert route.errors_per_second == pytest.approx(1.0)
    assert window.requests_per_second("one", 130.0) == pytest.approx(10.0)
    assert window.requests_per_second("two", 130.0) == pytest.approx(30.0)


def test_lost_snapshots_lose_no_call() -> None:
    whole, holey = Window(), Window()
    for second in range(1, 31):
        now = 100.0 + second
        whole.add("one", now, [totals(7 * second, errors=second)])
        if second in (1, 20, 23, 30):
            holey.add("one", now, [totals(7 * second, errors=second)])
    assert only(holey, 130.0) == only(whole, 130.0)


def test_routes_that_did_not_change_need_not_be_sent() -> None:
    window = Window()
    window.add("one", 100.0, [totals(5), totals(3, route="/b")])
    window.add("one", 101.0, [totals(6)])
    window.add("one", 102.0, [])
    shown = {route.route: route.requests_total for route in window.routes(102.0)}
    assert shown == {"/a": 6, "/b": 3}


def test_calls_from_before_the_window_do_not_count_in_it() -> None:
    window = Window()
    window.add("one", 100.0, [totals(1000, ms=500)])
    for second in range(20):
        window.add("one", 101.0 + second, [totals(1000, ms=500)])
    route = only(window, 120.0)
    assert route.requests_total == 1000
    assert route.requests_per_second == 0.0
    assert route.latency_p50_ms is None


def test_the_first_totals_of_a_worker_count_from_a_second_before() -> None:
    window = Window()
    window.add("one", 100.0, [totals(50)])
    assert only(window, 100.0).requests_per_second == pytest.approx(50.0)


def test_a_forgotten_worker_keeps_its_totals_and_leaves_the_window() -> None:
    window = Window()
    window.add("one", 100.0, [totals(40)])
    window.add("two", 100.0, [totals(2)])
    window.forget("one")
    window.forget("one")
    window.forget("never there")
    route = only(window, 100.0)
    assert route.requests_total == 42
    assert route.requests_per_second == pytest.approx(2.0)
    assert window.requests_per_second("one", 100.0) == 0.0


def test_totals_of_several_forgotten_workers_add_up() -> None:
    window = Window()
    for number in range(5):
        window.add(f"worker {number}", 100.0, [totals(10)])
        window.forget(f"worker {number}")
    assert only(window, 200.0).requests_total == 50


def test_routes_of_workers_that_ended_are_bounded() -> None:
    window = Window()
    for worker in range(20):
        routes = [totals(1, route=f"/{worker}/{number}") for number in range(ROUTES_MAX)]
        window.add(f"worker {worker}", 100.0, routes)
        window.forget(f"worker {worker}")
    assert len(window.routes(101.0)) <= 4 * ROUTES_MAX + 1


def test_percentiles_are_over_the_calls_of_all_workers() -> None:
    window = Window()
    window.add("one", 100.0, [totals(90, ms=10)])
    window.add("two", 100.0, [totals(10, ms=1000)])
    route = only(window, 100.0)
    assert route.latency_p50_ms == pytest.approx(10, rel=0.07)
    assert route.latency_p95_ms == pytest.approx(1000, rel=0.07)
    assert route.latency_p99_ms == pytest.approx(1000, rel=0.07)


def test_loop_time_is_projected_from_the_metered_calls() -> None:
    window = Window()
    window.add("one", 100.0, [])
    sampled = RouteTotals("GET", "/a", calls=80, metered=10, loop_ns=10 * 5 * MS)
    window.add("one", 109.0, [sampled])
    # 80 calls of 5 ms in the 10 s since the worker began.
    assert only(window, 109.0).loop_percent == pytest.approx(4.0)


def test_routes_that_take_most_loop_time_come_first() -> None:
    window = Window()
    window.add(
        "one",
        100.0,
        [
            totals(9, route="/often"),
            totals(1, route="/heavy", loop_ms=50),
            totals(2, route="/rare"),
        ],
    )
    assert [route.route for route in window.routes(100.0)] == ["/heavy", "/often", "/rare"]


def test_a_worker_that_fell_silent_fades_out() -> None:
    window = Window()
    for second in range(11):
        window.add("one", 100.0 + second, [totals(10 * second)])
    before = window.requests_per_second("one", 110.0)
    assert window.requests_per_second("one", 170.0) < before / 5


def test_a_window_that_saw_nothing_is_empty() -> None:
    assert Window().routes(1.0) == []
    assert Window().requests_per_second("one", 1.0) == 0.0
