"""How long calls take under a load: the mean, and quantiles such as p99.

What a call takes now is measured. Under more load it takes what it waits more: the waits foretold
for that load less those foretold for now. For a quantile the sum of waits is an atom at zero (no
wait anywhere) and a gamma distributed rest of the same mean and variance, added to the measured
distribution.

Source:
    Wait at one station: zero with probability 1 - C, else exponential (M/M/m); L. Kleinrock,
    Queueing Systems I, section 5.7. Sums are matched by two moments, W. Whitt, Bell System
    Technical Journal 62(9), 1983 (the Queueing Network Analyzer).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray
from scipy import special  # pyright: ignore[reportMissingTypeStubs]

from outgrow.capacity.solve import Solution, solve
from outgrow.telemetry import lower_edge_ns

if TYPE_CHECKING:
    from outgrow.capacity.evidence import Buckets
    from outgrow.capacity.model import Model

Floats = NDArray[np.float64]
ENDLESS_SECONDS = 1e6
"""Stands for a wait without end."""
POINTS_MAX = 64
"""Points that stand for a measured distribution."""
_HALVINGS_COUNT = 18


@dataclass(frozen=True, kw_only=True)
class Waits:
    """What one call of each class waits and is slowed down; each of shape [draws, classes].

    Attributes:
        mean_seconds: Mean.
        variance_s2: Variance.
        none_ratio: Probability that it waits nowhere.
    """

    mean_seconds: Floats
    variance_s2: Floats
    none_ratio: Floats


def waits_of(model: Model, solution: Solution) -> Waits:
    """The waits of calls under a load that was solved."""
    own = model.awaited_uses()
    stretch = solution.hold_seconds / np.maximum(solution.net_seconds, 1e-300) - 1
    share = own / np.maximum(model.uses, 1e-12)
    inside = np.maximum(stretch, 0.0)[:, :, None] * model.seconds * share
    per_use = inside / np.maximum(own, 1e-12)
    ratio = solution.wait_ratio[:, :, None]
    # Endless waits are kept finite, so that no difference of two is taken of infinities.
    wait = np.minimum(solution.wait_seconds, ENDLESS_SECONDS)[:, :, None]
    squared = np.minimum(solution.wait_squared_s2[:, :, None], 2 * ENDLESS_SECONDS**2) - wait**2
    # An inner wait of mean h beside s of service is one of M/M/1 with the load h / (h + s).
    service = np.maximum(model.seconds / np.maximum(model.uses, 1e-12), 1e-12)
    inner_ratio = per_use / (per_use + service)
    inner_squared = 2 * per_use * (per_use + service) - per_use**2
    mean = own * wait + inside
    alike = _alike(model, solution, own, mean)
    again = np.maximum(own - 1, 0.0) * alike
    none = np.log1p(-np.minimum(ratio, 0.999999)) + np.log1p(-np.minimum(inner_ratio, 0.999999))
    return Waits(
        mean_seconds=mean.sum(axis=1),
        variance_s2=(own * (squared + inner_squared) * (1 + again)).sum(axis=1),
        none_ratio=np.exp(np.maximum((own - again) * none, -700).sum(axis=1).clip(-700)),
    )


def _alike(model: Model, solution: Solution, own: Floats, mean: Floats) -> Floats:
    """How much the waits of one call at its several visits to a station are alike, 0 to 1.

    A queue forgets within service / (1 - load)^2; a call that comes back sooner meets it again.
    """
    room = np.maximum(1 - solution.load_ratio, 1e-3)
    servers = np.array([one.capacity for one in model.stations])
    memory = solution.hold_seconds / servers / room**2
    taken = np.array([one.mean_seconds for one in model.classes])[None, :] + mean.sum(axis=1)
    between = taken[:, None, :] / np.maximum(own, 1.0)
    return np.exp(-between / np.maximum(memory, 1e-12)[:, :, None])


def mean_seconds(model: Model, calls_per_second: Floats) -> Floats:
    """Mean time of a call of each class under a load; [draws, classes].

    Past saturation it is `ENDLESS_SECONDS` or more.
    """
    now = np.full(model.draws, model.calls_per_second)
    more = waits_of(model, solve(model, calls_per_second)).mean_seconds
    less = waits_of(model, solve(model, now)).mean_seconds
    measured = np.array([one.mean_seconds for one in model.classes])
    return np.maximum(measured + more - less, measured * 0.2)


def points_of(buckets: Buckets, count: int = POINTS_MAX) -> Floats:
    """Times (seconds) that stand for a measured distribution, each for an equal share of calls.

    The last ones are for the tail: the share of each is halved, so that p99 is told well.
    """
    order = sorted(bucket for bucket, calls in buckets.items() if calls > 0)
    calls = np.array([buckets[bucket] for bucket in order], dtype=np.float64)
    edges = np.array([lower_edge_ns(bucket) for bucket in order]) / 1e9
    uppers = np.array([lower_edge_ns(bucket + 1) for bucket in order]) / 1e9
    reached = np.concatenate([[0.0], np.cumsum(calls)]) / calls.sum()
    wanted = _shares(count)[0]
    place = np.clip(np.searchsorted(reached, wanted, side="right") - 1, 0, len(order) - 1)
    within = (wanted - reached[place]) / np.maximum(reached[place + 1] - reached[place], 1e-300)
    return edges[place] + within * (uppers[place] - edges[place])


def _shares(count: int) -> tuple[Floats, Floats]:
    """Quantiles that are taken, and the share of calls that each stands for."""
    body, tail = count // 2, count - count // 2
    edges = np.concatenate([np.linspace(0, 0.9, body + 1), 1 - 0.1 * 0.9 ** np.arange(1, tail)])
    edges = np.append(edges, 1.0)
    return (edges[1:] + edges[:-1]) / 2, np.diff(edges)


def quantile_seconds(
    model: Model, calls_per_second: Floats, *, place: int, ratio: float = 0.99
) -> Floats:
    """A quantile of the time of calls of one class under a load; [draws].

    Args:
        model: The system.
        calls_per_second: Of all classes; [draws].
        place: Of the class.
        ratio: 0.99 for p99.
    """
    return _sum_of(model, calls_per_second, place).quantile(ratio)


def beyond_ratio(model: Model, calls_per_second: Floats, *, place: int, seconds: float) -> Floats:
    """Share of calls of one class that take longer than this under a load; [draws]."""
    return _sum_of(model, calls_per_second, place).beyond(np.full(model.draws, seconds))


def _sum_of(model: Model, calls_per_second: Floats, place: int) -> _Sum:
    now = np.full(model.draws, model.calls_per_second)
    more = waits_of(model, solve(model, calls_per_second))
    less = waits_of(model, solve(model, now))
    mean = more.mean_seconds[:, place] - less.mean_seconds[:, place]
    variance = more.variance_s2[:, place] - less.variance_s2[:, place]
    none = np.minimum(more.none_ratio[:, place] / less.none_ratio[:, place], 0.999999)
    return _Sum(points_of(model.classes[place].buckets), mean, variance, none)


class _Sum:
    """A measured time plus waits: [draws] of them."""

    def __init__(self, points: Floats, mean: Floats, variance: Floats, none: Floats) -> None:
        self.points, self.shares = points, _shares(len(points))[1]
        self.none = none[:, None]
        # Where there is less load than now, calls are quicker by the mean alone.
        self.quicker = np.minimum(mean, 0.0)[:, None]
        # Mean and second moment of the wait where there is one.
        mean = np.maximum(mean, 1e-12)
        some = mean / (1 - none)
        spread = np.maximum((variance + mean**2) / (1 - none) - some**2, (0.05 * some) ** 2)
        self.shape = (some**2 / spread)[:, None]
        self.scale = (spread / some)[:, None]
        self.bound = points[-1] + some + 12 * np.sqrt(spread)

    def quantile(self, ratio: float) -> Floats:
        infinite = ~np.isfinite(self.bound)
        low: Floats = np.zeros_like(self.bound)
        high: Floats = np.where(infinite, 1.0, self.bound)
        for _ in range(_HALVINGS_COUNT):
            middle = (low + high) / 2
            beyond = self.beyond(middle) > 1 - ratio
            low, high = np.where(beyond, middle, low), np.where(beyond, high, middle)
        return np.where(infinite, np.inf, high)

    def beyond(self, at_seconds: Floats) -> Floats:
        """Share of calls that take longer than this."""
        left = (at_seconds[:, None] - self.quicker) - self.points[None, :]
        with np.errstate(invalid="ignore"):
            scaled = np.maximum(left, 0.0) / self.scale
            tail = cast("Floats", special.gammaincc(self.shape, scaled))  # pyright: ignore
        waiting = np.where(left <= 0, 1.0, (1 - self.none) * tail)
        return np.nan_to_num(waiting, nan=1.0) @ self.shares
