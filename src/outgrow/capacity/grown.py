"""Growth that is more than requests: some routes grow faster than others, and data pile up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from outgrow.telemetry import bucket_of, lower_edge_ns

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outgrow.capacity.evidence import Buckets
    from outgrow.capacity.model import Model
    from outgrow.capacity.rows import RowTime, RowTimes

Floats = NDArray[np.float64]
_DEVIATIONS_WIDE = 2 * 1.645
"""A 90 % interval is so many standard deviations wide."""


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How a system grows besides its traffic as a whole.

    Attributes:
        mix: How many times the growth of the rest a route or an operation has. An operation stands
            for those calls of each route that lead to it.
        data_ratio: How many times the rows of now there will be.
    """

    mix: Mapping[str, float] = field(default_factory=dict[str, float])
    data_ratio: float = 1.0


def with_mix(model: Model, growth: Growth) -> Model:
    """The model in which the traffic of now has the mix that it will have.

    Traffic is told along that mix from then on: at 10 times, a route that grows twice as fast as
    the rest has 20 times its calls of now.
    """
    factors = np.ones(len(model.classes))
    for name, times in growth.mix.items():
        leading = np.array(
            [
                1.0 if one.name == name else min(one.visits.get(name, 0.0), 1.0)
                for one in model.classes
            ]
        )
        factors *= 1 + (times - 1) * leading
    mix = model.mix * factors
    return replace(
        model,
        classes=tuple(
            replace(one, calls_per_second=one.calls_per_second * float(factor))
            for one, factor in zip(model.classes, factors, strict=True)
        ),
        mix=mix / mix.sum(axis=1, keepdims=True),
    )


def with_rows(
    model: Model, growth: Growth, times: RowTimes, random: np.random.Generator | None = None
) -> Model:
    """The model in which the statements that are known to grow with data have so many rows.

    Args:
        model: The system.
        growth: Says how many times the rows of now there will be.
        times: What a row costs.
        random: Draws the slopes within their intervals; without it each is the best.
    """
    more = np.zeros_like(model.seconds)
    longer = np.zeros(len(model.classes))
    for one in times.known:
        per_run = _drawn(one, model.draws, random) * one.rows * (growth.data_ratio - 1)
        visits = np.array([each.visits.get(one.operation, 0.0) for each in model.classes])
        for name in one.stations:
            place = model.index(name)
            more[:, place] += per_run[:, None] * visits
        longer += float(per_run.mean()) * visits
    whole = np.maximum(model.seconds, 1e-300)
    # Who holds a station for longer takes its cores in the same proportion; outermost first.
    for place in reversed(range(len(model.stations))):
        if model.stations[place].is_shared_out:
            share = model.inner_seconds[:, :, place, None] * model.uses / whole
            more[:, place] += (more * np.minimum(share, 1.0)).sum(axis=1)
    seconds = np.maximum(model.seconds + more, 0.0)
    ratio = seconds.sum(axis=2) / whole.sum(axis=2)
    return replace(
        model,
        classes=tuple(
            replace(
                one,
                mean_seconds=one.mean_seconds + float(extra),
                buckets=_stretched(one.buckets, 1 + float(extra) / max(one.mean_seconds, 1e-12)),
            )
            for one, extra in zip(model.classes, longer, strict=True)
        ),
        seconds=seconds,
        inner_seconds=model.inner_seconds * ratio[:, :, None],
    )


def _drawn(one: RowTime, draws: int, random: np.random.Generator | None) -> Floats:
    """Seconds a row; [draws]."""
    slope = one.seconds_per_row
    if random is None:
        return np.full(draws, slope.best)
    wide = (slope.high - slope.low) / _DEVIATIONS_WIDE
    return np.maximum(random.normal(slope.best, wide, draws), 0.0)


def _stretched(buckets: Buckets, ratio: float) -> Buckets:
    """A distribution in which everything takes so many times as long."""
    found: Buckets = {}
    for bucket, calls in buckets.items():
        middle = (lower_edge_ns(bucket) + lower_edge_ns(bucket + 1)) / 2
        moved = bucket_of(int(middle * ratio)) if ratio != 1 else bucket
        found[moved] = found.get(moved, 0) + calls
    return found
