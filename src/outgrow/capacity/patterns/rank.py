"""Patterns by what they win, how surely, and what they cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import special  # pyright: ignore[reportMissingTypeStubs]

from outgrow.capacity.interval import Interval, interval
from outgrow.capacity.knees import knee_by_objective
from outgrow.capacity.limits import first_limits, saturation
from outgrow.capacity.patterns.costs import WORKER_MEMORY_BYTES, Cost, cost_of
from outgrow.capacity.patterns.pattern import EFFORT_COST
from outgrow.capacity.patterns.surgery import spread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from outgrow.capacity.knees import Objective
    from outgrow.capacity.model import Model
    from outgrow.capacity.patterns.costs import Prices
    from outgrow.capacity.patterns.pattern import Pattern

BETTER_RATIO = 1.02
"""Less is no gain."""
GAIN_DEVIATION_RATIO = 0.06
"""By how much a gain is off for reasons that no draw holds, as `benchmarks/forecast/plans.py` has
measured."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A pattern and what it would bring.

    Attributes:
        before_per_second: The knee now: by objective where there is one, else by throughput.
        after_per_second: The knee then.
        gain_ratio: The one over the other.
        better_ratio: Probability that it is a gain at all.
        first_before: The first limit now.
        first_after: The first limit then.
        score: Doublings won, times that probability, less the effort.
    """

    pattern: Pattern
    before_per_second: Interval
    after_per_second: Interval
    gain_ratio: Interval
    better_ratio: float
    first_before: str
    first_after: str
    cost: Cost
    score: float


def propose(
    model: Model,
    patterns: Iterable[Pattern],
    *,
    objective: Objective | None = None,
    prices: Prices | None = None,
    worker_memory_bytes: int = WORKER_MEMORY_BYTES,
) -> list[Proposal]:
    """What each pattern would bring, the best first; those that assume something come last.

    Before and after are solved with the same draws, so what is uncertain in both cancels out.

    Args:
        model: The best estimate as its first draw, and others; see `stacked`.
        patterns: Each is tried by itself.
        objective: Whose knee counts; without one it is that by throughput.
        prices: Of what they take.
        worker_memory_bytes: That one worker takes.
    """
    now = _Solved(model, objective)
    found: list[Proposal] = []
    for pattern in patterns:
        then = _Solved(pattern.applied(model), objective)
        cost = cost_of(pattern, model, then.model, prices, worker_memory_bytes)
        found.append(_proposal(now, then, pattern, cost))
    return sorted(found, key=lambda one: (bool(one.pattern.assumes), -one.score))


class _Solved:
    """A system with its knee in each draw, and what binds first by the best estimate."""

    def __init__(self, model: Model, objective: Objective | None) -> None:
        self.model = model
        tops = saturation(model)
        self.knees = tops if objective is None else knee_by_objective(model, objective, tops)
        self.first = model.stations[int(first_limits(model.first_draws(1), tops[:1])[0])].name


def _of_draws(values: NDArray[np.float64]) -> Interval:
    return interval(float(values[0]), values[1:] if len(values) > 1 else values)


def _proposal(now: _Solved, then: _Solved, pattern: Pattern, cost: Cost) -> Proposal:
    gains = then.knees / np.maximum(now.knees, 1e-12)
    better, off = float((gains > BETTER_RATIO).mean()), np.ones(1)
    if np.ptp(gains) > 0 or gains[0] != 1.0:
        off = np.exp(GAIN_DEVIATION_RATIO * special.ndtri(spread(len(gains), 0.5, 0.0, 1.0)[:, 0]))
    gain = _of_draws(gains * off)
    return Proposal(
        pattern=pattern,
        before_per_second=_of_draws(now.knees),
        after_per_second=_of_draws(then.knees * off),
        gain_ratio=gain,
        better_ratio=better,
        first_before=now.first,
        first_after=then.first,
        cost=cost,
        score=math.log2(max(gain.best, 1e-6)) * better - EFFORT_COST[pattern.effort],
    )
