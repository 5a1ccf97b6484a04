"""Searches traces, and reads one of them.

A trace is listed where its newest span lies that is searched for, so that going on from page to
page finds each of them once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outgrow.telemetry.archive.answers import Page, TraceSearch, TraceSum
from outgrow.telemetry.archive.kept import holding, slices
from outgrow.telemetry.archive.rows import (
    LOG_COLUMNS,
    SPAN_COLUMNS,
    log_of,
    span_of,
    trace_bytes,
    trace_number,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

    from outgrow.telemetry.archive.reading import Reader
    from outgrow.telemetry.records import LogRecord, SpanRecord

SPANS_MAX = 10_000
# Of the newest traces: so many are looked at, so many of each name are taken, and spans in all.
LOOKED_AT_MAX = 2000
OF_A_NAME_MAX = 20
FEW_SPANS_MAX = 4000
# How far parts of a trace may lie from one another.
_SPREAD_NS = 3600 * 10**9
_LATER_NS = 60 * 10**9

_Id = tuple[int, int]


def traces(reader: Reader, search: TraceSearch, from_ns: int, to_ns: int) -> Page[TraceSum]:
    """Kept traces, newest first."""
    conditions, values = _conditions(search)
    limit = max(1, min(search.limit, 1000))
    table = "spans" if conditions else "traces"

    def read(cursor: duckdb.DuckDBPyConnection) -> Page[TraceSum]:
        found: dict[_Id, int] = {}
        is_text = bool(search.text)
        searched, beyond = slices(cursor, reader, table, from_ns, to_ns, is_text=is_text)
        for where, begin_ns, end_ns in searched:
            more = _find(cursor, where, begin_ns, end_ns, conditions, values, limit, found)
            if more is not None:
                beyond = more
                break
        _leave_out_newer(cursor, reader, table, to_ns, conditions, values, found)
        page = Page[TraceSum](_summed(cursor, reader, found))
        page.before_ns = beyond
        return page

    return reader.asked(read)


def _conditions(search: TraceSearch) -> tuple[str, list[Any]]:
    conditions, values = "", list[Any]()
    if search.operation:
        conditions += " AND name = ?"
        values.append(search.operation)
    if search.min_ns:
        conditions += f" AND duration_ns >= {int(search.min_ns)}"
    if search.only_errors:
        conditions += " AND status = 2"
    if search.text:
        holds, texts = holding(search.text, "name", "attributes", "message")
        conditions += holds
        values += texts
    return conditions, values


def _find(
    cursor: duckdb.DuckDBPyConnection,
    table: str,
    from_ns: int,
    to_ns: int,
    conditions: str,
    values: list[Any],
    limit: int,
    found: dict[_Id, int],
) -> int | None:
    """Find traces with the moment of their newest match; where to go on if there are more."""
    rows_max = limit * 4
    while True:
        sql = (
            f"SELECT at_ns, trace_high, trace_low FROM {table} WHERE at_ns >= {from_ns} "
            f"AND at_ns < {to_ns}{conditions} ORDER BY at_ns DESC LIMIT {rows_max}"
        )
        rows = cursor.execute(sql, values).fetchall()
        for at_ns, high, low in rows:
            if (high, low) not in found:
                if len(found) >= limit:
                    return at_ns + 1
                found[high, low] = at_ns
        if len(rows) < rows_max:
            return None
        if rows[0][0] == rows[-1][0]:
            # So many in one nanosecond: only a wider look gets past them.
            rows_max *= 8
        else:
            to_ns = rows[-1][0] + 1


def _leave_out_newer(
    cursor: duckdb.DuckDBPyConnection,
    reader: Reader,
    table: str,
    to_ns: int,
    conditions: str,
    values: list[Any],
    found: dict[_Id, int],
) -> None:
    """Leave out those that a newer page lists: they have a match after the period as well."""
    if not found:
        return
    ids = _listed(found)
    sql = reader.each(
        to_ns,
        to_ns + _SPREAD_NS,
        f"SELECT trace_high, trace_low FROM {{day}}.{table} WHERE at_ns >= {to_ns} "
        f"AND at_ns < {to_ns + _SPREAD_NS} AND trace_low IN ({ids}){conditions}",
    )
    for row in cursor.execute(sql, values * sql.count("WHERE")).fetchall() if sql else []:
        found.pop(row, None)


def _listed(ids: Iterable[_Id]) -> str:
    return ", ".join(str(low) for _, low in ids)


def _summed(
    cursor: duckdb.DuckDBPyConnection, reader: Reader, found: dict[_Id, int]
) -> list[TraceSum]:
    if not found:
        return []
    begin_ns = min(found.values()) - _SPREAD_NS
    end_ns = max(found.values()) + _SPREAD_NS
    sql = reader.each(
        begin_ns,
        end_ns,
        "SELECT trace_high, trace_low, at_ns, spans, errors, services, root_ns, is_root, name, "
        f"duration_ns, kept_for FROM {{day}}.traces WHERE at_ns >= {begin_ns} "
        f"AND at_ns < {end_ns} AND trace_low IN ({_listed(found)})",
    )
    parts: dict[_Id, list[tuple[Any, ...]]] = {}
    for row in cursor.execute(sql).fetchall():
        if row[:2] in found:
            parts.setdefault(row[:2], []).append(row[2:])
    sums = [_trace_sum(key, rows) for key, rows in parts.items()]
    return sorted(sums, key=lambda one: (-one.at_ns, one.trace_id))


def _trace_sum(key: _Id, rows: list[tuple[Any, ...]]) -> TraceSum:
    first = max(rows, key=lambda row: (row[5], -row[4]))
    services = {name for row in rows for name in row[3].split("\n") if name}
    return TraceSum(
        trace_id=trace_bytes(*key),
        at_ns=first[4],
        name=first[6],
        duration_ns=first[7],
        spans=sum(row[1] for row in rows),
        errors=sum(row[2] for row in rows),
        services=sorted(services),
        kept_for=first[8] or next((row[8] for row in rows if row[8]), ""),
    )


def newest_spans(reader: Reader, from_ns: int, to_ns: int, limit: int) -> list[SpanRecord]:
    """The spans of the newest traces of a period, of a few with each name.

    What it takes does not grow with the period: 2,000 traces are looked at, 20 of each name are
    taken, and no more once they have 4,000 spans.
    """

    def read(cursor: duckdb.DuckDBPyConnection) -> list[SpanRecord]:
        chosen = _chosen(_newest(cursor, reader, from_ns, to_ns), limit)
        if not chosen:
            return []
        begin_ns = min(at_ns for at_ns, _ in chosen.values())
        end_ns = max(ended_ns for _, ended_ns in chosen.values()) + 1
        sql = reader.each(
            begin_ns,
            end_ns,
            f"SELECT {SPAN_COLUMNS} FROM {{day}}.spans WHERE at_ns >= {begin_ns} "
            f"AND at_ns < {end_ns} AND trace_low IN ({_listed(chosen)})",
        )
        rows = cursor.execute(f"SELECT * FROM ({sql}) LIMIT {SPANS_MAX}").fetchall()
        return [span_of(row) for row in rows if (row[2], row[3]) in chosen]

    return reader.asked(read)


def _newest(
    cursor: duckdb.DuckDBPyConnection, reader: Reader, from_ns: int, to_ns: int
) -> dict[_Id, tuple[int, int, int, str]]:
    """Beginning, end, number of spans and name of traces, the newest first."""
    rows: list[tuple[Any, ...]] = []
    for database in reversed(reader.databases(from_ns, to_ns)):
        sql = (
            "SELECT trace_high, trace_low, at_ns, ended_ns, spans, is_root, name "
            f"FROM {database}.traces WHERE at_ns >= {from_ns} AND at_ns < {to_ns} "
            f"ORDER BY at_ns DESC LIMIT {LOOKED_AT_MAX - len(rows)}"
        )
        rows += cursor.execute(sql).fetchall()
        if len(rows) >= LOOKED_AT_MAX:
            break
    found: dict[_Id, tuple[int, int, int, str]] = {}
    # Several processes, or seconds, may each have brought a part.
    for high, low, at_ns, ended_ns, spans, is_root, name in rows:
        begun, ended, count, known = found.get((high, low), (at_ns, ended_ns, 0, name))
        shown = name if is_root else known
        found[high, low] = min(begun, at_ns), max(ended, ended_ns), count + spans, shown
    return found


def _chosen(newest: dict[_Id, tuple[int, int, int, str]], limit: int) -> dict[_Id, tuple[int, int]]:
    """When each trace that is taken begins and ends."""
    taken: dict[_Id, tuple[int, int]] = {}
    of_name: dict[str, int] = {}
    left = FEW_SPANS_MAX
    for key, (at_ns, ended_ns, count, name) in newest.items():
        if len(taken) >= limit or left <= 0:
            break
        of_name[name] = of_name.get(name, 0) + 1
        if of_name[name] <= OF_A_NAME_MAX:
            taken[key] = at_ns, ended_ns
            left -= count
    return taken


def trace(reader: Reader, trace_id: bytes) -> tuple[list[SpanRecord], list[LogRecord]]:
    """All that is kept of a trace, by time; at most 10,000 spans, and as many lines."""
    high, low = trace_number(trace_id)
    same = f"trace_low = {low} AND trace_high = {high}"

    def read(cursor: duckdb.DuckDBPyConnection) -> tuple[list[SpanRecord], list[LogRecord]]:
        everything = (0, (1 << 63) - 1)
        sql = reader.each(*everything, f"SELECT at_ns, ended_ns FROM {{day}}.traces WHERE {same}")
        parts = cursor.execute(sql).fetchall() if sql else []
        if not parts:
            return [], []
        begin_ns = min(at_ns for at_ns, _ in parts)
        end_ns = max(ended_ns for _, ended_ns in parts) + 1
        spans = reader.each(
            begin_ns,
            end_ns,
            f"SELECT {SPAN_COLUMNS} FROM {{day}}.spans "
            f"WHERE at_ns >= {begin_ns} AND at_ns < {end_ns} AND {same}",
        )
        lines = reader.each(
            begin_ns - _LATER_NS,
            end_ns + _LATER_NS,
            f"SELECT {LOG_COLUMNS} FROM {{day}}.logs WHERE at_ns >= {begin_ns - _LATER_NS} "
            f"AND at_ns < {end_ns + _LATER_NS} AND {same}",
        )
        end = f"ORDER BY at_ns LIMIT {SPANS_MAX}"
        return (
            [span_of(row) for row in cursor.execute(f"SELECT * FROM ({spans}) {end}").fetchall()],
            [log_of(row) for row in cursor.execute(f"SELECT * FROM ({lines}) {end}").fetchall()],
        )

    return reader.asked(read)
