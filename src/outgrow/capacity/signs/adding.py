"""Sums over windows, as signs need them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from outgrow.capacity.limits import saturation
from outgrow.capacity.patterns.surgery import eased
from outgrow.telemetry import quantile_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outgrow.capacity.evidence import (
        Buckets,
        LinkWindow,
        StationWindow,
        Window,
    )
    from outgrow.capacity.forecast import Forecast


def merged(parts: Iterable[Buckets]) -> Buckets:
    """Buckets added up."""
    total: Buckets = {}
    for part in parts:
        for bucket, count in part.items():
            total[bucket] = total.get(bucket, 0) + count
    return total


def quantile_seconds(buckets: Buckets, ratio: float) -> float:
    """A quantile of a distribution; 0 without calls."""
    return (quantile_ms(buckets, ratio) or 0.0) / 1e3


def times_quantile(buckets: Buckets, ratio: float) -> float:
    """A quantile of counts by power of two: bucket b holds 2**b to 2**(b+1)-1; its lower end."""
    total, seen = sum(buckets.values()), 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= total * ratio:
            return float(2**bucket)
    return 0.0


def stations_of(windows: Iterable[Window]) -> dict[str, StationWindow]:
    """The stations, each with its sums over all windows."""
    found: dict[str, StationWindow] = {}
    for one in (one for window in windows for one in window.stations):
        have = found.get(one.name)
        found[one.name] = one if have is None else replace(
            one,
            served=have.served + one.served,
            rejected=have.rejected + one.rejected,
            busy_seconds=have.busy_seconds + one.busy_seconds,
            hold_seconds=have.hold_seconds + one.hold_seconds,
            nested_wait_seconds=have.nested_wait_seconds + one.nested_wait_seconds,
            wait_seconds=have.wait_seconds + one.wait_seconds,
            waits=merged((have.waits, one.waits)),
            queue_max=max(have.queue_max, one.queue_max),
        )  # fmt: skip
    return found


def links_of(windows: Iterable[Window]) -> dict[tuple[str, str], LinkWindow]:
    """The calls over each link, summed over all windows; work handed on for later is no call."""
    found: dict[tuple[str, str], LinkWindow] = {}
    calls = (one for window in windows for one in window.links if not one.is_background)
    for one in calls:
        have = found.get((one.caller, one.callee))
        found[one.caller, one.callee] = one if have is None else replace(
            one,
            calls=have.calls + one.calls,
            errors=have.errors + one.errors,
            attempts=have.attempts + one.attempts,
            duration_seconds=have.duration_seconds + one.duration_seconds,
            bytes=have.bytes + one.bytes,
            per_parent=merged((have.per_parent, one.per_parent)),
        )  # fmt: skip
    return found


def calls_of(window: Window) -> int:
    """Calls of entries."""
    return sum(one.calls for one in window.operations if one.is_entry)


def own_load(one: StationWindow, seconds: float) -> float:
    """Share of a station that was in use, waits for others within left out."""
    used = max(one.hold_seconds - one.nested_wait_seconds, 0.0) or one.busy_seconds
    return used / max(seconds * one.capacity * one.replicas, 1e-12)


def gain_of_easing(told: Forecast | None, station: str, ratio: float) -> float | None:
    """How many times the first limit is allowed where a station is used so much less.

    Args:
        told: The forecast; without one nothing is known.
        station: Eased.
        ratio: Share of its use that goes, 0 to 1.
    """
    if told is None or station not in [one.name for one in told.model.stations]:
        return None
    keep = np.full(len(told.model.classes), 1 - min(max(ratio, 0.0), 0.99))
    after = saturation(eased(told.model, station, keep))
    return float(after[0] / told.saturation_per_second.best)


def gain_of_database(told: Forecast | None, database: str, ratio: float) -> float | None:
    """The same where statements of a database take so much less: of its pools, or of its file."""
    file = database.removeprefix("sqlite:")
    names = {f"pool {database}", f"writer {file}", f"readers {file}"}
    stations = [] if told is None else [one.name for one in told.model.stations]
    mine = [name for name in stations if name.partition(" of ")[0] in names]
    return max((gain_of_easing(told, name, ratio) or 0.0 for name in mine), default=None)
