"""The spans of a trace in the order of a waterfall, and the chain that made it last so long.

The critical path is walked from the end: what a span waited for last is the child that ended last
before; from there on that child is to blame, down to its beginning, and so on. What no child
explains is the span's own. All parts together are as long as the trace.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outgrow.dashboard.shapes import LogLine, Span, SpanEvent, Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from outgrow.telemetry import LogRecord, SpanRecord

SPANS_MAX = 5000
_ERROR = 2


@dataclass(eq=False)
class _Knot:
    """A span with those within it.

    Attributes:
        from_ns: Its beginning.
        to_ns: Its end.
        critical: Its own parts of the critical path, last one first.
    """

    record: SpanRecord
    from_ns: int
    to_ns: int
    children: list[_Knot] = field(default_factory=list["_Knot"])
    critical: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])


def trace_of(
    trace_id: str, records: Sequence[SpanRecord], logs: Iterable[LogRecord]
) -> Trace | None:
    """The trace as it is shown; None where nothing of it is kept.

    Args:
        trace_id: As hexadecimal digits.
        records: Its spans, in any order; those past 5,000 are left out.
        logs: What was logged in it.
    """
    if not records:
        return None
    roots = _tied(sorted(records, key=lambda record: record.at_ns)[:SPANS_MAX])
    begun_ns = min(root.from_ns for root in roots)
    ordered = [*_in_order(roots)]
    ended_ns = max(knot.to_ns for knot, _ in ordered)
    _walk_critical(max(roots, key=lambda root: root.to_ns - root.from_ns))
    spans = [_shown(knot, depth, begun_ns) for knot, depth in ordered]
    return Trace(
        trace_id=trace_id,
        at_ms=begun_ns / 1e6,
        duration_ms=(ended_ns - begun_ns) / 1e6,
        spans=spans,
        logs=[line_of(log) for log in sorted(logs, key=lambda log: log.at_ns)],
    )


def _tied(records: list[SpanRecord]) -> list[_Knot]:
    """Tie spans to those they lie within; returns those that lie within none that is kept."""
    knots = {
        record.span_id: _Knot(record, record.at_ns, record.at_ns + record.duration_ns)
        for record in records
    }
    roots: list[_Knot] = []
    for knot in knots.values():
        parent = knots.get(knot.record.parent_id)
        if parent is None or parent is knot:
            roots.append(knot)
        else:
            parent.children.append(knot)
    return roots or _without_circle(knots)


def _without_circle(knots: dict[bytes, _Knot]) -> list[_Knot]:
    """All spans side by side, where strangers sent some that lie within one another in a circle."""
    for knot in knots.values():
        knot.children.clear()
    return list(knots.values())


def _in_order(roots: list[_Knot]) -> Iterator[tuple[_Knot, int]]:
    """Each span after the one it lies within, by time; with how deep it lies."""
    waiting = [(root, 0) for root in reversed(roots)]
    while waiting:
        knot, depth = waiting.pop()
        yield knot, depth
        inner = sorted(knot.children, key=lambda child: child.from_ns, reverse=True)
        waiting += [(child, depth + 1) for child in inner]


def _walk_critical(root: _Knot) -> None:
    waiting = [(root, root.from_ns, root.to_ns)]
    while waiting:
        knot, from_ns, at_ns = waiting.pop()
        children = sorted(knot.children, key=lambda child: child.to_ns, reverse=True)
        for child in children:
            ended_ns = min(child.to_ns, at_ns)
            begun_ns = max(child.from_ns, from_ns)
            # Nobody waited for a child that outlived its parent.
            if ended_ns <= begun_ns or child.to_ns > knot.to_ns:
                continue
            if ended_ns < at_ns:
                knot.critical.append((ended_ns, at_ns))
            waiting.append((child, begun_ns, ended_ns))
            at_ns = begun_ns
        if at_ns > from_ns:
            knot.critical.append((from_ns, at_ns))


def _shown(knot: _Knot, depth: int, begun_ns: int) -> Span:
    record = knot.record
    return Span(
        span_id=record.span_id.hex(),
        parent_id=record.parent_id.hex(),
        name=record.name,
        kind=record.kind,
        service=record.service,
        worker=record.worker,
        offset_ms=(knot.from_ns - begun_ns) / 1e6,
        duration_ms=record.duration_ns / 1e6,
        depth=depth,
        is_error=record.status == _ERROR,
        message=record.message,
        kept_for=record.kept_for,
        attributes=record.attributes,
        events=[
            SpanEvent(offset_ms=(at_ns - begun_ns) / 1e6, name=name, attributes=attributes)
            for at_ns, name, attributes in record.events
        ],
        critical=[
            ((from_ns - begun_ns) / 1e6, (to_ns - begun_ns) / 1e6)
            for from_ns, to_ns in reversed(knot.critical)
        ],
    )


def line_of(record: LogRecord) -> LogLine:
    """A line of the log as the API shows it."""
    return LogLine(
        at_ms=record.at_ns / 1e6,
        severity=record.severity,
        text=record.text,
        logger=record.logger,
        service=record.service,
        worker=record.worker,
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        exception=record.exception,
        traceback=record.traceback,
        attributes=record.attributes,
    )
