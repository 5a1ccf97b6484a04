"""A forecast says where limits may hide that nobody measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outgrow.capacity import Forecast, StationWindow, Window, forecast
from outgrow.cli.forecast import not_known
from tests.unit.capacity.made import evidence, window


def with_pool(number: int) -> Window:
    """A call of 20 ms: 4 ms on the loop, 12 ms in which it holds a pool and waits for others."""
    made = window(number, 100 + number % 7)
    calls = made.operations[0].calls
    pool = StationWindow(
        name="pool",
        kind="pool",
        group="web",
        capacity=10,
        served=calls,
        hold_seconds=calls * 0.012,
        hold_squared_s2=calls * 0.0003,
        by_operation={"GET /": calls},
    )
    return replace(made, stations=(*made.stations, pool))


def test_time_within_holds_and_time_at_no_station_are_told_apart() -> None:
    told = forecast(evidence(*(with_pool(number) for number in range(24))), draws=20)
    assert isinstance(told, Forecast)
    assert told.unknown["pool"] == pytest.approx(0.6, abs=0.05)
    assert told.unknown["GET /"] == pytest.approx(0.2, abs=0.05)


def test_the_largest_parts_are_named_and_what_is_never_in_it_is_said() -> None:
    lines = not_known({"pool": 12.4, "GET /": 60.2, "threads": 7.0, "writer": 6.0})
    assert "60 % of it in `GET /`, 12 % of it in `pool`, 7 % of it in `threads`" in lines[0]
    assert "writer" not in lines[0]
    assert "open files" in lines[1]
    assert len(not_known({})) == 1
