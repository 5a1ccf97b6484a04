"""The number of workers follows sustained load, and nothing shorter."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgrow.model import Replicas
from outgrow.placement.scale import Scaler

Load = Callable[[float], float]


def simulated(
    load: Load, seconds: int, *, replicas: Replicas, running: int, begun: int = 0
) -> list[int]:
    """The number of workers after each second, under a load in whole workers.

    Each worker is as busy as its share of the load makes it, 100 % at most.
    """
    scaler = Scaler(replicas, 60.0)
    history: list[int] = []
    for second in range(begun, begun + seconds):
        busy_percent = min(100.0, 100.0 * load(second) / running)
        running = scaler.wanted(float(second), running, [busy_percent] * running)
        history.append(running)
    return history


def changes(history: list[int]) -> int:
    return sum(one != other for one, other in itertools.pairwise(history))


def test_a_spike_starts_no_worker() -> None:
    def spikes(second: float) -> float:
        return 4.0 if second % 20 < 3 else 0.2

    assert set(simulated(spikes, 300, replicas=Replicas(1, 8), running=1)) == {1}


def test_sustained_load_starts_as_many_as_it_takes() -> None:
    history = simulated(lambda _: 3.0, 60, replicas=Replicas(1, 8), running=1)
    assert history[4] == 1
    assert history[-1] == 5  # 3 workers' load at 60 % each
    assert history == sorted(history)
    assert history.index(5) < 25


def test_growth_stops_at_the_upper_bound() -> None:
    history = simulated(lambda _: 50.0, 120, replicas=Replicas(1, 4), running=1)
    assert max(history) == history[-1] == 4


def test_after_a_quiet_minute_workers_leave_one_by_one() -> None:
    history = simulated(lambda _: 0.1, 400, replicas=Replicas(2, 8), running=5)
    assert set(history[:60]) == {5}
    assert history[-1] == 2
    steps = [one - other for one, other in itertools.pairwise(history)]
    assert max(steps) == 1
    left_at = [second for second, step in enumerate(steps) if step]
    assert all(later - earlier >= 60 for earlier, later in itertools.pairwise(left_at))


@given(
    load=st.floats(0.0, 10.0),
    running=st.integers(1, 8),
    noise=st.floats(0.0, 0.05),
)
def test_a_steady_load_does_not_swing_the_number(load: float, running: int, noise: float) -> None:
    def steady(second: float) -> float:
        return load * (1 + (noise if second % 2 else -noise))

    history = simulated(steady, 1500, replicas=Replicas(1, 8), running=running)
    settled = history[800:]
    assert changes(settled) == 0
    assert all(1 <= count <= 8 for count in history)


@given(load=st.floats(0.0, 4.0))
def test_the_number_fits_the_load_in_the_end(load: float) -> None:
    wanted = simulated(lambda _: load, 1500, replicas=Replicas(1, 8), running=8)[-1]
    busy_percent = 100 * load / wanted
    assert busy_percent <= 60 + 1e-6
    assert wanted == 1 or busy_percent * wanted / (wanted - 1) >= 60 * 0.7 - 1e-6


def test_growth_rests_between_two_steps() -> None:
    scaler = Scaler(Replicas(1, 9), 60.0)
    running, grown_at = 1, list[int]()
    for second in range(60):
        wanted = scaler.wanted(float(second), running, [100.0] * running)
        if wanted != running:
            running = wanted
            grown_at.append(second)
    assert running == 9
    gaps = itertools.pairwise(grown_at)
    assert all(later - earlier >= 5 for earlier, later in gaps)


@pytest.mark.parametrize(
    ("running", "wanted"),
    [
        pytest.param(1, 2, id="too few"),
        pytest.param(3, 3, id="within"),
        pytest.param(9, 4, id="too many"),
    ],
)
def test_without_a_measurement_only_the_bounds_hold(running: int, wanted: int) -> None:
    assert Scaler(Replicas(2, 4), 60.0).wanted(0.0, running, []) == wanted


def test_equal_bounds_never_scale() -> None:
    history = simulated(lambda _: 9.0, 200, replicas=Replicas(3, 3), running=3)
    assert set(history) == {3}
