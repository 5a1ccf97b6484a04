"""What is kept one by one: traces, log lines, exceptions."""

from __future__ import annotations

import msgspec


class TraceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A trace as a search lists it; `name` is that of its first span."""

    trace_id: str
    at_ms: float
    name: str
    duration_ms: float
    spans_count: int
    errors_count: int
    services: list[str]
    kept_for: str


class Traces(msgspec.Struct, frozen=True, kw_only=True):
    """Some traces, newest first; ask again with `before_ms` as `before` for older ones.

    None in it says that all has been searched. There may be few, or none, and still older ones.
    """

    traces: list[TraceRow]
    before_ms: float | None = None


class SpanEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened within a span."""

    offset_ms: float
    name: str
    attributes: dict[str, str | int | float | bool] = {}


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work within a trace.

    Attributes:
        offset_ms: Its beginning, after that of the trace.
        depth: How many spans it lies within.
        kind: As OpenTelemetry numbers them: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
        critical: The parts of the trace's longest chain that it spent itself, as (from, to) in
            milliseconds after the trace's beginning.
    """

    span_id: str
    parent_id: str
    name: str
    kind: int
    service: str
    worker: str
    offset_ms: float
    duration_ms: float
    depth: int
    is_error: bool
    message: str = ""
    kept_for: str = ""
    attributes: dict[str, str | int | float | bool] = {}
    events: list[SpanEvent] = []
    critical: list[tuple[float, float]] = []


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the log.

    Attributes:
        severity: As OpenTelemetry numbers it: 5 debug, 9 info, 13 warning, 17 error, 21 fatal.
    """

    at_ms: float
    severity: int
    text: str
    logger: str = ""
    service: str = ""
    worker: str = ""
    trace_id: str = ""
    span_id: str = ""
    exception: str = ""
    traceback: str = ""
    attributes: dict[str, str | int | float | bool] = {}


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """A trace: its spans in the order of a waterfall, and what was logged meanwhile."""

    trace_id: str
    at_ms: float
    duration_ms: float
    spans: list[Span]
    logs: list[LogLine]


class Logs(msgspec.Struct, frozen=True, kw_only=True):
    """Some lines, newest first; ask again with `before_ms` as `before` for older ones.

    None in it says that all has been searched. There may be few, or none, and still older ones.
    """

    lines: list[LogLine]
    before_ms: float | None = None


class ExceptionGroup(msgspec.Struct, frozen=True, kw_only=True):
    """The same fault, however often it came.

    Attributes:
        fingerprint: Of its type and lines of code.
        trace_id: A trace in which it came; empty where none is kept.
    """

    fingerprint: str
    exception: str
    text: str
    count: int
    first_at_ms: float
    last_at_ms: float
    services: list[str] = []
    traceback: str = ""
    trace_id: str = ""


class Exceptions(msgspec.Struct, frozen=True, kw_only=True):
    """The faults of a period, most frequent first."""

    exceptions: list[ExceptionGroup]
