"""Says what would carry the app to more traffic: patterns, plans and curves, as the API answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from outgrow.dashboard import shapes
from outgrow.dashboard.advising import Adviser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.capacity import (
        Forecast,
        GrowthStep,
        Interval,
        Limit,
        Move,
        Objective,
        Pattern,
        Prices,
        Proposal,
        Response,
        Traits,
    )
    from outgrow.dashboard.advising import Advice

ENDLESS_MS = 60_000.0


def between(one: Interval, by: float = 1.0) -> shapes.Between:
    """An interval, in another unit."""
    return shapes.Between(best=one.best * by, low=one.low * by, high=one.high * by)


def limit_ahead(
    told: Forecast,
    rung: Limit,
    times: float,
    groups: Sequence[shapes.Group],
    traits: Traits | None = None,
) -> shapes.LimitAhead:
    """One rung of the ladder, with what moves it as far as it is asked to bear."""
    from outgrow.capacity import BY_HAND, move_of

    binds, adviser, move = rung.headroom.best < times, Adviser(groups), None
    if binds:
        target = times * told.now_per_second
        move = move_of(told, rung.station, target, allows=adviser.allows, traits=traits)
    return shapes.LimitAhead(
        station=rung.station,
        kind=rung.kind,
        calls_per_second=between(rung.calls_per_second),
        headroom=between(rung.headroom),
        first_percent=100 * rung.first_ratio,
        binds=binds,
        load_percent=100 * rung.load_ratio,
        pattern=None if move is None else _pattern(told, move, adviser.of(move.pattern)),
        by_hand=BY_HAND.get(rung.kind, "") if binds and move is None else "",
        learned=_learned(told, rung.station),
    )


def _learned(told: Forecast, station: str) -> shapes.Learned | None:
    found = told.corrections.get(station)
    if found is None:
        return None
    return shapes.Learned(
        tests=found.tests_count,
        shift_percent=100 * found.shift_ratio,
        width_ratio=found.width_ratio,
    )


def _pattern(told: Forecast, move: Move, advice: Advice) -> shapes.PatternAhead:
    return shapes.PatternAhead(
        title=move.pattern.title,
        effort=move.pattern.effort,
        how=advice.how,
        needs=list(move.pattern.needs),
        calls_per_second=between(move.after),
        headroom=between(move.after, 1 / told.now_per_second),
    )


def responding(told: Forecast, operation: str, points: Sequence[Response]) -> shapes.Responding:
    """The curve of one route."""
    return shapes.Responding(
        operation=operation,
        operations=operations_of(told),
        points=[
            shapes.ResponsePoint(
                calls_per_second=point.calls_per_second,
                mean_ms=_capped(point.mean_seconds),
                p99_ms=_capped(point.p99_seconds),
            )
            for point in points
        ],
    )


def operations_of(told: Forecast) -> list[str]:
    """The routes of a forecast, those first that take most of the first limit."""
    model = told.model
    seconds = model.seconds[0, model.index(told.first[0])]
    taken = {
        one.name: (float(each) * one.calls_per_second, one.calls_per_second)
        for one, each in zip(model.classes, seconds, strict=True)
    }
    return sorted(taken, key=lambda name: taken[name], reverse=True)


def _capped(one: Interval) -> shapes.Between:
    best, low, high = (min(each * 1e3, ENDLESS_MS) for each in (one.best, one.low, one.high))
    return shapes.Between(best=best, low=low, high=high)


def planned(
    told: Forecast,
    times: float,
    groups: Sequence[shapes.Group],
    *,
    only_placement: bool,
    traits: Traits | None = None,
    prices: Prices | None = None,
    worker_memory_bytes: int = 0,
) -> shapes.GrowthPlan:
    """Steps to a multiple of the traffic of now, and all ways past the first limit.

    Args:
        told: The forecast.
        times: The multiple.
        groups: Who runs where.
        only_placement: Take no step that `outgrow apply` does not carry out.
        traits: What else was seen of the app.
        prices: None where nobody said any.
        worker_memory_bytes: That one worker takes; 0 where that is not known.
    """
    from outgrow.capacity import (
        BY_HAND,
        WORKER_MEMORY_BYTES,
        Merge,
        Replicate,
        SplitOut,
        binding_objective,
        grow,
        ways,
    )

    adviser = Adviser(groups)

    def allows(pattern: Pattern) -> bool:
        is_placement = isinstance(pattern, Replicate | SplitOut | Merge)
        return adviser.allows(pattern) and (is_placement or not only_placement)

    costing = _Costing(prices, worker_memory_bytes or WORKER_MEMORY_BYTES)
    plan = grow(told, times, allows=allows, traits=traits)
    found_ways = ways(
        *(told, plan),
        allows=allows,
        traits=traits,
        prices=prices,
        worker_memory_bytes=costing.worker_memory_bytes,
    )
    by_hand = BY_HAND.get(plan.stuck_kind, "") if plan.stuck_kind else ""
    if plan.stuck and only_placement:
        by_hand = by_hand or "no change of placement moves it; plan without `--only-placement`"
    advices = [adviser.of(step.moved.pattern) for step in plan.steps]
    found = shapes.GrowthPlan(
        sentence="",
        times=times,
        target_per_second=plan.target_per_second,
        bears=between(plan.bears),
        sure_percent=100 * plan.sure_ratio,
        steps=[_step(told, *pair, costing) for pair in zip(plan.steps, advices, strict=True)],
        stuck=plan.stuck,
        by_hand=by_hand,
        ways=[_way(one, Adviser(groups).of(one.pattern)) for one in found_ways],
        objective=objective_in_words(binding_objective(told)),
        currency="" if prices is None else prices.currency,
        change=_change(advices, groups),
        foretold=_foretold(told, plan.steps, advices),
    )
    return msgspec.structs.replace(found, sentence=_sentence(found))


def _change(advices: Sequence[Advice], groups: Sequence[shapes.Group]) -> shapes.PlannedChange:
    """What of some advices `outgrow apply` carries out, in the placement of now."""
    return shapes.PlannedChange(
        moves=[move for one in advices for move in one.moves],
        merges=[merge for one in advices for merge in one.merges],
        sizes=[size for one in advices for size in one.sizes],
        groups=[
            shapes.PlannedGroup(
                name=one.name,
                runs=one.runs,
                replicas=f"{one.replicas_min}:{one.replicas_max}",
            )
            for one in groups
        ],
    )


def _foretold(
    told: Forecast, steps: Sequence[GrowthStep], advices: Sequence[Advice]
) -> shapes.Gain | None:
    """What the steps that `outgrow apply` carries out bring, and nothing else is done."""
    from outgrow.capacity import Together, propose, stacked

    patterns = [
        step.moved.pattern
        for step, advice in zip(steps, advices, strict=True)
        if advice.by == "apply"
    ]
    if not patterns:
        return None
    (one,) = propose(stacked(told.model, told.draws), [Together(tuple(patterns))])
    return shapes.Gain(
        before=between(one.before_per_second),
        after=between(one.after_per_second),
        gain=between(one.gain_ratio),
        first_after=one.first_after,
    )


def objective_in_words(one: Objective | None) -> str:
    """An objective on latency; empty for none."""
    if one is None:
        return ""
    return f"{100 * one.ratio:g} % of `{one.operation}` within {one.seconds * 1e3:g} ms"


@dataclass(frozen=True)
class _Costing:
    """What a worker takes, and what things cost."""

    prices: Prices | None
    worker_memory_bytes: int


def _step(told: Forecast, step: GrowthStep, advice: Advice, costing: _Costing) -> shapes.PlanStep:
    from outgrow.capacity import cost_of

    cost = cost_of(
        *(step.moved.pattern, step.before, step.after),
        costing.prices,
        costing.worker_memory_bytes,
    )
    return shapes.PlanStep(
        limit=step.moved.station,
        kind=step.moved.kind,
        pattern=_pattern(told, step.moved, advice),
        by=advice.by,
        limit_per_second=between(step.moved.before),
        knee_before=between(step.knee_before),
        knee_after=between(step.knee_after),
        first_after=step.first_after,
        workers=cost.workers,
        memory_bytes=cost.memory_bytes,
        cores=cost.cores,
        money_per_month=cost.money_per_month,
    )


def _way(one: Proposal, advice: Advice) -> shapes.Way:
    return shapes.Way(
        limit=one.first_before,
        title=one.pattern.title,
        effort=one.pattern.effort,
        by=advice.by,
        how=advice.how,
        needs=list(one.pattern.needs),
        assumes=one.pattern.assumes,
        before=between(one.before_per_second),
        after=between(one.after_per_second),
        gain=between(one.gain_ratio),
        better_percent=100 * one.better_ratio,
        first_after=one.first_after,
        workers=one.cost.workers,
        memory_bytes=one.cost.memory_bytes,
        cores=one.cost.cores,
        money_per_month=one.cost.money_per_month,
    )


def _sentence(plan: shapes.GrowthPlan) -> str:
    target, bears = plan.target_per_second or 0.0, plan.bears
    assert bears is not None
    told = f"{plan.times:g} times the traffic of now, {target:,.0f} requests a second"
    span = f"{bears.best:,.0f} ({bears.low:,.0f} to {bears.high:,.0f})"
    if not plan.steps and not plan.stuck:
        return f"Nothing is to be done for {told}: {span} are borne as it is."
    count = "1 step" if len(plan.steps) == 1 else f"{len(plan.steps)} steps"
    if not plan.stuck:
        return f"{count} to {told}: {span} are borne then."
    if not plan.steps:
        return f"No pattern moves `{plan.stuck}`, which bears {span} of {told}."
    return f"{count} towards {told}: {span} are borne then, and `{plan.stuck}` is in the way."
