"""Draws: the same evidence as it might have been, and the errors a model may have.

Much makes a forecast uncertain, and each is drawn: which windows happened to be seen (block
bootstrap), what service does under load that low load cannot show (strain), how far waits are from
those foretold, how the mix of classes will shift, and how demand drifts. The widths are constants
here, so that they can be frozen. Bursts, and what of threads is Python, are drawn where they are
estimated.

Source:
    Block bootstrap: H. Künsch, Annals of Statistics 17(3), 1989.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from outgrow.capacity.slopes import slope_of
from outgrow.capacity.sums import HOLD, NESTED, SERVED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.capacity.evidence import Grade, Kind, Window
    from outgrow.capacity.model import Model
    from outgrow.capacity.sums import Sums

Floats = NDArray[np.float64]
DRAWS_COUNT = 400
BLOCKS_COUNT = 12
"""Windows are drawn in stretches of a twelfth of them."""
STRAIN_DEVIATION: dict[Kind, float] = {
    "loop": 0.08,
    "gil": 0.08,
    "cpu": 0.08,
    "threads": 0.08,
    "pool": 0.08,
    "lock": 0.08,
    "bulkhead": 0.08,
    "downstream": 0.08,
    "queue": 0.08,
}
"""Standard deviation of the change of service from low load to full load, by kind of station."""
WAIT_DEVIATION = 0.45
"""Of the logarithm of waits over those foretold: formulas for one station are used in a network."""
GRADE_FACTOR: dict[Grade, float] = {"exact": 1.0, "metrics": 2.0, "verified": 0.5}
_STRAIN_MIN = -0.5
DRIFT_SECONDS_MIN = 86_400.0
"""Evidence of less than a day tells nothing of drift."""
CHANGE_MIN = -1.0
"""What falls to nothing within the days that were seen does not go on like that."""


def window_weights(count: int, draws: int, random: np.random.Generator) -> Floats:
    """How often each window is in each draw: stretches of them, with replacement."""
    length = max(1, round(count / BLOCKS_COUNT))
    starts = random.integers(0, count, (draws, -(-count // length)))
    taken = (starts[:, :, None] + np.arange(length)) % count
    taken = taken.reshape(draws, -1)[:, :count]
    weights = np.zeros((draws, count))
    for place in range(taken.shape[1]):
        weights[np.arange(draws), taken[:, place]] += 1
    return weights


def strained(model: Model, random: np.random.Generator) -> Model:
    """The model with a change of service under load drawn for each station."""
    factor = GRADE_FACTOR[model.grade] * (1 + 2 * model.unattributed_ratio)
    widths = np.array([STRAIN_DEVIATION[one.kind] for one in model.stations]) * factor
    drawn = random.normal(0.0, 1.0, model.strain_ratio.shape) * widths
    return replace(model, strain_ratio=np.maximum(drawn, _STRAIN_MIN))


def doubted(model: Model, random: np.random.Generator) -> Model:
    """The model with what its waits may be off by, and how evenly calls fall on replicas."""
    return replace(
        model,
        wait_error_ratio=np.exp(random.normal(0.0, WAIT_DEVIATION, model.draws)),
        evenness_ratio=random.uniform(0.0, 1.0, model.draws),
    )


def mixed(model: Model, sums: Sums, random: np.random.Generator) -> Model:
    """The model with the mix shifted as it has shifted between parts of the evidence.

    The shift is that which chance alone does not explain (a Dirichlet distribution of the same
    excess variance); where there is none, the mix stays as each draw has seen it.
    """
    calls = sums.calls[:, : len(sums.entries)]
    parts = [part for part in np.array_split(calls, min(BLOCKS_COUNT, len(calls))) if part.any()]
    totals = np.array([part.sum() for part in parts])
    shares = np.array([part.sum(axis=0) for part in parts]) / totals[:, None]
    mean = calls.sum(axis=0) / calls.sum()
    chance = (mean * (1 - mean)).sum() * float(np.mean(1 / totals))
    excess = float(((shares - mean) ** 2).mean(axis=0).sum()) - 2 * chance
    if excess <= 0 or len(mean) < 2:
        return model
    strength = max((mean * (1 - mean)).sum() / excess - 1, 1.0)
    shift = random.dirichlet(np.maximum(mean * strength, 1e-3), model.draws) / mean
    mix = model.mix * np.maximum(shift, 1e-6)
    return replace(model, mix=mix / mix.sum(axis=1, keepdims=True))


def drifted(
    model: Model, sums: Sums, random: np.random.Generator, days: Sequence[Window] = ()
) -> Model:
    """The model as demand will be if it goes on as it did: data grow, and statements slow down.

    Each station whose mean time in service has surely risen or fallen over the evidence (Theil-Sen,
    90 % interval) is drawn between its level now and that after as long again. Evidence of less
    than a day says that by the days before it.
    """
    ends = [window.at_seconds + window.seconds for window in sums.windows]
    if not ends or ends[-1] - sums.windows[0].at_seconds < DRIFT_SECONDS_MIN:
        return _drifted_by_days(model, days, random)
    factors = np.ones((model.draws, len(model.stations)))
    for place, station in enumerate(model.stations):
        rows = sums.station.get(station.name)
        change = _change(rows, np.array(ends)) if rows is not None else 0.0
        factors[:, place] += change * random.uniform(0.5, 1.5, model.draws)
    return _times(model, factors)


def _drifted_by_days(model: Model, days: Sequence[Window], random: np.random.Generator) -> Model:
    factors = np.ones((model.draws, len(model.stations)))
    for place, station in enumerate(model.stations):
        used = [
            (day.at_seconds, (one.hold_seconds - one.nested_wait_seconds) / one.served)
            for day in days
            for one in day.stations
            if one.name == station.name and one.served
        ]
        at, means = np.array([at for at, _ in used]), np.array([mean for _, mean in used])
        change = max(_sure_change(at, means), CHANGE_MIN)
        # What is measured now is the level at the end of these days, and not that of their middle.
        factors[:, place] += change / (1 + change / 2) * random.uniform(0.0, 1.0, model.draws)
    return _times(model, factors)


def _times(model: Model, factors: Floats) -> Model:
    factors = np.maximum(factors, 0.1)
    return replace(
        model,
        seconds=model.seconds * factors[:, :, None],
        inner_seconds=model.inner_seconds * factors[:, None, :],
    )


def _change(rows: Floats, ends: Floats) -> float:
    """By how much the mean time in service has surely changed over all windows, of its mean."""
    used = rows[:, SERVED] > 0
    return _sure_change(
        ends[used],
        (rows[used, HOLD] - rows[used, NESTED]) / rows[used, SERVED],
        float(np.ptp(ends)),
    )


def _sure_change(at_seconds: Floats, means: Floats, span_seconds: float | None = None) -> float:
    slope = slope_of(at_seconds.tolist(), means.tolist())
    if slope is None or slope.low <= 0 <= slope.high:
        return 0.0
    span_seconds = float(np.ptp(at_seconds)) if span_seconds is None else span_seconds
    return slope.best * span_seconds / max(float(means.mean()), 1e-300)
