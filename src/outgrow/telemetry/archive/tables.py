"""The tables of a day's file.

Counts have a table for each length of windows, so that a week is read from few rows; the longer
ones are summed up when they are over. All histograms of a row are two lists, of buckets and of
counts: the bucket of the second one is told apart by 65,536 that are added, and so on.
"""

from __future__ import annotations

from outgrow.telemetry.archive.kinds import KINDS, Kind

FORMAT = 3
HISTOGRAM_BITS = 16
# Lengths of windows in seconds; each divides the next.
LEVELS_SECONDS = (10, 60, 600, 3600, 86_400)

SPANS = (
    *("at_ns BIGINT", "duration_ns BIGINT", "trace_high UBIGINT", "trace_low UBIGINT"),
    *("span_id UBIGINT", "parent_id UBIGINT", "name VARCHAR", "kind UTINYINT"),
    *("status UTINYINT", "http_status USMALLINT", "kept_for VARCHAR", "service VARCHAR"),
    *("worker VARCHAR", "message VARCHAR", "attributes VARCHAR", "rest BLOB"),
)
# What each write brought of a trace; the name is that of its first span, if that is among them.
TRACES = (
    *("trace_high UBIGINT", "trace_low UBIGINT", "at_ns BIGINT", "ended_ns BIGINT"),
    *("spans INTEGER", "errors INTEGER", "services VARCHAR", "root_ns BIGINT"),
    *("is_root BOOLEAN", "name VARCHAR", "duration_ns BIGINT", "kept_for VARCHAR"),
)
LOGS = (
    *("at_ns BIGINT", "severity UTINYINT", "text VARCHAR", "logger VARCHAR", "service VARCHAR"),
    *("worker VARCHAR", "trace_high UBIGINT", "trace_low UBIGINT", "span_id UBIGINT"),
    *("attributes VARCHAR", "exception VARCHAR", "traceback VARCHAR", "fingerprint VARCHAR"),
)
# Of each whole hour and name some spans, see `picking`.
PICKS = (
    *("at_ns BIGINT", "name VARCHAR", "trace_high UBIGINT", "trace_low UBIGINT"),
    *("span_id UBIGINT", "duration_ns BIGINT", "status UTINYINT", "kept_for VARCHAR"),
)
POINTS = ("at_ns BIGINT", "name VARCHAR", "service VARCHAR", "point BLOB")
MARKS = ("at_ns BIGINT", "kind VARCHAR", "text VARCHAR")
GAPS = (*("at_ns BIGINT", "to_ns BIGINT", "worker VARCHAR", "epoch VARCHAR", "is_counted BOOLEAN"),)
# Who reported, as often as that changed; `at_ns` is when it was last seen.
ORIGINS = (*("at_ns BIGINT", "epoch VARCHAR", "began_ns BIGINT", "state VARCHAR", "origin BLOB"),)
TEXTS = ("database VARCHAR", "fingerprint VARCHAR", "text VARCHAR", "used BLOB")
ROWS = {
    "spans": SPANS,
    "traces": TRACES,
    "picks": PICKS,
    "logs": LOGS,
    "points": POINTS,
    "marks": MARKS,
    "gaps": GAPS,
    "origins": ORIGINS,
    "texts": TEXTS,
}
# What a file may lose for want of room.
BULKY = ("spans", "traces", "logs", "points")


# Files of an older observer lack these tables, which are made when such a file is opened.
LATER = {"picks": ", ".join(PICKS), "picked": "until_ns BIGINT"}


def count_columns(kind: Kind) -> list[str]:
    """The columns of a kind of count, with their types."""
    columns = ["at_ns BIGINT"]
    columns += [f'"{name}" VARCHAR' for name in kind.keys]
    columns += [
        f'"{name}" {"DOUBLE" if name in kind.fractions else "BIGINT"}' for name in kind.numbers
    ]
    if kind.histograms:
        columns += ["buckets UINTEGER[]", "counts BIGINT[]"]
    return columns + [f'"{name}" DOUBLE' for name in kind.latest]


def statements_for(database: str) -> list[str]:
    """What creates the tables in an attached database."""
    tables = {name: ", ".join(columns) for name, columns in ROWS.items()} | LATER
    for kind in KINDS.values():
        for seconds in LEVELS_SECONDS:
            tables[f"{kind.name}_{seconds}"] = ", ".join(count_columns(kind))
    # Each writing of windows, see `totals`, and until when each length of them is summed up.
    tables["writings"] = "number BIGINT"
    tables["summed"] = "seconds INTEGER, until_ns BIGINT"
    tables["archive_format"] = "number INTEGER"
    found = [f"CREATE TABLE {database}.{name} ({columns})" for name, columns in tables.items()]
    return [*found, f"INSERT INTO {database}.archive_format VALUES ({FORMAT})"]
