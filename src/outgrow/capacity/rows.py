"""What more data cost: the time that one more row takes, where the evidence shows it.

A statement whose calls brought now more rows and now fewer tells how long a row takes, and so does
the loop of the route that reads them. That is measured (a slope over windows) and taken on in a
straight line. What cannot be seen at today's size is not made up: a plan of the database that
flips, a cache that the data outgrow, an index one level deeper.

Source:
    Slopes: P. K. Sen, JASA 63, 1968, see `slopes`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from outgrow.capacity.slopes import Slope, slope_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from outgrow.capacity.evidence import StatementWindow, StationWindow, Window

VARY_RATIO_MIN = 1.2
"""Rows a call vary where 9 of 10 of the windows lie between values so far apart."""
SHARE_RATIO_MIN = 0.01
"""Statements that take less of the time of all are passed over in silence."""
STATEMENTS_MAX = 64
_BOUNDED = re.compile(r"\b(LIMIT|FETCH (FIRST|NEXT)|TOP)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class RowTime:
    """What a row costs somewhere.

    Attributes:
        subject: The statement, or the route whose loop it is.
        operation: Whose runs bring the rows.
        stations: Where the time is spent.
        rows: That one run brings now.
        seconds_per_row: Of those stations, with its interval.
    """

    subject: str
    operation: str
    stations: tuple[str, ...]
    rows: float
    seconds_per_row: Slope


@dataclass(frozen=True, kw_only=True)
class RowsUnknown:
    """A statement of which it is not known what more data cost it, and why."""

    subject: str
    why: str


@dataclass(frozen=True, kw_only=True)
class RowTimes:
    """All that is known of rows, and what is not."""

    known: tuple[RowTime, ...] = ()
    unknown: tuple[RowsUnknown, ...] = ()


def row_times(windows: Sequence[Window]) -> RowTimes:
    """What a row costs each statement, and the loop of each route that reads rows."""
    whole = [window for window in windows if window.is_whole]
    ran: dict[tuple[str, str], list[StatementWindow]] = {}
    for one in (one for window in whole for one in window.statements if one.calls):
        ran.setdefault((one.fingerprint, one.caller), []).append(one)
    spent = {key: sum(one.duration_seconds for one in same) for key, same in ran.items()}
    total = sum(spent.values())
    if total <= 0:
        return RowTimes(unknown=(RowsUnknown(subject="all data", why="no statement was seen"),))
    largest = sorted(ran, key=lambda key: -spent[key])[:STATEMENTS_MAX]
    calls = _calls_of(whole)
    stations = {one.name: one for window in whole for one in window.stations}
    known: list[RowTime] = []
    unknown: list[RowsUnknown] = []
    for key in largest:
        if spent[key] < SHARE_RATIO_MIN * total or _is_insert(ran[key][0]):
            continue
        told = _of_statement(ran[key], stations, calls.get(key[1], 0))
        if isinstance(told, RowTime):
            known.append(told)
        else:
            unknown.append(told)
    growing = {key for key in largest if _grows(ran[key][0])}
    for name in sorted({one.name for window in whole for one in window.operations if one.is_entry}):
        loop = _of_loop(name, whole, growing)
        known += [loop] if loop else []
    return RowTimes(known=tuple(known), unknown=tuple(unknown))


def _is_insert(one: StatementWindow) -> bool:
    return one.text.lstrip().upper().startswith(("INSERT", "REPLACE"))


def _grows(one: StatementWindow) -> bool:
    """Whether it may bring more rows when there are more."""
    return not _is_insert(one) and not _BOUNDED.search(one.text)


def _calls_of(windows: Iterable[Window]) -> dict[str, int]:
    calls: dict[str, int] = {}
    for one in (one for window in windows for one in window.operations):
        calls[one.name] = calls.get(one.name, 0) + one.calls
    return calls


def _of_statement(
    same: Sequence[StatementWindow], stations: Mapping[str, StationWindow], caller_calls: int
) -> RowTime | RowsUnknown:
    """What a row costs one statement.

    Args:
        same: What it did, by window.
        stations: All there are, by name.
        caller_calls: Of the operation that runs it.
    """
    one, brought, ran = same[0], sum(each.rows for each in same), sum(each.calls for each in same)
    subject = one.text[:120]
    places = tuple(name for name, each in stations.items() if _is_of(each, one))
    rows = [each.rows / each.calls for each in same]
    seconds = [each.duration_seconds / each.calls for each in same]
    why, slope = "", None
    if not caller_calls:
        why = f"nobody who is known leads to `{one.caller}`, which runs it"
    elif not places:
        why = f"no pool or lock of `{one.database}` is measured"
    elif not _grows(one):
        why = "LIMIT bounds its rows; what it reads to find them is not measured"
    elif not brought:
        why = "the driver does not say how many rows it brings"
    else:
        slope = _rising(rows, seconds)
        why = f"its calls bring {brought / ran:.3g} rows each, which did not vary"
        if slope is None and _vary(rows):
            why = "its time did not surely rise with its rows"
    if slope is None:
        return RowsUnknown(subject=subject, why=why)
    return RowTime(
        subject=subject,
        operation=one.caller,
        stations=places,
        rows=brought / caller_calls,
        seconds_per_row=slope,
    )


def _vary(rows: Sequence[float]) -> bool:
    if not rows:
        return False
    low, high = np.quantile(rows, [0.05, 0.95])
    return bool(high >= VARY_RATIO_MIN * low and high > 0)


def _rising(rows: Sequence[float], seconds: Sequence[float]) -> Slope | None:
    """How long a row takes; None where that cannot be told from these."""
    slope = slope_of(rows, seconds) if _vary(rows) else None
    if slope is None or slope.low <= 0:
        return None
    most = float(np.mean(seconds) / np.mean(rows))  # more, and a call without rows would be undone
    return Slope(best=min(slope.best, most), low=min(slope.low, most), high=min(slope.high, most))


def _is_of(station: StationWindow, statement: StatementWindow) -> bool:
    """Whether a statement's time is spent while this is held."""
    if station.kind not in ("pool", "lock") or (station.kind == "lock" and not statement.writes):
        return False
    name = re.split(r"[/: ]", statement.database)[-1]
    return name in re.split(r"[/: ]", station.name)


def _of_loop(name: str, windows: Sequence[Window], growing: set[tuple[str, str]]) -> RowTime | None:
    """What a row costs the loop of a route: to read it, and to write it into the answer."""
    rows: list[float] = []
    seconds: list[float] = []
    brought = calls = 0.0
    for window in windows:
        run = next((one for one in window.operations if one.name == name), None)
        if run is None or not run.metered:
            continue
        each = _rows_by_run(window, growing).get(name, 0.0)
        rows.append(each)
        seconds.append(run.loop_seconds / run.metered)
        brought, calls = brought + each * run.calls, calls + run.calls
    loops = {
        one.name
        for window in windows
        for one in window.stations
        if one.kind == "loop" and one.by_operation.get(name)
    }
    ratio = _meter_ratio(windows, loops)
    slope = _rising(rows, [ratio * each for each in seconds])
    if slope is None or not loops:
        return None
    return RowTime(
        subject=f"the loop of {name}",
        operation=name,
        stations=tuple(sorted(loops)),
        rows=brought / calls,
        seconds_per_row=slope,
    )


def _meter_ratio(windows: Sequence[Window], loops: Collection[str]) -> float:
    """What loops were held, over what the step meter says of the routes that ran on them.

    The meter looks at few calls, and on a busy machine its clock counts waits for a core as well:
    as in the model, the sums stay those of the loops.
    """
    stations = [one for window in windows for one in window.stations if one.name in loops]
    held = sum(one.hold_seconds for one in stations)
    ran = {name for one in stations for name in one.by_operation}
    told = sum(
        one.calls * one.loop_seconds / one.metered
        for window in windows
        for one in window.operations
        if one.is_entry and one.metered and one.name in ran
    )
    return held / told if told > 0 else 1.0


_ROUNDS_COUNT = 8


def _rows_by_run(window: Window, growing: set[tuple[str, str]]) -> dict[str, float]:
    """Rows that one run of each operation brings, with those of what it calls."""
    calls = _calls_of((window,))
    own: dict[str, float] = {}
    for one in window.statements:
        if (one.fingerprint, one.caller) in growing and calls.get(one.caller):
            own[one.caller] = own.get(one.caller, 0.0) + one.rows / calls[one.caller]
    found = dict(own)
    for _ in range(_ROUNDS_COUNT):
        further = dict(own)
        for link in window.links:
            if link.callee in found and calls.get(link.caller) and not link.is_background:
                brought = found[link.callee] * link.calls / calls[link.caller]
                further[link.caller] = further.get(link.caller, 0.0) + brought
        if further == found:
            break
        found = further
    return found
