"""A station that works faster the more customers it holds: its queue and its waits.

A pool whose holders queue for a lock is one station to the outside: with n holders it finishes
X(n) uses a second, as `closed` says. Arrivals from outside then see a birth and death process.

Source:
    K. Chandy, U. Herzog, L. Woo, Parametric analysis of queuing networks, IBM JRD 19(1), 1975
    (Norton's theorem for queues: the flow-equivalent server).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Flow:
    """What arrivals meet; each of shape [draws].

    Attributes:
        wait_ratio: Probability that all slots are taken.
        wait_seconds: Mean wait for a slot; infinite where arrivals outrun it.
        wait_squared_s2: Mean of its square.
        hold_seconds: Mean time for which a slot is held, waits within included.
        busy_ratio: Share of the slots in use.
    """

    wait_ratio: Floats
    wait_seconds: Floats
    wait_squared_s2: Floats
    hold_seconds: Floats
    busy_ratio: Floats


def through(curve: Floats, arrivals_per_second: Floats) -> Flow:
    """How a station with this throughput curve fares under so many arrivals.

    Args:
        curve: Uses a second with 1, 2, ... m slots taken; shape [draws, m].
        arrivals_per_second: Poisson; shape [draws].
    """
    slots = curve.shape[1]
    rate = np.minimum(arrivals_per_second, curve[:, -1] * 0.999999)
    with np.errstate(divide="ignore"):
        steps = np.log(np.maximum(rate, 1e-300))[:, None] - np.log(np.maximum(curve, 1e-300))
    logs = np.concatenate([np.zeros((len(rate), 1)), np.cumsum(steps, axis=1)], axis=1)
    weights = np.exp(logs - logs.max(axis=1, keepdims=True))
    ratio = rate / curve[:, -1]
    tail = weights[:, -1] / (1 - ratio)
    total = weights[:, :-1].sum(axis=1) + tail
    counts = np.arange(slots, dtype=np.float64)
    held: Floats = (weights[:, :-1] @ counts + slots * tail) / total
    waits = tail / total
    wait = waits / np.maximum(curve[:, -1] - rate, 1e-300)
    full = arrivals_per_second >= curve[:, -1] * 0.999999
    return Flow(
        wait_ratio=np.where(full, 1.0, waits),
        wait_seconds=np.where(full, np.inf, wait),
        # Given that one waits at all, it is exponential.
        wait_squared_s2=np.where(full, np.inf, 2 * wait**2 / np.maximum(waits, 1e-300)),
        hold_seconds=held / np.maximum(rate, 1e-300),
        busy_ratio=np.where(full, 1.0, held / slots),
    )
