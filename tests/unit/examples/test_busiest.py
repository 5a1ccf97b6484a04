"""The demo's measured sentence, and its line for a place without a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from examples.busiest import busiest, requests_count, route_shares
from examples.screen import line


def worker(name: str, busy_percent: float, up_seconds: float = 60.0) -> dict[str, Any]:
    return {
        "name": name,
        "busy_percent": busy_percent,
        "state": "ready",
        "up_seconds": up_seconds,
    }


def route(name: str, loop_percent: float, requests_per_second: float = 10.0) -> dict[str, Any]:
    method, path = name.split()
    return {
        "method": method,
        "route": path,
        "loop_percent": loop_percent,
        "requests_per_second": requests_per_second,
        "latency_p99_ms": None if requests_per_second == 0 else 12.0,
    }


def status(workers: list[dict[str, Any]], routes: list[dict[str, Any]]) -> dict[str, Any]:
    return {"workers": workers, "routes": routes, "window_seconds": 10.0}


def test_the_sentence_names_the_busiest_worker_and_what_its_time_goes_to() -> None:
    routes = [
        route("GET /recommendations/{sku}", 24.0, 20.2),
        route("POST /orders", 15.0, 11.0),
        route("GET /products", 9.0, 30.0),
        route("GET /orders/{order_id}", 2.0, 20.0),
    ]
    assert busiest(status([worker("web/1", 61.2)], routes)) == (
        "Busiest: web/1, 61 % busy; of its time in routes, 48 % goes to "
        "GET /recommendations/{sku}, 30 % to POST /orders, 18 % to GET /products "
        "(measured over the last 10 s, 812 requests)."
    )


def test_with_two_workers_the_shares_are_said_to_be_of_all() -> None:
    workers = [worker("web/1", 40.0), worker("web/2", 43.0)]
    sentence = busiest(status(workers, [route("GET /", 80.0)]))
    assert sentence.startswith(
        "Busiest: web/2, 43 % busy; of all workers' time in routes, 100 % goes to GET / ("
    )


def test_small_shares_are_left_out_but_never_the_first() -> None:
    many = [route(f"GET /{number}", 1.0) for number in range(20)]
    assert busiest(status([worker("web/1", 5.0)], many)).count(" % ") == 2


@pytest.mark.parametrize(
    ("workers", "routes"),
    [
        ([], [route("GET /", 5.0)]),
        ([worker("web/1", 0.0)], [route("GET /", 5.0)]),
        ([worker("web/1", 50.0)], []),
        ([worker("web/1", 50.0)], [route("GET /", 0.0)]),
    ],
    ids=["no worker", "no busy worker", "no route", "no cost"],
)
def test_what_was_not_measured_is_not_said(
    workers: list[dict[str, Any]], routes: list[dict[str, Any]]
) -> None:
    assert busiest(status(workers, routes)) == ""


def test_shares_add_up_to_a_hundred_percent() -> None:
    shares = route_shares([route("GET /", 3.0), route("POST /", 9.0), route("PUT /", 0.0)])
    assert shares == [("POST /", 75.0), ("GET /", 25.0)]


def test_requests_are_those_of_the_window() -> None:
    routes = [route("GET /", 1.0, 2.5), route("POST /", 1.0, 1.5)]
    assert requests_count(status([worker("web/1", 1.0)], routes)) == 40


def test_a_worker_younger_than_the_window_is_measured_for_its_life() -> None:
    young = status([worker("web/1", 50.0, up_seconds=3.0)], [route("GET /", 5.0, 100.0)])
    assert "measured over the last 3 s, 300 requests" in busiest(young)


def test_a_route_without_requests_does_not_break_the_line() -> None:
    said = line(status([worker("web/1", 12.4)], [route("GET /", 0.0, 0.0)]))
    assert said == "web/1 ready 12 % busy | 0 requests/s | slowest route p99 0 ms"
