"""Searches what is kept one by one: spans, log lines, points of metrics, marks, gaps.

A search goes from the newest day to the oldest, and stops where it has enough. Text is looked for
in so many records at most; where that is not all, the page says from where to go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outgrow.telemetry.archive.answers import (
    FaultSum,
    GapSum,
    LogSearch,
    MarkSum,
    MetricSum,
    Page,
)
from outgrow.telemetry.archive.days import DAY_NS
from outgrow.telemetry.archive.rows import (
    LOG_COLUMNS,
    log_of,
    point_of,
    trace_number,
)

if TYPE_CHECKING:
    import duckdb

    from outgrow.telemetry.archive.reading import Reader
    from outgrow.telemetry.records import LogRecord, MetricPoint

RECORDS_MAX = 150_000
LIMIT_MAX = 10_000
_MINUTE_NS = 60 * 10**9


def holding(text: str, *columns: str) -> tuple[str, list[str]]:
    """A condition, with its values: a column holds a text; upper and lower case are alike."""
    if set(text) & set("%_"):
        # These are signs in a pattern, and to escape them takes longer than to do without.
        each, value = "contains(lower({}), ?)", text.lower()
    else:
        each, value = "{} ILIKE ?", f"%{text}%"
    condition = " OR ".join(each.format(name) for name in columns)
    return f" AND ({condition})", [value] * len(columns)


def bounded(
    cursor: duckdb.DuckDBPyConnection, table: str, from_ns: int, to_ns: int, records: int
) -> tuple[int, int]:
    """How far back a period reaches that holds about so many records; and how many it holds."""
    sql = (
        f"SELECT at_ns // {_MINUTE_NS} AS minute, count(*) FROM {table} "
        f"WHERE at_ns >= {from_ns} AND at_ns < {to_ns} GROUP BY minute ORDER BY minute DESC"
    )
    seen = 0
    for minute, count in cursor.execute(sql).fetchall():
        seen += count
        if seen >= records:
            return max(from_ns, minute * _MINUTE_NS), seen
    return from_ns, seen


def slices(
    cursor: duckdb.DuckDBPyConnection,
    reader: Reader,
    table: str,
    from_ns: int,
    to_ns: int,
    *,
    is_text: bool,
) -> tuple[list[tuple[str, int, int]], int | None]:
    """What is searched, newest first: tables with a period each; and where to go on after them.

    A text is looked for in 150,000 records, and at most in those of one more minute.
    """
    found: list[tuple[str, int, int]] = []
    left = RECORDS_MAX
    names = reader.databases(from_ns, to_ns)
    while names:
        name = names.pop()
        day_ns = int(name[1:]) * DAY_NS
        begin_ns, end_ns = max(from_ns, day_ns), min(to_ns, day_ns + DAY_NS)
        if is_text:
            least_ns = begin_ns
            begin_ns, seen = bounded(cursor, f"{name}.{table}", least_ns, end_ns, left)
            left -= seen
            found.append((f"{name}.{table}", begin_ns, end_ns))
            if left <= 0:
                return found, begin_ns if names or begin_ns > least_ns else None
        else:
            found.append((f"{name}.{table}", begin_ns, end_ns))
    return found, None


def logs(reader: Reader, search: LogSearch, from_ns: int, to_ns: int) -> Page[LogRecord]:
    """Lines of the log, newest first."""
    conditions, values = _log_conditions(search)
    limit = max(1, min(search.limit, LIMIT_MAX))

    def read(cursor: duckdb.DuckDBPyConnection) -> Page[LogRecord]:
        page = Page[Any]()
        is_text = bool(search.text)
        searched, beyond = slices(cursor, reader, "logs", from_ns, to_ns, is_text=is_text)
        for table, begin_ns, end_ns in searched:
            wanted = limit + 1 - len(page)
            sql = (
                f"SELECT {LOG_COLUMNS} FROM {table} WHERE at_ns >= {begin_ns} "
                f"AND at_ns < {end_ns}{conditions} ORDER BY at_ns DESC LIMIT {wanted}"
            )
            page += [log_of(row) for row in cursor.execute(sql, values).fetchall()]
            if len(page) > limit:
                # One more than asked for says where to go on.
                page.before_ns = page.pop().at_ns + 1
                return page
        page.before_ns = beyond
        return page

    return reader.asked(read)


def _log_conditions(search: LogSearch) -> tuple[str, list[Any]]:
    conditions, values = "", list[Any]()
    if search.text:
        holds, texts = holding(search.text, "text", "logger", "attributes")
        conditions += holds
        values += texts
    if search.severity_min:
        conditions += f" AND severity >= {int(search.severity_min)}"
    if search.trace_id:
        high, low = trace_number(search.trace_id)
        conditions += f" AND trace_low = {low} AND trace_high = {high}"
    if search.worker:
        conditions += " AND worker = ?"
        values.append(search.worker)
    return conditions, values


def faults(reader: Reader, from_ns: int, to_ns: int, limit: int) -> list[FaultSum]:
    """Exceptions by fingerprint, most frequent first."""

    def read(cursor: duckdb.DuckDBPyConnection) -> list[FaultSum]:
        rows = reader.each(
            from_ns,
            to_ns,
            "SELECT fingerprint, at_ns, service, trace_high, trace_low FROM {day}.logs "
            f"WHERE at_ns >= {from_ns} AND at_ns < {to_ns} AND fingerprint <> ''",
        )
        if not rows:
            return []
        groups = cursor.execute(
            "SELECT fingerprint, count(*) AS n, min(at_ns), max(at_ns), "
            "list(DISTINCT service), max(at_ns) FILTER (trace_low <> 0) "
            f"FROM ({rows}) GROUP BY fingerprint ORDER BY n DESC, fingerprint LIMIT {int(limit)}"
        ).fetchall()
        last = _last_of(cursor, reader, groups)
        return [
            FaultSum(
                count=count,
                first_ns=first_ns,
                services=sorted(services),
                last=_with_trace(last[fingerprint, last_ns], last.get((fingerprint, traced_ns))),
            )
            for fingerprint, count, first_ns, last_ns, services, traced_ns in groups
            # A file may be deleted between the two questions.
            if (fingerprint, last_ns) in last
        ]

    return reader.asked(read)


def _last_of(
    cursor: duckdb.DuckDBPyConnection, reader: Reader, groups: list[tuple[Any, ...]]
) -> dict[tuple[str, int], LogRecord]:
    moments = sorted({at_ns for group in groups for at_ns in (group[3], group[5]) if at_ns})
    if not moments:
        return {}
    listed = ", ".join(map(str, moments))
    sql = reader.each(
        moments[0],
        moments[-1] + 1,
        f"SELECT {LOG_COLUMNS} FROM {{day}}.logs WHERE at_ns IN ({listed}) AND fingerprint <> ''",
    )
    found = [log_of(row) for row in cursor.execute(sql).fetchall()]
    # Of several of the same moment, one that has a trace.
    found.sort(key=lambda log: log.trace_id != b"")
    return {(log.fingerprint, log.at_ns): log for log in found}


def _with_trace(last: LogRecord, traced: LogRecord | None) -> LogRecord:
    if not last.trace_id and traced is not None:
        last.trace_id, last.span_id = traced.trace_id, traced.span_id
    return last


def marks(reader: Reader, from_ns: int, to_ns: int) -> list[MarkSum]:
    """What was marked, oldest first; the newest 10,000."""

    def read(cursor: duckdb.DuckDBPyConnection) -> list[MarkSum]:
        rows = reader.each(
            from_ns,
            to_ns,
            f"SELECT * FROM {{day}}.marks WHERE at_ns >= {from_ns} AND at_ns < {to_ns}",
        )
        if not rows:
            return []
        sql = f"SELECT * FROM ({rows}) ORDER BY at_ns DESC LIMIT {LIMIT_MAX}"
        found = cursor.execute(sql).fetchall()
        return [MarkSum(at_ns=at, kind=kind, text=text) for at, kind, text in reversed(found)]

    return reader.asked(read)


def gaps(reader: Reader, from_ns: int, to_ns: int) -> list[GapSum]:
    """Times of which workers told nothing, oldest first."""

    def read(cursor: duckdb.DuckDBPyConnection) -> list[GapSum]:
        # It is written under the moment at which it began; one of days is seldom.
        rows = reader.each(
            from_ns - DAY_NS,
            to_ns,
            f"SELECT * FROM {{day}}.gaps WHERE at_ns < {to_ns} AND to_ns > {from_ns}",
        )
        if not rows:
            return []
        sql = (
            "SELECT any_value(worker), at_ns, max(to_ns), bool_or(is_counted) "
            f"FROM ({rows}) GROUP BY epoch, at_ns ORDER BY at_ns LIMIT {LIMIT_MAX}"
        )
        return [
            GapSum(worker=worker, from_ns=at_ns, to_ns=end_ns, is_counted=counted)
            for worker, at_ns, end_ns, counted in cursor.execute(sql).fetchall()
        ]

    return reader.asked(read)


def metrics(reader: Reader, from_ns: int, to_ns: int) -> list[MetricSum]:
    """Names of metrics that points were received of, by name and service."""

    def read(cursor: duckdb.DuckDBPyConnection) -> list[MetricSum]:
        rows = reader.each(
            from_ns,
            to_ns,
            "SELECT name, service, at_ns FROM {day}.points "
            f"WHERE at_ns >= {from_ns} AND at_ns < {to_ns}",
        )
        if not rows:
            return []
        sql = (
            f"SELECT name, service, count(*), max(at_ns) FROM ({rows}) "
            f"GROUP BY name, service ORDER BY name, service LIMIT {LIMIT_MAX}"
        )
        return [
            MetricSum(name=name, service=service, points=count, last_ns=last_ns)
            for name, service, count, last_ns in cursor.execute(sql).fetchall()
        ]

    return reader.asked(read)


def points(reader: Reader, name: str, from_ns: int, to_ns: int, limit: int) -> list[MetricPoint]:
    """The newest points of a metric, oldest first."""

    def read(cursor: duckdb.DuckDBPyConnection) -> list[MetricPoint]:
        rows = reader.each(
            from_ns,
            to_ns,
            f"SELECT * FROM {{day}}.points WHERE at_ns >= {from_ns} AND at_ns < {to_ns} "
            "AND name = $name",
        )
        if not rows:
            return []
        sql = f"SELECT * FROM ({rows}) ORDER BY at_ns DESC LIMIT {min(limit, LIMIT_MAX)}"
        found = cursor.execute(sql, {"name": name}).fetchall()
        return [point_of(row) for row in reversed(found)]

    return reader.asked(read)
