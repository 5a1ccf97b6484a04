"""Closed classes: so many customers go round, and never more.

It is what a pool is from within: once all its slots are taken, those who hold one go from station
to station, and their number does not change.

Sources:
    Exact MVA: M. Reiser, S. Lavenberg, JACM 27(2), 1980.
    Multi-server stations: A. Seidmann, P. Schweitzer, S. Shalev-Oren, 1987.
    Approximate MVA: P. Schweitzer, 1979; Y. Bard, 1979.
    Service that is not exponential: M. Reiser, CACM 22(8), 1979: one who arrives waits for the rest
    of the service under way, (1 + c2)/2 of its mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CUSTOMERS_MAX = 256
_ROUNDS_MAX = 500


@dataclass(frozen=True, kw_only=True)
class Round:
    """One way round: what a customer needs at each station.

    Attributes:
        think_seconds: Spent outside of all stations; shape [draws].
        demand_seconds: In service on one way round, shape [draws, stations].
        servers: At each station, shape [stations].
        variability: Squared coefficient of variation of service; shape [stations].
    """

    think_seconds: Floats
    demand_seconds: Floats
    servers: NDArray[np.int64]
    variability: Floats | None = None


def throughput_curve(way: Round, customers: int) -> Floats:
    """Ways round a second with 1, 2, ... customers; shape [draws, customers].

    Exact for stations of one server with exponential service; a station of m servers is taken as
    one that is m times as quick, and a delay of the rest (Seidmann).
    """
    quick = way.demand_seconds / way.servers
    delay = way.think_seconds + (way.demand_seconds - quick).sum(axis=1)
    residual = 0.0 if way.variability is None else (way.variability - 1) / 2
    queues = np.zeros_like(quick)
    busy = np.zeros_like(quick)
    curve = np.empty((len(delay), min(customers, CUSTOMERS_MAX)))
    for number in range(1, curve.shape[1] + 1):
        residence = quick * (1 + queues + busy * residual)
        rate = number / np.maximum(delay + residence.sum(axis=1), 1e-300)
        queues = rate[:, None] * residence
        busy = np.minimum(rate[:, None] * quick, 1.0)
        curve[:, number - 1] = rate
    if way.variability is not None:
        ceiling = 1 / np.maximum(quick.max(axis=1, initial=0.0), 1e-300)
        curve = np.minimum(curve, ceiling[:, None])
    return curve


@dataclass(frozen=True, kw_only=True)
class ClosedAnswer:
    """How several closed classes share stations.

    Attributes:
        rate_per_second: Ways round by class; shape [classes].
        residence_seconds: Of one way round; shape [classes, stations].
    """

    rate_per_second: Floats
    residence_seconds: Floats


def approximate(
    population: Floats,
    think_seconds: Floats,
    demand_seconds: Floats,
    servers: NDArray[np.int64],
) -> ClosedAnswer:
    """Schweitzer's approximation for several classes.

    Args:
        population: Customers of each class, such as the clients that there are; shape [classes].
        think_seconds: Between two requests of one of them; shape [classes].
        demand_seconds: Shape [classes, stations].
        servers: At each station.
    """
    quick = demand_seconds / servers
    delay = think_seconds + (demand_seconds - quick).sum(axis=1)
    share = (quick > 0) / np.maximum((quick > 0).sum(axis=1, keepdims=True), 1)
    queues = population[:, None] * share
    rate, residence = np.zeros_like(delay), quick
    for _ in range(_ROUNDS_MAX):
        own = queues * (1 - 1 / np.maximum(population, 1)[:, None])
        seen = queues.sum(axis=0)[None, :] - queues + own
        residence = quick * (1 + seen)
        rate = population / np.maximum(delay + residence.sum(axis=1), 1e-300)
        fresh = rate[:, None] * residence
        moved = float(np.abs(fresh - queues).max(initial=0.0))
        queues = fresh
        if moved < 1e-9:
            break
    return ClosedAnswer(
        rate_per_second=rate,
        residence_seconds=residence + demand_seconds - quick,
    )
