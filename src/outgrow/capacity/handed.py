"""What work handed on for later means for a model: nobody waits for it, and some never grows.

Jobs that requests enqueue come more often when there is more traffic, and jobs that come by the
clock do not. Neither is waited for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from outgrow.capacity.metering import own_seconds
from outgrow.capacity.visits import scheduled_of, visits_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from outgrow.capacity.model import Station
    from outgrow.capacity.sums import Sums

Floats = NDArray[np.float64]
Uses = dict[str, dict[str, float]]


def run_seconds(sums: Sums) -> dict[str, float]:
    """Mean time of a run of each operation."""
    calls: dict[str, int] = {}
    seconds: dict[str, float] = {}
    for one in (one for window in sums.windows for one in window.operations):
        calls[one.name] = calls.get(one.name, 0) + one.calls
        seconds[one.name] = seconds.get(one.name, 0.0) + one.duration_seconds
    return {name: seconds[name] / count for name, count in calls.items() if count}


def scheduled_shares(sums: Sums, stations: Sequence[Station], uses: Uses) -> Floats:
    """Share of the time of each station that what comes by the clock takes; [stations].

    Of stations of which it is not known who uses them it is taken to be none.

    Args:
        sums: With the windows.
        stations: In the model's order.
        uses: Of each station by one run of each operation.
    """
    scheduled = scheduled_of(sums.windows)
    shares = np.zeros(len(stations))
    if not scheduled:
        return shares
    calls = dict(zip(sums.operations, sums.calls.sum(axis=0).tolist(), strict=True))
    on_loop, whole = own_seconds(sums), run_seconds(sums)
    for place, station in enumerate(stations):
        ran = {name: uses * calls[name] for name, uses in uses.get(station.name, {}).items()}
        # Who uses a database is told by the time of statements, which is in `ran` already.
        each = (
            ran
            if station.kind in ("pool", "lock")
            else _seconds_of(ran, whole if station.kind == "queue" else on_loop)
        )
        total = sum(each.values())
        if total > 0:
            mine = sum(scheduled.get(name, 0.0) * seconds for name, seconds in each.items())
            shares[place] = mine / total
    return shares


def _seconds_of(ran: Mapping[str, float], seconds: Mapping[str, float]) -> dict[str, float]:
    """What the runs of each operation took; one that was never timed took as long as others."""
    known = [name for name in ran if name in seconds]
    count = sum(ran[name] for name in known)
    mean = sum(ran[name] * seconds[name] for name in known) / count if count else 1.0
    return {name: many * seconds.get(name, mean) for name, many in ran.items()}


def awaited_shares(sums: Sums, stations: Sequence[Station], uses: Uses) -> dict[str, Floats]:
    """Share of the uses of each station by one call of each class that the call waits for.

    Only of stations that work for nobody uses; [classes] each.
    """
    windows, operations, entries = sums.windows, sums.operations, sums.entries
    every = visits_of(windows, operations, entries)
    waited = visits_of(windows, operations, entries, is_awaited=True)
    found: dict[str, Floats] = {}
    for station in stations:
        if station.kind == "queue":
            found[station.name] = np.zeros(len(entries))
            continue
        each = np.array([uses.get(station.name, {}).get(name, 0.0) for name in operations])
        total, part = every @ each, waited @ each
        if (part < total).any():
            found[station.name] = np.where(total > 0, part / np.maximum(total, 1e-300), 1.0)
    return found
