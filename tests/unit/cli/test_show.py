"""The status and other tables as people read them."""

from __future__ import annotations

from typing import Any

import pytest

from outgrow.cli.show import bytes_shown, ms_shown, table
from outgrow.cli.status import lines_of

WORKER: dict[str, Any] = {
    "name": "web/1",
    "pid": 1234,
    "version": 2,
    "state": "ready",
    "busy_percent": 12.5,
    "requests_per_second": 1.25,
    "requests_total": 10,
    "in_flight": 3,
    "connections": 4,
    "memory_bytes": 41_000_000,
    "restarts": 1,
    "up_seconds": 90.0,
}
GROUP: dict[str, Any] = {
    "name": "web",
    "runs": ["orders", "web"],
    "min": 1,
    "max": 1,
    "wanted": 1,
    "ready": 1,
    "busy_percent": 12.5,
    "busy_percent_aim": 60.0,
}
LINK: dict[str, Any] = {
    "caller": "Orders.place",
    "callee": "Stock.reserve",
    "calls_total": 9,
    "calls_per_second": 2.25,
    "errors_per_second": 0.5,
    "refused_per_second": 0.0,
    "latency_p50_ms": 1.25,
    "latency_p99_ms": None,
}
ROUTE: dict[str, Any] = {
    "method": "GET",
    "route": "/items/{id}",
    "requests_total": 1,
    "requests_per_second": 1.5,
    "errors_per_second": 0.0,
    "latency_p50_ms": 1.25,
    "latency_p95_ms": 250.4,
    "latency_p99_ms": None,
    "loop_percent": 3.2,
}


def status(**changed: Any) -> dict[str, Any]:
    return {
        "app": "main:app",
        "interface": "asgi3",
        "framework": "fastapi",
        "version": 2,
        "state": "running",
        "addresses": ["http://127.0.0.1:8000"],
        "window_seconds": 10.0,
        "groups": [GROUP],
        "workers": [WORKER],
        "routes": [ROUTE],
        "links": [],
        "events": [],
    } | changed


def test_the_first_line_says_what_runs_where() -> None:
    assert lines_of(status())[0] == (
        "main:app (fastapi), version 2, running on http://127.0.0.1:8000; 1 worker wanted"
    )


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        pytest.param({"framework": ""}, "main:app (asgi3)", id="no known framework"),
        pytest.param({"framework": None, "interface": None}, "main:app (?)", id="nothing known"),
        pytest.param(
            {"groups": [GROUP | {"min": 2, "max": 4, "wanted": 3}]},
            "3 of 2 to 4 workers",
            id="scaling",
        ),
        pytest.param({"addresses": ["unix:/a", "unix:/b"]}, "unix:/a, unix:/b", id="addresses"),
    ],
)
def test_the_first_line_follows_what_is_known(changed: dict[str, Any], shown: str) -> None:
    assert shown in lines_of(status(**changed))[0]


def cells(lines: list[str], first: str) -> dict[str, str]:
    """The row that begins with this word, by heading."""
    number = next(number for number, line in enumerate(lines) if line.startswith(first))
    above = next(
        line
        for line in reversed(lines[:number])
        if line.split()[0] in ("worker", "route", "group", "link")
    )
    names, row = (
        [part.strip() for part in line.split("  ") if part.strip()]
        for line in (above, lines[number])
    )
    return dict(zip(names, row, strict=True))


def test_a_worker_has_a_row() -> None:
    assert cells(lines_of(status()), "web/1") == {
        "worker": "web/1",
        "pid": "1234",
        "version": "2",
        "state": "ready",
        "busy": "12 %",
        "requests/s": "1.2",
        "in flight": "3",
        "connections": "4",
        "memory": "41 MB",
        "restarts": "1",
        "up": "90 s",
    }


def test_a_route_has_a_row() -> None:
    assert cells(lines_of(status()), "GET /items") == {
        "route": "GET /items/{id}",
        "requests/s": "1.5",
        "errors/s": "0.0",
        "p50 ms": "1.2",
        "p95 ms": "250",
        "p99 ms": "-",
        "of a core": "3.2 %",
    }


def test_a_link_has_a_row() -> None:
    assert cells(lines_of(status(links=[LINK])), "Orders.place") == {
        "link": "Orders.place -> Stock.reserve",
        "calls/s": "2.2",
        "errors/s": "0.5",
        "refused/s": "0.0",
        "p50 ms": "1.2",
        "p99 ms": "-",
    }


def test_groups_have_rows_where_there_are_several() -> None:
    work = GROUP | {"name": "work", "runs": ["mail"], "min": 1, "max": 4, "wanted": 2, "ready": 2}
    lines = lines_of(status(groups=[GROUP, work]))
    assert "3 workers wanted" in lines[0]
    assert cells(lines, "work") == {
        "group": "work",
        "runs": "mail",
        "workers": "2 of 1 to 4",
        "busy": "12 %",
    }
    assert not any(line.startswith("group") for line in lines_of(status()))


def test_many_links_are_cut_and_counted() -> None:
    links = [LINK | {"callee": f"Stock.{number}"} for number in range(40)]
    lines = lines_of(status(links=links))
    assert sum("-> Stock" in line for line in lines) == 15
    assert "and 25 more: --json shows all" in lines


def test_a_worker_that_starts_has_no_process_yet() -> None:
    lines = lines_of(status(workers=[WORKER | {"pid": 0, "state": "starting"}]))
    assert cells(lines, "web/1")["pid"] == "-"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        *((0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min")),
        *((7200, "2 h"), (172_799, "48 h"), (172_800, "2 d"), (8_640_000, "100 d")),
    ],
)
def test_a_time_is_shown_in_a_unit_that_fits(seconds: float, shown: str) -> None:
    assert (
        cells(lines_of(status(workers=[WORKER | {"up_seconds": seconds}])), "web/1")["up"] == shown
    )


def test_before_the_first_request_it_says_so() -> None:
    assert "no request yet" in lines_of(status(routes=[]))


def test_many_routes_are_cut_and_counted() -> None:
    routes = [ROUTE | {"route": f"/{number}"} for number in range(40)]
    lines = lines_of(status(routes=routes))
    assert sum(line.startswith("GET /") for line in lines) == 15
    assert "and 25 more: --json shows all" in lines


def test_the_last_events_are_shown_with_their_first_line() -> None:
    events = [{"at": 1_000_000.0 + n, "text": f"event {n}\nmore of it"} for n in range(5)]
    lines = lines_of(status(events=events))[-3:]
    assert [line.split("  ")[1] for line in lines] == ["event 2", "event 3", "event 4"]


def test_nothing_running_at_all_can_be_shown() -> None:
    lines = lines_of(status(workers=[], routes=[], state="starting"))
    assert "starting" in lines[0]


def test_a_table_has_columns_two_spaces_apart_with_numbers_to_the_right() -> None:
    rows = [{"name": "a", "count": "5"}, {"name": "longer", "count": "12345678"}]
    assert table(rows, {"count"}) == [
        "name       count",
        "a              5",
        "longer  12345678",
    ]


def test_no_line_of_a_table_ends_in_spaces() -> None:
    assert table([{"a": "1", "b": ""}], set()) == ["a  b", "1"]


def test_a_table_without_rows_is_nothing() -> None:
    assert table([], set()) == []


def test_quantities_have_as_many_digits_as_mean_something() -> None:
    assert [ms_shown(value) for value in (None, 0.04, 99.94, 100.0)] == ["-", "0.0", "99.9", "100"]
    assert [bytes_shown(value) for value in (0, 41_400_000)] == ["", "41 MB"]
