"""Knees: the load from which on a system is no longer what it was.

By objective: the most traffic at which a quantile of the time stays within an objective. By
doubling: the traffic at which the mean time is twice that without waiting. By throughput: the
traffic that the first limit bears, `limits.saturation`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from outgrow.capacity.latency import beyond_ratio, mean_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from outgrow.capacity.model import Model

Floats = NDArray[np.float64]
HALVINGS_COUNT = 12
_NO_LOAD_RATIO = 0.01


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What users are promised.

    Attributes:
        operation: A class of traffic.
        seconds: That so many calls take at most.
        ratio: 0.99 for 99 in 100 calls.
    """

    operation: str
    seconds: float
    ratio: float = 0.99


def knee_by_objective(model: Model, objective: Objective, saturation: Floats) -> Floats:
    """Calls a second, of all classes, up to which the objective holds; 0 if it never does."""
    names = [one.name for one in model.classes]
    place = names.index(objective.operation)

    def holds(calls_per_second: Floats) -> NDArray[np.bool_]:
        late = beyond_ratio(model, calls_per_second, place=place, seconds=objective.seconds)
        return late <= 1 - objective.ratio

    return _highest(holds, saturation)


def knee_by_doubling(model: Model, saturation: Floats) -> Floats:
    """Calls a second at which the mean time is twice that of a call alone."""
    alone = (mean_seconds(model, saturation * _NO_LOAD_RATIO) * model.mix).sum(axis=1)

    def holds(calls_per_second: Floats) -> NDArray[np.bool_]:
        return (mean_seconds(model, calls_per_second) * model.mix).sum(axis=1) <= 2 * alone

    return _highest(holds, saturation)


def _highest(holds: Callable[[Floats], NDArray[np.bool_]], saturation: Floats) -> Floats:
    low, high = np.zeros_like(saturation), saturation.copy()
    for _ in range(HALVINGS_COUNT):
        middle = (low + high) / 2
        good = holds(middle)
        low, high = np.where(good, middle, low), np.where(good, high, middle)
    return np.where(low > 0, (low + high) / 2, 0.0)
