"""Exemplars: kept spans of a callee, spread over a period.

To find them among millions of spans takes the longer, the longer the period is. So some spans of
each name are picked of each hour once that is over, and those of days are read from these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outgrow.telemetry.archive.counting import FOREVER_NS
from outgrow.telemetry.archive.kept import LIMIT_MAX
from outgrow.telemetry.archive.rows import trace_bytes
from outgrow.telemetry.records import SpanRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

    from outgrow.telemetry.archive.reading import Reader

HOUR_NS = 3600 * 10**9
# What is told of an hour after it, still counts.
_LATE_NS = 60 * 10**9
_ERROR = 2
_COLUMNS = "at_ns, name, trace_high, trace_low, span_id, duration_ns, status, kept_for"
# The slowest, any one, and an error; none twice.
_PICKED = "[arg_max(rowid, duration_ns), min(rowid), min(rowid) FILTER (status = 2)]"


def picked_until(cursor: duckdb.DuckDBPyConnection, databases: Iterable[str]) -> dict[str, int]:
    """Until when spans are picked in each file."""
    sql = " UNION ALL ".join(
        f"SELECT '{name}', coalesce(max(until_ns), 0) FROM {name}.picked" for name in databases
    )
    return dict(cursor.execute(sql).fetchall()) if sql else {}


def pick(cursor: duckdb.DuckDBPyConnection, database: str, until_ns: int, closed_ns: int) -> int:
    """Pick spans of the hours that are over.

    Args:
        cursor: To write with.
        database: The day's.
        until_ns: Until when it has been done.
        closed_ns: Nothing comes before it; `FOREVER_NS` for a day that is over.

    Returns:
        Until when it is done now.
    """
    to_ns = closed_ns
    if closed_ns != FOREVER_NS:
        to_ns = (closed_ns - _LATE_NS) // HOUR_NS * HOUR_NS
    if to_ns <= until_ns:
        return until_ns
    where = f"at_ns >= {until_ns} AND at_ns < {to_ns}"
    cursor.execute("BEGIN")
    cursor.execute(
        f"INSERT INTO {database}.picks "
        + _chosen(f"{database}.spans", where, f"at_ns // {HOUR_NS}, name", _COLUMNS)
    )
    cursor.execute(f"INSERT INTO {database}.picked VALUES ({to_ns})")
    cursor.execute("COMMIT")
    return to_ns


def _chosen(table: str, where: str, groups: str, columns: str) -> str:
    """Of each group some rows; the more columns of all rows are read, the longer it takes."""
    return (
        f"SELECT {columns} FROM {table} WHERE rowid IN "
        f"(SELECT unnest({_PICKED}) FROM {table} WHERE {where} GROUP BY {groups})"
    )


def exemplars(
    reader: Reader, callee: str, from_ns: int, to_ns: int, limit: int
) -> list[SpanRecord]:
    """Kept spans of a callee, by time: only of which trace, when, how long, how it ended and why.

    They are spread over the period: of each part of it the slowest, any one, and an error. Of a
    long period only the slowest, the first and the first error of each hour and name are looked at.
    """
    limit = max(3, min(limit, LIMIT_MAX))
    cell_ns = max(1, -(-(to_ns - from_ns) // (limit // 3)))

    def read(cursor: duckdb.DuckDBPyConnection) -> list[SpanRecord]:
        names = reader.databases(from_ns, to_ns)
        known = picked_until(cursor, names) if cell_ns >= HOUR_NS else {}
        rows: list[tuple[Any, ...]] = []
        whole = [name for name, until_ns in known.items() if until_ns > from_ns]
        sql = " UNION ALL ".join(
            f"SELECT {_COLUMNS} FROM {name}.picks WHERE at_ns >= {from_ns} AND at_ns < {to_ns} "
            "AND name = $callee"
            for name in whole
        )
        rows += cursor.execute(sql, {"callee": callee}).fetchall() if sql else []
        for name in names:
            begin_ns = max(from_ns, known.get(name, 0))
            if begin_ns < to_ns:
                where = f"at_ns >= {begin_ns} AND at_ns < {to_ns} AND name = $callee"
                groups = f"(at_ns - {from_ns}) // {cell_ns}"
                sql = _chosen(f"{name}.spans", where, groups, _COLUMNS)
                rows += cursor.execute(sql, {"callee": callee}).fetchall()
        spans = sorted(map(_exemplar, rows), key=lambda span: span.at_ns)
        return _spread(spans, from_ns, cell_ns)[-limit:]

    return reader.asked(read)


def _spread(spans: Iterable[SpanRecord], from_ns: int, cell_ns: int) -> list[SpanRecord]:
    """Of each part of a period the slowest, the first and the first error; spans are by time."""
    cells: dict[int, list[SpanRecord]] = {}
    for span in spans:
        cells.setdefault((span.at_ns - from_ns) // cell_ns, []).append(span)
    found: list[SpanRecord] = []
    for those in cells.values():
        slowest = max(those, key=lambda span: span.duration_ns)
        failed = next((span for span in those if span.status == _ERROR), None)
        found += [one for one in those if one in (slowest, failed, those[0])]
    return found


def _exemplar(row: tuple[Any, ...]) -> SpanRecord:
    at_ns, name, high, low, span_id, duration_ns, status, kept_for = row
    return SpanRecord(
        trace_id=trace_bytes(high, low),
        span_id=span_id.to_bytes(8, "big"),
        parent_id=b"",
        name=name,
        kind=0,
        at_ns=at_ns,
        duration_ns=duration_ns,
        status=status,
        kept_for=kept_for,
    )
