"""A plan of growth: patterns, one after the other, until the system bears so much traffic.

Each step moves the limit that binds first then, by the pattern that is worth the most: what it wins
times how surely, less its effort. All draws are changed alike, so the plan knows how sure it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from outgrow.capacity.interval import Interval, interval
from outgrow.capacity.limits import first_limits, saturation, station_limits
from outgrow.capacity.model import stacked
from outgrow.capacity.patterns import (
    EFFORT_COST,
    WORKER_MEMORY_BYTES,
    BiggerMachine,
    BiggerPool,
    Replicate,
    admission_limit,
    patterns_for,
    propose,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from outgrow.capacity.evidence import Kind
    from outgrow.capacity.forecast import Forecast
    from outgrow.capacity.knees import Objective
    from outgrow.capacity.model import Model
    from outgrow.capacity.patterns import Pattern, Prices, Proposal, Traits

STEPS_MAX = 16
WAYS_DRAWS_COUNT = 40
"""Draws for what each pattern would bring by itself."""
PROTECTS_RATIO = 0.98
"""An objective that breaks below this part of saturation breaks first."""
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
        before: The system before it, its best estimate as the first draw.
        after: The system after it.
    """

    moved: Move
    knee_before: Interval
    knee_after: Interval
    first_after: str
    before: Model
    after: Model


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
        end: The system after all steps, its best estimate as the first draw.
    """

    target_per_second: float
    steps: tuple[GrowthStep, ...]
    bears: Interval
    sure_ratio: float
    end: Model
    stuck: str = ""
    stuck_kind: Kind | None = None


def move_of(
    told: Forecast,
    station: str,
    calls_per_second: float,
    *,
    allows: Callable[[Pattern], bool] = lambda _: True,
    traits: Traits | None = None,
) -> Move | None:
    """The pattern of least effort that has one limit bear so much; None where none is known."""
    moves = [
        _moved(told.model, told.draws, station, pattern)
        for pattern in patterns_for(told.draws, station, calls_per_second, traits)
        if allows(pattern) and not pattern.assumes
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
    told: Forecast,
    times: float,
    *,
    allows: Callable[[Pattern], bool] = lambda _: True,
    traits: Traits | None = None,
) -> GrowthPlan:
    """Steps that carry a system to so many times the traffic of now.

    Args:
        told: The forecast.
        times: Of the traffic of now.
        allows: Which patterns may be used; those that assume something never are.
        traits: What else was seen of the system.
    """
    target = times * told.now_per_second
    start = way = _Way(stacked(told.model, told.draws), target, traits)
    chosen: list[tuple[str, Pattern]] = []
    steps: list[GrowthStep] = []
    while not way.is_borne and len(chosen) < STEPS_MAX:
        found = way.next(allows)
        if found is None:
            break
        station, pattern, after = found
        steps.append(way.step_to(station, pattern, after))
        way = after
        _note(chosen, station, pattern)
    stuck = "" if way.is_borne else way.first()
    return GrowthPlan(
        target_per_second=target,
        steps=tuple(steps if len(steps) == len(chosen) else start.steps_by(chosen)),
        bears=way.knee,
        sure_ratio=way.sure_ratio,
        end=way.model,
        stuck=stuck,
        stuck_kind=way.kind_of(stuck) if stuck else None,
    )


def ways(
    told: Forecast,
    plan: GrowthPlan,
    *,
    allows: Callable[[Pattern], bool] = lambda _: True,
    traits: Traits | None = None,
    prices: Prices | None = None,
    worker_memory_bytes: int = WORKER_MEMORY_BYTES,
) -> tuple[Proposal, ...]:
    """Every pattern that comes into question at the first limit, each tried by itself, ranked.

    Where the plan is stuck, those at what is in its way follow, tried after its steps. Where an
    objective breaks before throughput does, it is its knee that counts, and an admission limit is
    among them.

    Args:
        told: The forecast.
        plan: To the traffic that is asked about.
        allows: Which patterns can be carried out at all.
        traits: What else was seen of the system.
        prices: Of what they take.
        worker_memory_bytes: That one worker takes.
    """
    target, objective = plan.target_per_second, binding_objective(told)
    now = stacked(told.model, told.draws.first_draws(WAYS_DRAWS_COUNT))
    found = [one for name in told.first for one in patterns_for(now, name, target, traits)]
    knee = told.knee_by_objective_per_second if objective else None
    if knee is not None and knee.best < target:
        found.append(admission_limit(told.model, knee.best))
    tried = partial(propose, prices=prices, worker_memory_bytes=worker_memory_bytes)
    ranked = tried(now, _once(found, allows), objective=objective)
    if plan.stuck and plan.stuck not in told.first:
        after = plan.end.first_draws(1 + WAYS_DRAWS_COUNT)
        rest = patterns_for(after, plan.stuck, target, traits)
        ranked += tried(after, _once(rest, allows))
    return tuple(ranked)


def binding_objective(told: Forecast) -> Objective | None:
    """The objective that breaks before throughput does, if one does and is kept now."""
    knee = told.knee_by_objective_per_second
    if knee is None or not 0 < knee.best < PROTECTS_RATIO * told.saturation_per_second.best:
        return None
    return told.broken_objective


def _once(found: Iterable[Pattern], allows: Callable[[Pattern], bool]) -> list[Pattern]:
    """Those that are allowed, each once."""
    return [one for one in {each.title: each for each in found}.values() if allows(one)]


class _Way:
    """A system on its way to a target: the best estimate as the first draw, and all others."""

    def __init__(self, model: Model, target: float, traits: Traits | None) -> None:
        self.model, self._target, self._traits = model, target, traits
        self._all_tops = saturation(model)
        self.tops = self._all_tops[1:]
        self.knee = interval(float(self._all_tops[0]), self.tops)
        self.sure_ratio = float((self.tops >= target).mean())

    @property
    def is_borne(self) -> bool:
        return self.sure_ratio >= SURE_RATIO

    def kind_of(self, station: str) -> Kind:
        return self.model.stations[self.model.index(station)].kind

    def first(self) -> str:
        """What binds most often in the draws that do not bear the target."""
        first = first_limits(self.model, self._all_tops)[1:][self.tops < self._target]
        return self.model.stations[int(np.bincount(first).argmax())].name

    def first_of_all(self) -> str:
        """What binds first by the best estimate."""
        one = self.model.first_draws(1)
        return self.model.stations[int(first_limits(one, self._all_tops[:1])[0])].name

    def changed(self, pattern: Pattern) -> _Way:
        return _Way(pattern.applied(self.model), self._target, self._traits)

    def limit(self, station: str) -> Interval:
        """At which a station binds, were it the only limit."""
        bears = station_limits(self.model)[:, self.model.index(station)]
        return interval(float(bears[0]), bears[1:])

    def next(self, allows: Callable[[Pattern], bool]) -> tuple[str, Pattern, _Way] | None:
        """The pattern that is worth the most at the first limit; None where nothing moves it."""
        station = self.first()
        # A limit that bears enough by itself may still be in the way: then it is moved further.
        aim = max(self._target, FURTHER_RATIO * self.limit(station).low)
        found: list[tuple[float, Pattern, _Way]] = []
        for pattern in patterns_for(self.model, station, aim, self._traits):
            if allows(pattern) and not pattern.assumes:
                after = self.changed(pattern)
                worth = self._worth(station, pattern, after)
                found += [] if worth is None else [(worth, pattern, after)]
        if not found:
            return None
        _, pattern, after = max(found, key=lambda one: one[0])
        return station, pattern, after

    def _worth(self, station: str, pattern: Pattern, after: _Way) -> float | None:
        """Doublings won on the way to the target, less the effort; None where nothing is won."""
        target = self._target
        gains = np.minimum(after.tops, target) / np.minimum(self.tops, target)
        moved = min(after.limit(station).best, target) / min(self.limit(station).best, target)
        surer = after.sure_ratio - self.sure_ratio
        is_won = max(float(gains.mean()), moved, 1 + surer) >= MOVED_RATIO
        if gains.mean() < 1 or not is_won:
            return None
        return float(np.log2(gains).mean()) - EFFORT_COST[pattern.effort]

    def step_to(self, station: str, pattern: Pattern, after: _Way) -> GrowthStep:
        """What a pattern has done."""
        moved = Move(
            station=station,
            kind=self.kind_of(station),
            pattern=pattern,
            before=self.limit(station),
            after=after.limit(station),
        )
        return GrowthStep(
            moved=moved,
            knee_before=self.knee,
            knee_after=after.knee,
            first_after=after.first_of_all(),
            before=self.model,
            after=after.model,
        )

    def steps_by(self, chosen: list[tuple[str, Pattern]]) -> list[GrowthStep]:
        """What each of some patterns brings, taken in turn from here."""
        way, steps = self, list[GrowthStep]()
        for station, pattern in chosen:
            after = way.changed(pattern)
            steps.append(way.step_to(station, pattern, after))
            way = after
        return steps


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
