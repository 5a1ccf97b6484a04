"""How long each operation keeps a loop or a GIL by itself: what the step meter saw, taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from outgrow.capacity.stations import Layout
    from outgrow.capacity.sums import Sums


def operation_seconds(
    sums: Sums,
    layout: Layout,
    operation_uses: dict[str, dict[str, float]],
    inner_seconds: NDArray[np.float64],
) -> dict[str, dict[str, float]]:
    """Seconds of each loop and GIL by one run of each operation, without what it calls.

    Args:
        sums: With the windows.
        layout: For which stations belong together.
        operation_uses: Of each station by one run of each operation.
        inner_seconds: Seconds of one station within one use of another; [stations, stations].
    """
    own = own_seconds(sums)
    found: dict[str, dict[str, float]] = {}
    for places in layout.loops.values():
        for place in places:
            name = layout.stations[place].name
            ran = operation_uses.get(name, {})
            found[name] = {one: own[one] for one in ran if one in own}
    for place, station in enumerate(layout.stations):
        if station.kind == "gil":
            found[station.name] = _with_threads(place, layout, found, operation_uses, inner_seconds)
    return found


def own_seconds(sums: Sums) -> dict[str, float]:
    """Time on the loop of one run of each metered operation, less that of those that it calls."""
    metered: dict[str, float] = {}
    seconds: dict[str, float] = {}
    calls = dict(zip(sums.operations, sums.calls.sum(axis=0).tolist(), strict=True))
    for one in (one for window in sums.windows for one in window.operations):
        metered[one.name] = metered.get(one.name, 0.0) + one.metered
        seconds[one.name] = seconds.get(one.name, 0.0) + one.loop_seconds
    whole = {name: seconds[name] / count for name, count in metered.items() if count}
    own = dict(whole)
    for link in (link for window in sums.windows for link in window.links):
        if link.is_background:
            continue
        if link.caller in own and link.callee in whole and calls.get(link.caller):
            own[link.caller] -= whole[link.callee] * link.calls / calls[link.caller]
    return {name: max(value, 0.0) for name, value in own.items()}


def _with_threads(
    gil: int,
    layout: Layout,
    loops: dict[str, dict[str, float]],
    operation_uses: dict[str, dict[str, float]],
    inner_seconds: NDArray[np.float64],
) -> dict[str, float]:
    """Seconds of a GIL: on the loop, and in threads."""
    process = layout.stations[gil].process
    found: dict[str, float] = {}
    for place, station in enumerate(layout.stations):
        if station.process != process or station.kind not in ("loop", "threads"):
            continue
        per_use = float(inner_seconds[place, gil])
        by_operation = {
            name: uses * per_use for name, uses in operation_uses.get(station.name, {}).items()
        }
        for name, value in (loops.get(station.name) or by_operation).items():
            found[name] = found.get(name, 0.0) + value
    return found
