"""A plan of growth: patterns, one after the other, until the system bears so much traffic.

Each step moves the limit that binds first then, by the pattern that is worth the most: what it wins
times how surely, less its effort. All draws are changed alike, so the plan knows how sure it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from outgrow.capacity.forecast import Interval, interval
from outgrow.capacity.limits import first_limits, saturation, station_limits
from outgrow.capacity.patterns import (
    EFFORT_COST,
    BiggerMachine,
    BiggerPool,
    Replicate,
    patterns_for,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from outgrow.capacity.evidence import Kind
    from outgrow.capacity.forecast import Forecast
    from outgrow.capacity.model import Model
    from outgrow.capacity.patterns import Pattern

STEPS_MAX = 16
SURE_RATIO = 0.95
"""A plan is done when so many draws bear the traffic."""
MOVED_RATIO = 1.02
"""A limit that a pattern moves by less stays where it is."""
FURTHER_RATIO = 1.25
"""By how much a limit that bears enough by itself is moved where it is in the way of others."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """What a pattern does to one limit; each interval in calls of all classes a second.

    Attributes:
        before: At which the limit binds, were it the only one.
        after: At which it would then.
    """

    station: str
    kind: Kind
    pattern: Pattern
    before: Interval
    after: Interval


@dataclass(frozen=True, kw_only=True)
class GrowthStep:
    """One change of a plan.

    Attributes:
        moved: The limit that it moves.
        knee_before: What the system bears before it.
        knee_after: What it bears after it, and all steps before.
        first_after: What binds first then.
    """

    moved: Move
    knee_before: Interval
    knee_after: Interval
    first_after: str


@dataclass(frozen=True, kw_only=True)
class GrowthPlan:
    """Steps to so much traffic, and whether they get there.

    Attributes:
        target_per_second: Calls of all classes.
        steps: In the order in which they are taken; none where nothing is to be done.
        bears: What the system bears after all of them.
        sure_ratio: Share of draws in which that is enough.
        stuck: The limit that no pattern moves far enough; empty where the target is borne.
        stuck_kind: Its kind.
    """

    target_per_second: float
    steps: tuple[GrowthStep, ...]
    bears: Interval
    sure_ratio: float
    stuck: str = ""
    stuck_kind: Kind | None = None


def move_of(
    told: Forecast,
    station: str,
    calls_per_second: float,
    *,
    allows: Callable[[Pattern], bool] = lambda _: True,
) -> Move | None:
    """The pattern of least effort that has one limit bear so much; None where none is known."""
    moves = [
        _moved(told.model, told.draws, station, pattern)
        for pattern in patterns_for(told.draws, station, calls_per_second)
        if allows(pattern)
    ]
    reach = [one for one in moves if one.after.best >= MOVED_RATIO * one.before.best]
    return min(
        reach,
        key=lambda one: (one.after.low < calls_per_second, EFFORT_COST[one.pattern.effort]),
        default=None,
    )


def _moved(best: Model, drawn: Model, station: str, pattern: Pattern) -> Move:
    return Move(
        station=station,
        kind=best.stations[best.index(station)].kind,
        pattern=pattern,
        before=_interval_of(best, drawn, station),
        after=_interval_of(pattern.applied(best), pattern.applied(drawn), station),
    )


def _interval_of(best: Model, drawn: Model, station: str) -> Interval:
    """At which a station binds, were it the only limit."""
    place = best.index(station)
    return interval(float(station_limits(best)[0, place]), station_limits(drawn)[:, place])


def grow(
    told: Forecast, times: float, *, allows: Callable[[Pattern], bool] = lambda _: True
) -> GrowthPlan:
    """Steps that carry a system to so many times the traffic of now.

    Args:
        told: The forecast.
        times: Of the traffic of now.
        allows: Which patterns may be used.
    """
    target = times * told.now_per_second
    way = _Way(told.model, told.draws, target)
    chosen: list[tuple[str, Pattern]] = []
    while not way.is_borne and len(chosen) < STEPS_MAX:
        found = way.next(allows)
        if found is None:
            break
        way.take(found[1])
        _note(chosen, *found)
    stuck = "" if way.is_borne else way.first()
    return GrowthPlan(
        target_per_second=target,
        steps=_told(told, chosen, target),
        bears=way.knee,
        sure_ratio=float((way.tops >= target).mean()),
        stuck=stuck,
        stuck_kind=way.best.stations[way.best.index(stuck)].kind if stuck else None,
    )


def _told(
    told: Forecast, chosen: list[tuple[str, Pattern]], target: float
) -> tuple[GrowthStep, ...]:
    """What each of some patterns brings, taken in turn."""
    way = _Way(told.model, told.draws, target)
    steps: list[GrowthStep] = []
    for station, pattern in chosen:
        before = way.knee
        moved = _moved(way.best, way.drawn, station, pattern)
        way.take(pattern)
        after = GrowthStep(
            moved=moved, knee_before=before, knee_after=way.knee, first_after=way.first_of_all()
        )
        steps.append(after)
    return tuple(steps)


class _Way:
    """A system on its way to a target."""

    def __init__(self, best: Model, drawn: Model, target: float) -> None:
        self.best, self.drawn, self._target = best, drawn, target
        self._solve()

    def _solve(self) -> None:
        self.tops = saturation(self.drawn)
        self.knee = interval(float(saturation(self.best)[0]), self.tops)

    @property
    def is_borne(self) -> bool:
        return bool((self.tops >= self._target).mean() >= SURE_RATIO)

    def first(self) -> str:
        """What binds most often in the draws that do not bear the target."""
        short = self.tops < self._target
        first = first_limits(self.drawn, self.tops)[short]
        return self.best.stations[int(np.bincount(first).argmax())].name

    def first_of_all(self) -> str:
        """What binds first by the best estimate."""
        first = first_limits(self.best, saturation(self.best))
        return self.best.stations[int(first[0])].name

    def take(self, pattern: Pattern) -> None:
        """Change the system."""
        self.best, self.drawn = pattern.applied(self.best), pattern.applied(self.drawn)
        self._solve()

    def next(self, allows: Callable[[Pattern], bool]) -> tuple[str, Pattern] | None:
        """The pattern that is worth the most at the first limit; None where nothing moves it."""
        station = self.first()
        # A limit that bears enough by itself may still be in the way: then it is moved further.
        low = _interval_of(self.best, self.drawn, station).low
        aim = max(self._target, FURTHER_RATIO * low)
        found = [
            (worth, pattern)
            for pattern in patterns_for(self.drawn, station, aim)
            if allows(pattern) and (worth := self._worth(station, pattern)) is not None
        ]
        return (station, max(found, key=lambda one: one[0])[1]) if found else None

    def _worth(self, station: str, pattern: Pattern) -> float | None:
        """Doublings won on the way to the target, less the effort; None where nothing is won."""
        target = self._target
        after = saturation(pattern.applied(self.drawn))
        gains = np.minimum(after, target) / np.minimum(self.tops, target)
        move = _moved(self.best, self.drawn, station, pattern)
        moved = min(move.after.best, target) / min(move.before.best, target)
        surer = float((after >= target).mean() - (self.tops >= target).mean())
        is_won = max(float(gains.mean()), moved, 1 + surer) >= MOVED_RATIO
        if gains.mean() < 1 or not is_won:
            return None
        return float(np.log2(gains).mean()) - EFFORT_COST[pattern.effort]


def _note(chosen: list[tuple[str, Pattern]], station: str, pattern: Pattern) -> None:
    """Add a pattern; one that goes on with an earlier one takes its place."""
    for place, (earlier_station, earlier) in enumerate(chosen):
        whole = _together(earlier, pattern)
        if whole is not None:
            chosen[place] = (earlier_station, whole)
            return
    chosen.append((station, pattern))


def _together(one: Pattern, other: Pattern) -> Pattern | None:
    """Two changes of the same size as one; None where they are of different things."""
    if isinstance(one, Replicate) and isinstance(other, Replicate):
        return replace(other, before=one.before) if one.process == other.process else None
    if isinstance(one, BiggerMachine) and isinstance(other, BiggerMachine):
        return replace(other, before=one.before) if one.station == other.station else None
    if isinstance(one, BiggerPool) and isinstance(other, BiggerPool):
        return other if one.station == other.station else None
    return None
