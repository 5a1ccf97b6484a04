"""A plan: patterns by what they win, how surely, and what they cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from outgrow.capacity.forecast import Interval, interval
from outgrow.capacity.knees import knee_by_objective
from outgrow.capacity.limits import first_limits, saturation
from outgrow.capacity.patterns.costs import Cost, cost_of
from outgrow.capacity.patterns.pattern import EFFORT_COST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from outgrow.capacity.forecast import Forecast
    from outgrow.capacity.knees import Objective
    from outgrow.capacity.model import Model
    from outgrow.capacity.patterns.costs import Prices
    from outgrow.capacity.patterns.pattern import Pattern

BETTER_RATIO = 1.02
"""Less is no gain."""


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
    told: Forecast,
    patterns: Iterable[Pattern],
    *,
    objective: Objective | None = None,
    prices: Prices | None = None,
) -> list[Proposal]:
    """What each pattern would bring, the best first; those without a gain come last.

    Before and after are solved with the same draws, so what is uncertain in both cancels out.
    """
    found = [_proposal(told, pattern, objective, prices) for pattern in patterns]
    return sorted(found, key=lambda one: -one.score)


def _proposal(
    told: Forecast, pattern: Pattern, objective: Objective | None, prices: Prices | None
) -> Proposal:
    changed, drawn = pattern.applied(told.model), pattern.applied(told.draws)
    best_before, best_after = _knee(told.model, objective), _knee(changed, objective)
    before, after = _knee(told.draws, objective), _knee(drawn, objective)
    gains = after / np.maximum(before, 1e-12)
    gain = interval(float(best_after[0] / max(best_before[0], 1e-12)), gains)
    better = float((gains > BETTER_RATIO).mean())
    doublings = math.log2(max(gain.best, 1e-6))
    return Proposal(
        pattern=pattern,
        before_per_second=interval(float(best_before[0]), before),
        after_per_second=interval(float(best_after[0]), after),
        gain_ratio=gain,
        better_ratio=better,
        first_before=_first(told.model),
        first_after=_first(changed),
        cost=cost_of(pattern, told, prices),
        score=doublings * better - EFFORT_COST[pattern.effort],
    )


def _knee(model: Model, objective: Objective | None) -> NDArray[np.float64]:
    top = saturation(model)
    return top if objective is None else knee_by_objective(model, objective, top)


def _first(model: Model) -> str:
    return model.stations[int(first_limits(model, saturation(model))[0])].name
