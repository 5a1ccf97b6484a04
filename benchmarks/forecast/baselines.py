"""What others would say from the same evidence: curves, cores, and what was seen last."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from outgrow.capacity.regress import nonnegative
from outgrow.telemetry import quantile_ms

if TYPE_CHECKING:
    from outgrow.capacity.evidence import Recorded, Window

ENDLESS = 1e9
"""Stands for a curve that never ends, so that it has a ratio, and an error, as others have."""


def by_cores(evidence: Recorded) -> float:
    """What one would say who looks at CPU alone: calls a second over its busiest machine's load."""
    windows = evidence.recorded
    seconds = sum(window.seconds for window in windows)
    cpu = {machine.name: 0.0 for machine in evidence.machines}
    for window in windows:
        for process in window.processes:
            cpu[process.machine] += process.cpu_seconds
    loads = [cpu[one.name] / seconds / one.cores for one in evidence.machines]
    return sum(_rates(evidence)) / len(windows) / max(*loads, 1e-9)


def by_last_value(evidence: Recorded) -> float:
    """The most calls a second of all windows: what has been borne is what can be."""
    return max(_rates(evidence))


def by_scalability_law(evidence: Recorded) -> float:
    """The peak of the Universal Scalability Law, or what it nears where it has none.

    Fitted to one point for each window: calls a second over the mean number of calls in flight.

    Source:
        N. J. Gunther, Guerrilla Capacity Planning, Springer 2007, chapter 5: N / X is a parabola
        in N, fitted by least squares; here with coefficients that cannot be negative.
    """
    rates = np.maximum(_rates(evidence), 1e-9)
    crowd = np.array([_in_flight(window) for window in evidence.recorded])
    terms = np.stack([np.ones_like(crowd), crowd - 1, crowd * (crowd - 1)], axis=1)
    alone, contention, coherency = nonnegative(
        terms, crowd / rates, np.zeros(3), prior_windows=0.0
    ).tolist()
    if coherency > 0:
        peak = math.sqrt(max(alone - contention, 0.0) / coherency)
        cost = alone + contention * (peak - 1) + coherency * peak * (peak - 1)
        return peak / cost if peak > 0 and cost > 0 else float(rates.max())
    return 1 / contention if contention > 0 else ENDLESS


def last_times(evidence: Recorded, operation: str) -> tuple[float, float]:
    """Mean and p99 of an operation in all windows, seconds: times stay what they are."""
    seen = [
        one for window in evidence.recorded for one in window.operations if one.name == operation
    ]
    buckets: dict[int, int] = {}
    for one in seen:
        for bucket, calls in one.buckets.items():
            buckets[bucket] = buckets.get(bucket, 0) + calls
    mean = sum(one.duration_seconds for one in seen) / sum(one.calls for one in seen)
    return mean, (quantile_ms(buckets, 0.99) or 0.0) / 1e3


def _rates(evidence: Recorded) -> list[float]:
    """Calls of all classes a second, window by window."""
    return [
        sum(one.calls for one in window.operations if one.is_entry) / window.seconds
        for window in evidence.recorded
    ]


def _in_flight(window: Window) -> float:
    """Mean number of calls in flight, by Little's law."""
    entries = (one for one in window.operations if one.is_entry)
    return sum(one.duration_seconds for one in entries) / window.seconds
