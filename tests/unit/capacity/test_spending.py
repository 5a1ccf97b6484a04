"""What an app takes is given to those who take it, and a bill grows as its traffic does."""

from __future__ import annotations

import pytest

from outgrow.capacity import (
    Bill,
    Forecast,
    Prices,
    StatementWindow,
    bill_of,
    forecast,
    grow,
    spending_of,
)
from tests.unit.capacity.test_ways import CALLING, WINDOWS, calls_in

REQUESTS = sum(calls_in(number) for number in range(WINDOWS))
SELECT = StatementWindow(
    database="sqlite:shop.db",
    fingerprint="1",
    text="SELECT 1",
    caller="Stock.take",
    calls=REQUESTS,
    duration_seconds=REQUESTS * 0.003,
)


def test_each_service_has_its_part_of_cpu_and_database_time() -> None:
    taken = spending_of(CALLING, [SELECT])
    assert taken.whole.cpu_seconds == pytest.approx(0.008)
    assert {one.name: round(one.share_ratio, 3) for one in taken.services} == {
        "Stock": 0.5,
        "routes": 0.5,
    }
    assert {one.name: one.database_seconds for one in taken.services} == pytest.approx(
        {"Stock": 0.003, "routes": 0.0}
    )
    # One worker was there all the time.
    assert taken.whole.worker_seconds == pytest.approx(1 / taken.requests_per_second)
    assert taken.databases == 1


def test_cpu_time_that_rises_as_requests_do_has_an_elasticity_of_one() -> None:
    slope = spending_of(CALLING, []).elasticity
    assert slope is not None
    assert slope.best == pytest.approx(1.0)


def test_without_prices_there_are_quantities_and_no_money() -> None:
    told = forecast(CALLING, draws=60)
    assert isinstance(told, Forecast)
    taken, times = spending_of(CALLING, [SELECT]), 30.0
    plan = grow(told, times)
    prices = Prices(cpu_hour=0.1, database_month=50.0, currency="EUR")

    def bill(many: float, priced: Prices | None) -> Bill:
        return bill_of(
            plan,
            taken,
            times=many,
            calls_per_second=many * told.now_per_second,
            worker_memory_bytes=70_000_000,
            prices=priced,
        )

    plain, priced = bill(times, None), bill(times, prices)
    assert plain.money_per_month is None
    cores = 0.008 * told.now_per_second * times
    assert priced.cores.best == pytest.approx(cores, rel=0.01)
    money = priced.money_per_month
    assert money is not None
    assert money.best == pytest.approx(cores * 0.1 * 730 + 50, rel=0.01)
    assert money.low < money.best < money.high
