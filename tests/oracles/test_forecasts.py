"""Forecasts from little load agree with what the same system does under much."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outgrow.capacity import Forecast, Growth, Objective, forecast, response
from outgrow.capacity.simulate import Compute, Hold, Place, Rest, Run, Simulation, System, Task
from tests.oracles.simulated import evidence_of, mean_seconds_of, ms, saturation_of, system

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def loop() -> System:
    return system(Task(name="GET /", process="web", steps=(Run(ms(3)), Rest(ms(10)), Run(ms(1)))))


def pool_before_lock() -> System:
    inner = Hold("writer", (Rest(ms(6, 0.5)),))
    work = (Run(ms(0.5)), Hold("pool", (Compute(ms(2), process="db"), inner, Run(ms(0.1)))))
    places = (
        Place(name="pool", kind="pool", capacity=10, process="web"),
        Place(name="writer", kind="lock"),
    )
    return system(Task(name="POST /", process="web", steps=work), places=places)


def told_of(what: System, rate: float) -> Forecast:
    told = forecast(evidence_of(what, rate), draws=100)
    assert isinstance(told, Forecast)
    return told


def test_a_loop_is_foreseen_from_a_fifth_of_its_load() -> None:
    told = told_of(loop(), 50.0)
    measured = saturation_of(loop())
    assert told.first == ("loop web",)
    assert told.saturation_per_second.best == pytest.approx(measured, rel=0.08)
    assert told.saturation_per_second.low < measured < told.saturation_per_second.high


def test_the_lock_is_blamed_and_not_the_pool_that_waits_for_it() -> None:
    told = told_of(pool_before_lock(), 30.0)
    assert told.first == ("writer",)
    assert told.saturation_per_second.best == pytest.approx(
        saturation_of(pool_before_lock()), rel=0.08
    )


def test_the_mean_time_is_foreseen_near_the_knee() -> None:
    what = loop()
    told = told_of(what, 50.0)
    windows = Simulation(what, seed=9, rate_per_second=200.0).run(seconds=150)
    foreseen = response(told, "GET /", 200.0).mean_seconds
    assert foreseen.best == pytest.approx(mean_seconds_of(windows), rel=0.25)
    assert foreseen.low <= foreseen.best <= foreseen.high


def test_a_strict_objective_breaks_before_throughput_does() -> None:
    evidence = evidence_of(loop(), 50.0)
    strict = Objective(operation="GET /", seconds=0.08)
    told = forecast(evidence, objectives=[strict], draws=60)
    assert isinstance(told, Forecast)
    assert told.broken_objective == strict
    assert told.knee_by_objective_per_second is not None
    assert 0 < told.knee_by_objective_per_second.best < 0.95 * told.saturation_per_second.best


def shop(checkouts: float) -> System:
    """Reads that keep the loop for 2 ms, and so many checkouts that hold a lock for 10 ms."""
    read = Task(name="GET /", process="web", steps=(Run(ms(2)), Rest(ms(5))))
    steps = (Run(ms(1)), Hold("writer", (Rest(ms(10, 0.5)),)))
    checkout = Task(name="POST /checkout", process="web", steps=steps)
    what = system(read, checkout, places=(Place(name="writer", kind="lock"),))
    return replace(
        what, traffic=replace(what.traffic, mix={"GET /": 0.9, checkout.name: checkouts})
    )


@pytest.mark.parametrize(("times", "first"), [(1.0, "loop web"), (3.0, "writer"), (6.0, "writer")])
def test_a_mix_that_grows_is_what_the_grown_mix_then_does(times: float, first: str) -> None:
    growth = Growth(mix={"POST /checkout": times})
    told = forecast(evidence_of(shop(0.1), 80.0), growth=growth, draws=100)
    assert isinstance(told, Forecast)
    measured = saturation_of(shop(0.1 * times))
    assert told.first == (first,)
    assert told.saturation_per_second.best == pytest.approx(measured, rel=0.08)
    assert told.saturation_per_second.low < measured < told.saturation_per_second.high
