"""Kept traces as signs take them: what lies within what, what is remote, what writes.

A call from one process to another has its span where it is answered, so a server's span within
another span is remote. Requests to elsewhere have theirs where they are made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.capacity.observed import is_operation
from outgrow.capacity.signs.sign import Step, Trace
from outgrow.telemetry import CLIENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Literal

    from outgrow.telemetry import SpanRecord

_SERVER, _ERROR = 2, 2
_WRITING = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE", "TRUNCATE"})
_READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_DATABASE = ("db.system.name", "db.system")
_METHOD = ("http.request.method", "http.method")


def traces_of(spans: Iterable[SpanRecord]) -> tuple[Trace, ...]:
    """The traces that these spans make, in the order of their first ones.

    What lies within no kept span but the first is left out.
    """
    by_trace: dict[bytes, list[SpanRecord]] = {}
    for span in spans:
        by_trace.setdefault(span.trace_id, []).append(span)
    return tuple(_trace(some) for some in by_trace.values())


def _trace(spans: Sequence[SpanRecord]) -> Trace:
    known = {span.span_id for span in spans}
    within: dict[bytes, list[SpanRecord]] = {}
    for span in sorted(spans, key=lambda one: one.at_ns):
        parent = span.parent_id if span.parent_id in known else b""
        within.setdefault(parent if parent != span.span_id else b"", []).append(span)
    # Where strangers sent a circle, no span is the first.
    first = within.get(b"", [*spans])[0]
    steps: list[Step] = []
    waiting = [(first, -1)]
    while waiting:
        span, parent = waiting.pop()
        place = len(steps)
        steps.append(_step(span, parent, steps, first.at_ns))
        waiting += [(inner, place) for inner in reversed(within.pop(span.span_id, []))]
    return Trace(
        operation=first.name,
        seconds=first.duration_ns / 1e9,
        steps=tuple(steps),
        trace_id=first.trace_id.hex(),
    )


def _step(span: SpanRecord, parent: int, steps: Sequence[Step], begun_ns: int) -> Step:
    method = _first(span, _METHOD)
    kind: Literal["call", "statement", "http", "other"] = "other"
    if _first(span, _DATABASE):
        kind = "statement"
    elif span.kind == CLIENT and method:
        kind = "http"
    elif is_operation(span.name):
        kind = "call"
    verb = span.name.partition(" ")[0].upper()
    # A request that another process answers has a span on either side.
    answers = span.kind == _SERVER and parent >= 0 and steps[parent].kind != "http"
    return Step(
        name=span.name,
        service=span.service,
        parent=parent,
        begins_seconds=(span.at_ns - begun_ns) / 1e9,
        seconds=span.duration_ns / 1e9,
        kind=kind,
        is_remote=kind == "http" or answers,
        writes=verb in _WRITING if kind == "statement" else kind == "http" and _changes(method),
        has_failed=span.status == _ERROR,
        fingerprint=str(span.attributes.get("outgrow.fingerprint", "")),
    )


def _first(span: SpanRecord, names: Sequence[str]) -> str:
    return next((str(span.attributes[name]) for name in names if name in span.attributes), "")


def _changes(method: str) -> bool:
    return method.upper() not in _READING_METHODS
