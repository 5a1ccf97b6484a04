"""Closed forms for one station: how long one waits where so many are served at once.

Every argument may be an array; arrays are broadcast, so that all draws of a forecast are answered
at once. A station without room left answers infinity.

Sources:
    M/M/m: L. Kleinrock, Queueing Systems I, Wiley 1975, section 3.5.
    Variability: A. O. Allen, Probability, Statistics and Queueing Theory, Academic Press 1990,
    section 5.3.7 (Allen-Cunneen).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
FULL_RATIO = 0.999999
"""A station counts as full from this share of its capacity on."""


def erlang_b(servers: int, offered: ArrayLike) -> Floats:
    """Share of arrivals lost at M/M/m/m.

    Args:
        servers: m, at least 1.
        offered: Arrivals a second times the mean time in service.
    """
    load = np.asarray(offered, dtype=np.float64)
    blocked = np.ones_like(load)
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    return blocked


def erlang_c(servers: int, offered: ArrayLike) -> Floats:
    """Probability that an arrival at M/M/m has to wait; 1 where it is full."""
    load = np.asarray(offered, dtype=np.float64)
    blocked = erlang_b(servers, load)
    waits = servers * blocked / np.maximum(servers - load * (1 - blocked), 1e-300)
    return np.where(load >= servers * FULL_RATIO, 1.0, waits)


def mean_wait_seconds(
    servers: int,
    offered: ArrayLike,
    service_seconds: ArrayLike,
    variability: ArrayLike = 1.0,
) -> Floats:
    """Mean wait before service at GI/G/m.

    Args:
        servers: m.
        offered: Arrivals a second times the mean time in service.
        service_seconds: That mean time.
        variability: Half the sum of the squared coefficients of variation of the times between
            arrivals and of the times in service; 1 for M/M/m.
    """
    load = np.asarray(offered, dtype=np.float64)
    service = np.asarray(service_seconds, dtype=np.float64)
    factor = np.asarray(variability, dtype=np.float64)
    room = servers - load
    wait = erlang_c(servers, load) * service / np.maximum(room, 1e-12)
    full = room <= servers * (1 - FULL_RATIO)
    return np.where(full, np.inf, wait * factor)
