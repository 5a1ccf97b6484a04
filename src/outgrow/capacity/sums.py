"""Evidence as arrays: one row for each window, so that draws are products of matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from outgrow.capacity.evidence import ProcessWindow, StationWindow, Window

Floats = NDArray[np.float64]
Key = TypeVar("Key")
CLASSES_MAX = 64


@dataclass(frozen=True, kw_only=True)
class Sums:
    """What was counted; every array begins with the axis of windows.

    Attributes:
        entries: Names of the classes, the most frequent first; at most 64, the rest left out.
        operations: Names of all operations, entries first.
        calls: Of each operation.
        stations: The last that was seen of each, by name: its kind, capacity and replicas.
        station: Sums of each station, `served`, `hold`, `hold2`, `nested`, `busy`, by name.
        nesting: Uses and seconds of an inner station within an outer, by (outer, inner).
        processes: The last that was seen of each, by group.
        process: Sums of each, `cpu`, `loop`, `queue`, by group.
    """

    seconds: Floats
    entries: tuple[str, ...]
    operations: tuple[str, ...]
    calls: Floats
    stations: dict[str, StationWindow]
    station: dict[str, Floats]
    nesting: dict[tuple[str, str], Floats]
    processes: dict[str, ProcessWindow]
    process: dict[str, Floats]
    windows: tuple[Window, ...]


SERVED, HOLD, HOLD_SQUARED, NESTED, BUSY = range(5)
CPU, LOOP, RUN_QUEUE = range(3)


def sums_of(windows: Sequence[Window]) -> Sums:
    """Lay the windows out; those that are not whole are left out."""
    whole = tuple(window for window in windows if window.is_whole and window.seconds > 0)
    entries = _names(whole, is_entry=True)[:CLASSES_MAX]
    others = [name for name in _names(whole, is_entry=False) if name not in entries]
    operations = (*entries, *others)
    places = {name: place for place, name in enumerate(operations)}
    calls = np.zeros((len(whole), len(operations)))
    for row, window in enumerate(whole):
        for operation in window.operations:
            if operation.name in places:
                calls[row, places[operation.name]] += operation.calls
    stations = {one.name: one for window in whole for one in window.stations}
    processes = {one.group: one for window in whole for one in window.processes}
    return Sums(
        seconds=np.array([window.seconds for window in whole]),
        entries=tuple(entries),
        operations=operations,
        calls=calls,
        stations=stations,
        station=_rows(whole, 5, lambda one: ((s.name, _station_row(s)) for s in one.stations)),
        nesting=_rows(
            whole,
            2,
            lambda one: (((n.outer, n.inner), (n.served, n.hold_seconds)) for n in one.nestings),
        ),
        processes=processes,
        process=_rows(
            whole,
            3,
            lambda one: (
                (p.group, (p.cpu_seconds, p.loop_cpu_seconds, p.run_queue_seconds))
                for p in one.processes
            ),
        ),
        windows=whole,
    )


def _names(windows: Iterable[Window], *, is_entry: bool) -> list[str]:
    counts: dict[str, int] = {}
    for window in windows:
        for one in window.operations:
            if one.is_entry is is_entry:
                counts[one.name] = counts.get(one.name, 0) + one.calls
    called = [name for name, count in counts.items() if count]
    return sorted(called, key=lambda name: (-counts[name], name))


def _station_row(one: StationWindow) -> tuple[float, ...]:
    return (
        *(one.served, one.hold_seconds, one.hold_squared_s2),
        *(one.nested_wait_seconds, one.busy_seconds),
    )


def _rows(
    windows: Sequence[Window],
    width: int,
    read: Callable[[Window], Iterable[tuple[Key, tuple[float, ...]]]],
) -> dict[Key, Floats]:
    found: dict[Key, Floats] = {}
    for row, window in enumerate(windows):
        for key, values in read(window):
            array = found.setdefault(key, np.zeros((len(windows), width)))
            array[row] += values
    return found
