"""A queue under bursts agrees with its chain of states, solved by brute force."""

from __future__ import annotations

import numpy as np
import pytest

from outgrow.capacity.flow import through
from outgrow.capacity.model import Bursts
from outgrow.capacity.modulated import through_bursts

LEVELS = 700


def bursts(variance: float, memory: float, peak: float) -> Bursts:
    return Bursts(
        rate_variance_ratio=np.array([variance]),
        memory_seconds=np.array([memory]),
        peak_share=np.array([peak]),
    )


def by_brute_force(curve: list[float], rate: float, shape: Bursts) -> tuple[float, float, float]:
    """Probability to wait, mean wait and mean squared wait of those who arrive."""
    deviation, peak = float(shape.rate_variance_ratio[0]) ** 0.5, float(shape.peak_share[0])
    memory = float(shape.memory_seconds[0])
    rates = (
        rate * (1 + deviation * ((1 - peak) / peak) ** 0.5),
        rate * (1 - deviation * (peak / (1 - peak)) ** 0.5),
    )
    ends = ((1 - peak) / memory, peak / memory)
    step = np.zeros((2 * LEVELS, 2 * LEVELS))
    for level in range(LEVELS):
        for state in (0, 1):
            here = 2 * level + state
            step[here, 2 * level + 1 - state] += ends[state]
            if level + 1 < LEVELS:
                step[here, here + 2] += rates[state]
            if level:
                step[here, here - 2] += curve[min(level, len(curve)) - 1]
    np.fill_diagonal(step, -step.sum(axis=1))
    step[:, 0] = 1.0
    share = np.linalg.solve(step.T, np.eye(2 * LEVELS)[0]).reshape(LEVELS, 2)
    met = share @ np.array(rates) / rate
    ahead = np.arange(1, LEVELS - len(curve) + 1)
    late, most = met[len(curve) :], curve[-1]
    squared = float((late * (ahead**2 + ahead)).sum()) / most**2
    return float(late.sum()), float((late * ahead).sum()) / most, squared


@pytest.mark.parametrize(
    "shape",
    [bursts(0.25, 0.5, 0.5), bursts(0.09, 1.5, 0.5), bursts(1.0, 0.05, 0.3), bursts(0.2, 4, 0.7)],
    ids=["a second long", "long and low", "short and high", "mostly high"],
)
@pytest.mark.parametrize("curve", [[50.0], [20.0, 35.0, 50.0]], ids=["one", "three"])
def test_waits_under_bursts_are_those_of_the_chain(shape: Bursts, curve: list[float]) -> None:
    always = np.array([curve])
    found = through_bursts((always, always), np.array([40.0]), shape)
    waits, mean, squared = by_brute_force(curve, 40.0, shape)
    assert found.wait_ratio[0] == pytest.approx(waits, rel=1e-4)
    assert found.wait_seconds[0] == pytest.approx(mean, rel=1e-3)
    assert found.wait_squared_s2[0] == pytest.approx(squared, rel=1e-2)


def test_without_bursts_it_is_the_plain_flow() -> None:
    curve, rate = np.array([[20.0, 35.0, 50.0]]), np.array([30.0])
    plain, found = through(curve, rate), through_bursts((curve, curve), rate, Bursts.none(1))
    assert found.wait_seconds == pytest.approx(plain.wait_seconds, rel=1e-3)
    assert found.wait_squared_s2 == pytest.approx(plain.wait_squared_s2, rel=1e-3)
    assert found.hold_seconds == pytest.approx(plain.hold_seconds, rel=1e-3)
    assert found.wait_ratio == pytest.approx(plain.wait_ratio, rel=1e-3)
