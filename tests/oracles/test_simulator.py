"""The simulator agrees with closed forms: it may examine the model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outgrow.capacity.simulate import Hold, Place, Rest, Run, Serve, Simulation, Task
from tests.oracles.simulated import calls_of, mean_seconds_of, ms, saturation_of, system

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def one_station(capacity: int, cv: float) -> Simulation:
    task = Task(name="GET /", process="web", steps=(Serve("desk", ms(10, cv)),))
    what = system(task, places=(Place(name="desk", kind="downstream", capacity=capacity),))
    return Simulation(what, seed=3, rate_per_second=70 * capacity)


@pytest.mark.parametrize(
    ("capacity", "cv", "expected_ms"),
    [
        pytest.param(1, 1.0, 10 / 0.3, id="M/M/1"),
        pytest.param(1, 0.0, 10 + 10 * 0.7 / 0.3 / 2, id="M/D/1"),
        pytest.param(4, 1.0, 10 + 10 * 0.4287 / 1.2, id="M/M/4, from tables of Erlang C"),
    ],
)
def test_a_station_answers_as_the_formula(capacity: int, cv: float, expected_ms: float) -> None:
    windows = one_station(capacity, cv).run(seconds=800 / capacity, window_seconds=100 / capacity)
    assert mean_seconds_of(windows) * 1e3 == pytest.approx(expected_ms, rel=0.07)


def test_three_stations_in_a_row_are_those_of_jackson() -> None:
    names = ("one", "two", "three")
    steps = tuple(Serve(name, ms(mean)) for name, mean in zip(names, (5, 8, 3), strict=True))
    places = tuple(Place(name=name, kind="downstream") for name in names)
    what = system(Task(name="GET /", process="web", steps=steps), places=places)
    windows = Simulation(what, seed=4, rate_per_second=90.0).run(seconds=400)
    expected = sum(mean / 1e3 / (1 - 90 * mean / 1e3) for mean in (5, 8, 3))
    assert mean_seconds_of(windows) == pytest.approx(expected, rel=0.08)


def test_the_same_seed_gives_the_same_run() -> None:
    runs = [one_station(1, 1.0).run(seconds=20) for _ in range(2)]
    assert runs[0] == runs[1]


def test_a_loop_bears_one_over_its_demand() -> None:
    what = system(Task(name="GET /", process="web", steps=(Run(ms(2)), Rest(ms(5)), Run(ms(3)))))
    assert saturation_of(what) == pytest.approx(200, rel=0.04)


def test_waits_inside_of_a_hold_are_told_apart() -> None:
    steps = (Hold("pool", (Rest(ms(5)), Serve("lock", ms(5)))),)
    places = (
        Place(name="pool", kind="pool", capacity=8, process="web"),
        Place(name="lock", kind="lock"),
    )
    what = system(Task(name="POST /", process="web", steps=steps), places=places)
    windows = Simulation(what, seed=6, rate_per_second=150.0).run(seconds=60)
    pool = [one for window in windows for one in window.stations if one.name == "pool"]
    served = sum(one.served for one in pool)
    net = sum(one.hold_seconds - one.nested_wait_seconds for one in pool) / served
    assert net == pytest.approx(0.010, rel=0.05)
    assert sum(one.nested_wait_seconds for one in pool) / served > 0.005


def test_refused_calls_are_tried_again() -> None:
    task = Task(name="GET /", process="web", steps=(Serve("desk", ms(10)),))
    what = system(task, places=(Place(name="desk", kind="bulkhead", queue_max=2),))
    what = replace(what, traffic=replace(what.traffic, attempts_max=3))
    simulation = Simulation(what, seed=7, rate_per_second=90.0)
    windows = simulation.run(seconds=60)
    assert simulation.counts.attempts > 1.05 * 90 * 60
    assert sum(one.errors for window in windows for one in window.operations) > 0
    assert calls_of(windows) > 0
