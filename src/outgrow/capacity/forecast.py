"""The forecast: which limit binds first, at how much traffic, and how sure that is.

No number comes without an interval, and none comes where the evidence cannot carry it: then a
`Refusal` says why, and what to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from outgrow.capacity.demand import estimate
from outgrow.capacity.draws import DRAWS_COUNT, doubted, drifted, mixed, strained, window_weights
from outgrow.capacity.evidence import History
from outgrow.capacity.grown import Growth, with_mix, with_rows
from outgrow.capacity.interval import Interval, interval
from outgrow.capacity.knees import Objective, knee_by_doubling, knee_by_objective
from outgrow.capacity.latency import mean_seconds, quantile_seconds
from outgrow.capacity.learning import Correction, Lesson, corrected, learned
from outgrow.capacity.limits import CLOSE_RATIO, first_limits, saturation, station_limits
from outgrow.capacity.model import stacked
from outgrow.capacity.refusal import Refusal, refusal_of_interval, refusal_of_model, refusal_of_sums
from outgrow.capacity.rows import RowTimes, row_times
from outgrow.capacity.solve import solve
from outgrow.capacity.sums import sums_of
from outgrow.capacity.trend import Due, due_within
from outgrow.capacity.unknown import unknown_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.capacity.evidence import Evidence, Grade
    from outgrow.capacity.model import Model

Floats = NDArray[np.float64]
KNEE_DRAWS_COUNT = 100
"""Draws for knees by objective, which cost more than the others."""


@dataclass(frozen=True, kw_only=True)
class Limit:
    """One rung of the ladder.

    Attributes:
        station: What runs out.
        calls_per_second: At which it does, were it the only limit.
        headroom: That, over the traffic of now.
        first_ratio: Probability that it is the first.
        load_ratio: Share of it that is in use at the traffic of now.
    """

    station: str
    kind: str
    calls_per_second: Interval
    headroom: Interval
    first_ratio: float
    load_ratio: float


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What breaks first, and when.

    Attributes:
        now_per_second: Calls of all classes in the evidence.
        saturation_per_second: The knee by throughput.
        headroom: That, over the traffic of now.
        first: The first limit; with a second one that is nearly as close.
        ladder: All limits, the first one first.
        knee_by_doubling_per_second: Where the mean time has doubled.
        knee_by_objective_per_second: Of the objective that breaks first; None without objectives.
        broken_objective: That objective.
        unmeasured_ratio: Share of the time of calls that passes at no station: limits may hide in
            it that nobody has measured.
        unknown: Where that time passes, or time within holds that nothing explains, and its share
            of the time of calls: by class and by station.
        due: When the daily peak reaches what is safe of the knee, by objective where there is one;
            None where too few days are known.
        model: The best estimate, to be asked further.
        draws: As it might be as well.
        corrections: What load tests have taught of stations.
        rows: What a row costs, where it was asked how data grow.
    """

    grade: Grade
    now_per_second: float
    saturation_per_second: Interval
    headroom: Interval
    first: tuple[str, ...]
    ladder: tuple[Limit, ...]
    knee_by_doubling_per_second: Interval
    knee_by_objective_per_second: Interval | None
    broken_objective: Objective | None
    unmeasured_ratio: float
    unknown: dict[str, float]
    model: Model
    draws: Model
    due: Due | None = None
    corrections: dict[str, Correction] = field(default_factory=dict[str, Correction])
    rows: RowTimes = field(default_factory=RowTimes)


def forecast(
    evidence: Evidence,
    *,
    objectives: Sequence[Objective] = (),
    lessons: Sequence[Lesson] = (),
    growth: Growth | None = None,
    seed: int = 0,
    draws: int = DRAWS_COUNT,
    history: History | None = None,
) -> Forecast | Refusal:
    """Foresee the limits of a system.

    Args:
        evidence: Measurements of it at work.
        objectives: For how long calls may take.
        lessons: Of load tests.
        growth: What grows besides the traffic as a whole; all rates are told along that mix.
        seed: Of the draws; the same evidence and seed give the same answer.
        draws: More make the interval smoother and cost time.
        history: The days before, from which demand drifts and traffic grows.
    """
    history = history or History()
    sums = sums_of(evidence.windows())
    refusal = refusal_of_sums(evidence, sums)
    if refusal:
        return refusal
    best = estimate(evidence, sums, np.ones((1, len(sums.seconds))))
    top = saturation(best)
    refusal = refusal_of_model(best, float(top[0]))
    if refusal:
        return refusal
    random = np.random.default_rng(seed)
    weights = window_weights(len(sums.seconds), draws, random)
    drawn = doubted(strained(estimate(evidence, sums, weights, random), random), random)
    drawn = mixed(drifted(drawn, sums, random, history.days), sums, random)
    drawn, taught = learned(drawn, lessons)
    best = corrected(best, taught)
    rows = RowTimes()
    if growth is not None:
        rows = row_times(evidence.windows()) if growth.data_ratio != 1 else rows
        best = with_rows(with_mix(best, growth), growth, rows)
        drawn = with_rows(with_mix(drawn, growth), growth, rows, random)
    tops = saturation(drawn)
    found = interval(float(saturation(best)[0]), tops)
    refusal = refusal_of_interval(found.low, found.high)
    if refusal:
        return refusal
    told = _told(best, drawn, found, tops, objectives, taught)
    knee = told.knee_by_objective_per_second or told.saturation_per_second
    return replace(told, rows=rows, due=due_within(history.peaks_per_second, knee))


def _told(
    best: Model,
    drawn: Model,
    found: Interval,
    tops: Floats,
    objectives: Sequence[Objective],
    taught: dict[str, Correction],
) -> Forecast:
    now = best.calls_per_second
    few = drawn.first_draws(KNEE_DRAWS_COUNT)
    top = np.array([found.best])
    doubling = interval(
        float(knee_by_doubling(best, top)[0]), knee_by_doubling(few, tops[: few.draws])
    )
    broken, knee = _broken(best, few, top, tops[: few.draws], objectives)
    ladder = ladder_of(best, drawn, tops)
    known = taught.get(ladder[0].station)
    return Forecast(
        grade="verified" if known is not None and known.tests_count else best.grade,
        now_per_second=now,
        saturation_per_second=found,
        headroom=_over(found, now),
        first=_named(ladder),
        ladder=ladder,
        knee_by_doubling_per_second=doubling,
        knee_by_objective_per_second=knee,
        broken_objective=broken,
        unmeasured_ratio=unmeasured_ratio(best),
        unknown=unknown_parts(best),
        model=best,
        draws=few,
        corrections=taught,
    )


def _over(one: Interval, now: float) -> Interval:
    return Interval(best=one.best / now, low=one.low / now, high=one.high / now)


def _broken(
    best: Model,
    few: Model,
    top: Floats,
    tops: Floats,
    objectives: Sequence[Objective],
) -> tuple[Objective | None, Interval | None]:
    """The objective that breaks first, and where."""
    known = {one.name for one in best.classes}
    found = [
        (float(knee_by_objective(best, one, top)[0]), one)
        for one in objectives
        if one.operation in known
    ]
    if not found:
        return None, None
    at, broken = min(found, key=lambda pair: pair[0])
    return broken, interval(at, knee_by_objective(few, broken, tops))


def ladder_of(best: Model, drawn: Model, tops: Floats) -> tuple[Limit, ...]:
    """All limits, the first first: by the probability to be it, then by what they bear."""
    first = np.bincount(first_limits(drawn, tops), minlength=len(best.stations)) / drawn.draws
    bears, drawn_bears = station_limits(best)[0], station_limits(drawn)
    now = best.calls_per_second
    load = solve(best, np.array([now])).load_ratio[0]
    rungs: list[Limit] = []
    for place, station in enumerate(best.stations):
        if best.seconds_per_call()[0, place] <= 0:
            continue
        found = interval(float(bears[place]), drawn_bears[:, place])
        rungs.append(
            Limit(
                station=station.name,
                kind=station.kind,
                calls_per_second=found,
                headroom=_over(found, now),
                first_ratio=float(first[place]),
                load_ratio=float(load[place]),
            )
        )
    rungs.sort(key=lambda rung: rung.calls_per_second.best)
    leader = max(rungs, key=lambda rung: rung.first_ratio)
    return (leader, *(rung for rung in rungs if rung is not leader))


def _named(ladder: tuple[Limit, ...]) -> tuple[str, ...]:
    """The first limit, and a second that is too near to be told apart."""
    if len(ladder) < 2:
        return tuple(rung.station for rung in ladder)
    first, second = ladder[0], max(ladder[1:], key=lambda rung: rung.first_ratio)
    near = second.calls_per_second.best < CLOSE_RATIO * first.calls_per_second.best
    return (first.station, second.station) if near else (first.station,)


def unmeasured_ratio(model: Model) -> float:
    """Share of the time of calls that passes at none of the stations."""
    measured = (model.mix[0] * np.array([one.mean_seconds for one in model.classes])).sum()
    own = model.awaited_uses()[0] / np.maximum(model.uses[0], 1e-12)
    known = ((model.seconds[0] * own).sum(axis=0) * model.mix[0]).sum()
    return float(np.clip(1 - known / measured, 0.0, 1.0)) if measured > 0 else 0.0


@dataclass(frozen=True, kw_only=True)
class Response:
    """How long calls of one class take under a load."""

    calls_per_second: float
    mean_seconds: Interval
    p99_seconds: Interval


def response(told: Forecast, operation: str, calls_per_second: float) -> Response:
    """How long calls of one class would take at so many calls of all classes a second."""
    place = [one.name for one in told.model.classes].index(operation)
    one, many = (np.full(model.draws, calls_per_second) for model in (told.model, told.draws))
    return Response(
        calls_per_second=calls_per_second,
        mean_seconds=interval(
            float(mean_seconds(told.model, one)[0, place]), mean_seconds(told.draws, many)[:, place]
        ),
        p99_seconds=interval(
            float(quantile_seconds(told.model, one, place=place)[0]),
            quantile_seconds(told.draws, many, place=place),
        ),
    )


CURVE_DRAWS_COUNT = 40
CURVE_RATIOS = (0.02, *(step / 20 for step in range(2, 18)), 0.875, 0.9, 0.92, 0.94, 0.96, 0.98)
"""Parts of saturation at which a curve is told: closer together where it bends."""


def response_curve(told: Forecast, operation: str) -> tuple[Response, ...]:
    """How long calls of one class would take from nearly no load up to near saturation."""
    place = [one.name for one in told.model.classes].index(operation)
    each = stacked(told.model, told.draws.first_draws(CURVE_DRAWS_COUNT))
    rates = np.array(CURVE_RATIOS) * told.saturation_per_second.best
    many, loads = stacked(*[each] * len(rates)), np.repeat(rates, each.draws)
    means = mean_seconds(many, loads)[:, place].reshape(len(rates), -1)
    tails = quantile_seconds(many, loads, place=place).reshape(len(rates), -1)
    return tuple(
        Response(
            calls_per_second=float(rate),
            mean_seconds=interval(float(mean[0]), mean[1:]),
            p99_seconds=interval(float(tail[0]), tail[1:]),
        )
        for rate, mean, tail in zip(rates, means, tails, strict=True)
    )
