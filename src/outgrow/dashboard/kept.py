"""Answers on what is kept one by one: traces, log lines, exceptions, SQL and its tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outgrow.dashboard import shapes
from outgrow.dashboard.asking import AskingError
from outgrow.dashboard.atlas import node_of
from outgrow.dashboard.source import LogSearch, TraceSearch
from outgrow.dashboard.waterfall import line_of, trace_of
from outgrow.telemetry import quantile_ms

if TYPE_CHECKING:
    from outgrow.dashboard.asking import Asked
    from outgrow.dashboard.source import Buckets, FaultSum, Source
    from outgrow.telemetry import LogRecord, StatementTotals

CALLERS_MAX = 20
_TRACE_DIGITS = 32


def traces(source: Source, asked: Asked) -> shapes.Traces:
    """Kept traces, newest first."""
    search = TraceSearch(
        operation=asked.text("operation"),
        text=asked.text("text"),
        min_ns=int(asked.number("min_ms") * 1e6),
        only_errors=bool(asked.whole("error")),
        limit=asked.whole("limit"),
    )
    found = source.traces(search, asked.from_ns, asked.values["before"] or asked.to_ns)
    rows = [
        shapes.TraceRow(
            trace_id=one.trace_id.hex(),
            at_ms=one.at_ns / 1e6,
            name=one.name,
            duration_ms=one.duration_ns / 1e6,
            spans_count=one.spans,
            errors_count=one.errors,
            services=one.services,
            kept_for=one.kept_for,
        )
        for one in found
    ]
    return shapes.Traces(traces=rows, before_ms=_ms(found.before_ns))


def _ms(at_ns: int | None) -> float | None:
    return None if at_ns is None else at_ns / 1e6


def trace(source: Source, asked: Asked) -> shapes.Trace:
    """One trace.

    Raises:
        AskingError: It is no id, or nothing of it is kept.
    """
    digits = asked.name.lower()
    if len(digits) != _TRACE_DIGITS or not set(digits) <= set("0123456789abcdef"):
        raise AskingError(
            f"`{digits[:40]}` is no trace id", f"Give {_TRACE_DIGITS} hexadecimal digits"
        )
    spans, logs = source.trace(bytes.fromhex(digits))
    found = trace_of(digits, spans, logs)
    if found is None:
        raise AskingError(
            f"the trace {digits} is not kept",
            "Errors, the slowest and samples are kept for some days; the rest is only counted",
            status=404,
        )
    return found


def logs(source: Source, asked: Asked) -> shapes.Logs:
    """Lines of the log, newest first."""
    search = LogSearch(
        text=asked.text("text"),
        severity_min=asked.whole("severity_min"),
        trace_id=bytes.fromhex(asked.text("trace_id")),
        worker=asked.text("worker"),
        limit=asked.whole("limit"),
    )
    found = source.logs(search, asked.from_ns, asked.values["before"] or asked.to_ns)
    return shapes.Logs(lines=[line_of(one) for one in found], before_ms=_ms(found.before_ns))


def exceptions(source: Source, asked: Asked) -> shapes.Exceptions:
    """Faults, the most frequent first."""
    found = source.faults(asked.from_ns, asked.to_ns, asked.whole("limit"))
    return shapes.Exceptions(exceptions=[_fault(one) for one in found])


def _fault(fault: FaultSum) -> shapes.ExceptionGroup:
    last = fault.last
    return shapes.ExceptionGroup(
        fingerprint=last.fingerprint,
        exception=last.exception,
        text=_said(last),
        count=fault.count,
        first_at_ms=fault.first_ns / 1e6,
        last_at_ms=last.at_ns / 1e6,
        services=fault.services,
        traceback=last.traceback,
        trace_id=last.trace_id.hex(),
    )


def _said(line: LogRecord) -> str:
    """What the exception says, as its traceback ends; where that is not plain, what was logged."""
    end = line.traceback.rstrip().rpartition("\n")[2]
    name, _, said = end.partition(": ")
    is_name = line.exception.rpartition(".")[2] == name.rpartition(".")[2]
    return said if is_name and said else line.text


@dataclass
class _Statement:
    """A statement, by all its callers."""

    first: StatementTotals
    callers: dict[str, int] = field(default_factory=dict[str, int])
    calls: int = 0
    errors: int = 0
    rows: int = 0
    duration_ns: int = 0
    buckets: Buckets = field(default_factory=dict[int, int])
    per_parent: dict[int, int] = field(default_factory=dict[int, int])

    def add(self, one: StatementTotals) -> None:
        self.callers[one.caller] = self.callers.get(one.caller, 0) + one.duration_ns
        self.calls += one.calls
        self.errors += one.errors
        self.rows += one.rows
        self.duration_ns += one.duration_ns
        for mine, theirs in ((self.buckets, one.buckets), (self.per_parent, one.per_parent)):
            for bucket, count in theirs.items():
                mine[bucket] = mine.get(bucket, 0) + count


def statements(source: Source, asked: Asked) -> shapes.Statements:
    """SQL statements, those that took most time first."""
    caller = asked.text("caller")
    found: dict[tuple[str, str], _Statement] = {}
    whole_ns = 0
    for one in source.statements(asked.from_ns, asked.to_ns):
        if caller in ("", one.caller):
            whole_ns += one.duration_ns
            key = (one.database, one.fingerprint)
            found.setdefault(key, _Statement(one)).add(one)
    ordered = sorted(found.values(), key=lambda one: -one.duration_ns)[: asked.whole("limit")]
    return shapes.Statements(statements=[_shown(one, whole_ns) for one in ordered])


def _shown(one: _Statement, whole_ns: int) -> shapes.Statement:
    callers = sorted(one.callers, key=lambda name: -one.callers[name])
    return shapes.Statement(
        database=one.first.database,
        fingerprint=one.first.fingerprint,
        text=one.first.text,
        callers=callers[:CALLERS_MAX],
        reads=one.first.reads,
        writes=one.first.writes,
        calls=one.calls,
        errors=one.errors,
        rows=one.rows,
        total_ms=one.duration_ns / 1e6,
        share_percent=100 * one.duration_ns / whole_ns if whole_ns else 0.0,
        mean_ms=one.duration_ns / one.calls / 1e6 if one.calls else None,
        p95_ms=quantile_ms(one.buckets, 0.95),
        calls_per_request_p95=_at_most(one.per_parent, 0.95),
    )


def _at_most(per_parent: dict[int, int], share: float) -> float | None:
    """How often this share of the callers' runs ran a statement at most.

    The lower edge of the bucket, so that a statement that runs once in each shows 1.
    """
    wanted = sum(per_parent.values()) * share
    seen = 0
    for bucket in sorted(per_parent):
        seen += per_parent[bucket]
        if seen and seen >= wanted:
            return float(2**bucket)
    return None


@dataclass
class _Table:
    readers: set[str] = field(default_factory=set[str])
    writers: set[str] = field(default_factory=set[str])
    calls: int = 0
    duration_ns: int = 0


def databases(source: Source, asked: Asked) -> shapes.Databases:
    """Tables, and the services that read and write them."""
    tables: dict[str, dict[str, _Table]] = {}
    whole: dict[str, tuple[int, int]] = {}
    for one in source.statements(asked.from_ns, asked.to_ns):
        calls, duration_ns = whole.get(one.database, (0, 0))
        whole[one.database] = (calls + one.calls, duration_ns + one.duration_ns)
        held = tables.setdefault(one.database, {})
        for name in {*one.reads, *one.writes}:
            table = held.setdefault(name, _Table())
            table.calls += one.calls
            table.duration_ns += one.duration_ns
            if name in one.reads:
                table.readers.add(node_of(one.caller))
            if name in one.writes:
                table.writers.add(node_of(one.caller))
    ordered = sorted(whole, key=lambda name: -whole[name][1])
    return shapes.Databases(
        databases=[_database(name, whole[name], tables[name]) for name in ordered]
    )


def _database(name: str, whole: tuple[int, int], tables: dict[str, _Table]) -> shapes.DatabaseUse:
    users = {user for table in tables.values() for user in table.readers | table.writers}
    ordered = sorted(tables.items(), key=lambda item: -item[1].duration_ns)
    return shapes.DatabaseUse(
        name=name,
        services=sorted(users),
        calls=whole[0],
        total_ms=whole[1] / 1e6,
        tables=[
            shapes.TableUse(
                table=table_name,
                readers=sorted(table.readers),
                writers=sorted(table.writers),
                calls=table.calls,
                total_ms=table.duration_ns / 1e6,
            )
            for table_name, table in ordered
        ],
    )
