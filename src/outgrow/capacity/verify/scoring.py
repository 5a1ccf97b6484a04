"""What a load test says of a forecast: where the knee is, what is full there, and how far off.

The knee is the most that was served at one rate, of the mix as a whole: where one kind of requests
falls short of the others, what all would be served at in their shares is told by that kind.
Requests come by chance, so what is counted in some seconds is not exact either: it has the interval
of a Poisson count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outgrow.capacity.interval import Interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from outgrow.capacity.verify.driving import Step

_NORMAL_95 = 1.645
FULL_RATIO = 0.85
"""Stations as full as this, of the fullest one, are full as well; the innermost is to blame."""
CHANCE_DEVIATIONS = 3.0
"""A kind that falls short by more standard deviations of its count is what limits the mix."""
INNERMOST = ("cpu", "gil", "loop", "lock", "downstream", "queue", "pool", "threads", "bulkhead")
"""Kinds by how much they hold others: those that hold nothing first."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """A forecast beside what was measured; in calls of all routes a second.

    Attributes:
        foretold: The first limit.
        measured: The knee; what was borne at least, where the limit was not reached.
        is_reached: Whether it was.
        first_foretold: What was said to bind first.
        first_measured: What did; empty where it was not reached, or nobody saw it.
        is_held: The intervals overlap, and what was said to bind did. None where nothing is known:
            the limit was not reached and more may be borne, the machine was busy with others, or
            what was sent was another mix than that of the forecast.
    """

    foretold: Interval
    measured: Interval
    is_reached: bool
    first_foretold: tuple[str, ...]
    first_measured: str
    is_held: bool | None

    @property
    def error_ratio(self) -> float:
        """How far above what was measured the forecast was; negative below."""
        return self.foretold.best / max(self.measured.best, 1e-9) - 1


def score(
    foretold: Interval,
    first: Sequence[str],
    steps: Sequence[Step],
    *,
    is_reached: bool,
    first_measured: str = "",
    others_per_second: float = 0.0,
    is_disturbed: bool = False,
    is_other_mix: bool = False,
) -> Score:
    """Compare.

    Args:
        foretold: Where the first limit was said to be.
        first: What it was said to be.
        steps: Of the load test; at least one.
        is_reached: The limit has bound in it.
        first_measured: What was full; empty where that is not known.
        others_per_second: Requests that others sent meanwhile.
        is_disturbed: Others kept the machine busy: less than was foretold is no fault of it then.
        is_other_mix: What was sent went to other routes than the forecast is of.
    """
    measured = knee_of(steps, others_per_second)
    is_held: bool | None = None
    if is_reached:
        is_held = measured.high >= foretold.low and measured.low <= foretold.high
        is_held = is_held and first_measured in ("", *first)
        if is_disturbed and not is_held and measured.best < foretold.best:
            is_held = None
    elif measured.low > foretold.high:
        is_held = False
    if is_other_mix:
        is_held = None
    return Score(
        foretold=foretold,
        measured=measured,
        is_reached=is_reached,
        first_foretold=tuple(first),
        first_measured=first_measured if is_reached else "",
        is_held=is_held,
    )


def knee_of(steps: Sequence[Step], others_per_second: float = 0.0) -> Interval:
    """The most that was served, in requests of the whole mix a second, with those of others."""
    by_rate: dict[float, list[Step]] = {}
    for step in steps:
        by_rate.setdefault(step.rate_per_second, []).append(step)
    rate, count = max(_served(each) for each in by_rate.values())
    off = rate * _NORMAL_95 / math.sqrt(max(count, 1))
    knee = rate + others_per_second
    return Interval(best=knee, low=max(knee - off, 0.0), high=knee + off)


def _served(steps: Sequence[Step]) -> tuple[float, int]:
    """What was served a second at one rate, and the count that tells it."""
    seconds = sum(step.seconds for step in steps)
    sent, good = sum(step.sent for step in steps), sum(step.good for step in steps)
    found = good / seconds, good
    for kind in range(len(steps[0].sent_by_kind)):
        due = sum(step.sent_by_kind[kind] for step in steps)
        served = sum(step.good_by_kind[kind] for step in steps)
        # Chance has some kind fall a little short of the others in each step.
        if not due:
            continue
        most = (served + CHANCE_DEVIATIONS * math.sqrt(due)) / due
        if most < found[0] * seconds / sent:
            found = sent / seconds * served / due, served
    return found


def first_of(loads: Mapping[str, tuple[str, float]]) -> str:
    """What is to blame of several stations that are full.

    Args:
        loads: Kind of each station, and its share in use.

    Returns:
        The innermost of the fullest ones; empty where there are none.
    """
    fullest = max((load for _, load in loads.values()), default=0.0)
    full = [name for name, (_, load) in loads.items() if load >= FULL_RATIO * fullest]
    return min(
        full,
        key=lambda name: (INNERMOST.index(loads[name][0]), -loads[name][1]),
        default="",
    )
