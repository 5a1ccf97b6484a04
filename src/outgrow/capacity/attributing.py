"""Who uses stations that nobody counts by operation: told by statements, and by what they are of.

A worker counts how long a pool or a lock is held, and not by whom. Whose statements took how long
is counted beside it. So the uses of a database's stations are given to operations by that, and
those of bulkheads and threads to the operations of the service that they are of.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from outgrow.capacity.evidence import Recorded, StatementWindow, StationWindow, Window

_OF_DATABASE = ("pool", "readers", "writer")


def attributed(evidence: Recorded, statements: Sequence[StatementWindow]) -> Recorded:
    """The evidence with the uses of such stations by operation, where that can be told.

    Args:
        evidence: As it was counted.
        statements: By caller, each summed over the time of the evidence.
    """
    runs: dict[str, int] = {}
    for one in (one for window in evidence.recorded for one in window.operations):
        runs[one.name] = runs.get(one.name, 0) + one.calls
    each: dict[str, Mapping[str, float]] = {}
    for one in (one for window in evidence.recorded for one in window.stations):
        if one.name not in each and not one.by_operation:
            each[one.name] = _each(one, runs, statements)
    return replace(evidence, recorded=tuple(_told(window, each) for window in evidence.recorded))


def _each(
    station: StationWindow, runs: Mapping[str, int], statements: Iterable[StatementWindow]
) -> dict[str, float]:
    """What one run of each operation asks of a station, relative to others."""
    kind, rest = kind_and_name(station.name)
    if station.kind in ("bulkhead", "threads"):
        return {name: 1.0 for name in runs if name == rest or name.partition(".")[0] == rest}
    if kind not in _OF_DATABASE:
        return {}
    spent: dict[str, float] = {}
    for one in statements:
        if is_database(rest, one.database) and (kind != "writer" or one.writes):
            spent[one.caller] = spent.get(one.caller, 0.0) + one.duration_seconds
    return {name: seconds / runs[name] for name, seconds in spent.items() if runs.get(name)}


def _told(window: Window, each: Mapping[str, Mapping[str, float]]) -> Window:
    calls = {one.name: one.calls for one in window.operations}
    stations = tuple(
        _shared(one, calls, each[one.name]) if each.get(one.name) else one
        for one in window.stations
    )
    return replace(window, stations=stations)


def _shared(
    station: StationWindow, calls: Mapping[str, int], each: Mapping[str, float]
) -> StationWindow:
    """A station with its uses given to operations, by how often those ran in this window."""
    parts = {name: calls.get(name, 0) * weight for name, weight in each.items()}
    total = sum(parts.values())
    if not total:
        return station
    by_operation = {name: station.served * part / total for name, part in parts.items() if part}
    return replace(station, by_operation=by_operation)


def kind_and_name(station: str) -> tuple[str, str]:
    """The first word of the name of a station, and what that is of, without its group."""
    kind, _, rest = station.partition(" of ")[0].partition(" ")
    return kind, rest


def is_database(name: str, database: str) -> bool:
    """Whether a station of this name, without its kind, is of a database."""
    return name == database or database.rpartition("/")[2].removeprefix("sqlite:") == name
