"""Bursts: from counts of arrivals in parts of 100 ms to what they do to a queue.

Arrivals are taken as Poisson with a rate that goes up and down. The variance of the counts beyond
that of a Poisson process is the rate's; how it falls from one part to the next is its memory. Both
belong to the traffic and not to its volume: at N times the traffic they stay, and so the index of
dispersion grows with N.

Source:
    Index of dispersion for counts of a doubly stochastic process: D. Cox, V. Isham, Point
    Processes, Chapman and Hall 1980, section 3.3; that queues see it over their own time scale:
    S. Li, C. Hwang, IEEE/ACM Trans. Networking 1(6), 1993.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from outgrow.capacity.model import Bursts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outgrow.capacity.evidence import Window

Floats = NDArray[np.float64]
PART_SECONDS = 0.1
STRETCH_PARTS = 200
STRETCHES_MIN = 12
_SURE_DEVIATIONS = 3.0
_MEMORY_SECONDS_MAX = 60.0


def bursts_of(windows: Iterable[Window]) -> Bursts:
    """How arrivals of all classes together go up and down, within stretches of some 20 s.

    Slower changes are the traffic's trend, which a queue follows, and no bursts.
    """
    excess = shared = weight = noise = 0.0
    windows = list(windows)
    longest = sum(max((one.parts for one in window.arrivals), default=0) for window in windows)
    for stretch in _stretches(windows, min(STRETCH_PARTS, longest // STRETCHES_MIN)):
        parts, total, squares, neighbours, pairs = stretch
        mean = total / parts
        excess += squares - parts * mean * mean - total
        shared += (neighbours - pairs * mean * mean) * parts / max(pairs, 1)
        weight += parts * mean * mean
        noise += 2 * parts * mean * mean
    if not weight or excess < _SURE_DEVIATIONS * math.sqrt(noise):
        return Bursts()
    kept = min(max(shared / excess, 0.05), 1 - PART_SECONDS / _MEMORY_SECONDS_MAX)
    memory_seconds = -PART_SECONDS / math.log(kept)
    return Bursts(rate_variance_ratio=excess / weight, memory_seconds=memory_seconds)


def _stretches(windows: Iterable[Window], parts: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Parts, arrivals, squares, products of neighbours and pairs, class by class."""
    sums: dict[str, list[int]] = {}
    for window in windows:
        for one in window.arrivals:
            row = sums.setdefault(one.operation, [0, 0, 0, 0, 0])
            added = (one.parts, one.total, one.squares, one.neighbours, max(one.parts - 1, 0))
            for place, value in enumerate(added):
                row[place] += value
            if row[0] >= max(parts, 1):
                yield tuple(sums.pop(one.operation))  # pyright: ignore[reportReturnType]


def arrival_variability(
    bursts: Bursts, calls_per_second: Floats, horizon_seconds: Floats
) -> Floats:
    """Index of dispersion over a horizon: 1 for Poisson, more for bursts.

    Args:
        bursts: Of the traffic.
        calls_per_second: At which it is asked.
        horizon_seconds: The time over which the queue remembers.
    """
    memory = bursts.memory_seconds
    if not bursts.rate_variance_ratio or not memory:
        return np.ones_like(calls_per_second)
    passed = np.minimum(np.maximum(horizon_seconds, 1e-9) / memory, 1e6)
    seen = 1 - (1 - np.exp(-passed)) / passed
    return 1 + 2 * bursts.rate_variance_ratio * calls_per_second * memory * seen
