"""How calls and requests become parts of a trace: what `telemetry` notes, told of where code runs.

The frame of each call has the segment and the number of its span, so a call within a request costs
one tuple more. Between processes the trace travels with the call's extras.
"""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from outgrow.telemetry import (
    OPERATION,
    ROOT,
    SPANS_MAX,
    Parent,
    begin_segment,
    enter_segment,
    find_place,
    followed_segment,
    here,
    joined,
    keeper,
    packed_parent,
    parent_of,
    problem_text,
    recording,
    segment_failed,
    unpacked_parent,
)
from outgrow.wire import TRACE, current, packed_baggage, place_edge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from outgrow.telemetry import Segment, Sieve
    from outgrow.wire import Frame


def _edge_place() -> tuple[Segment | None, int]:
    segment = here.get()
    return (segment, ROOT) if segment is not None else (None, 0)


find_place(current.get)
place_edge(_edge_place)

# Requests.


class TraceHeaders:
    """What a request says of its trace; one that says it twice has said nothing.

    Args:
        scope: Of the request: trailers of the one before must not count.
    """

    def __init__(self, scope: object) -> None:
        self.scope = scope
        self._parents: list[bytes] = []
        self._states: list[bytes] = []

    def add(self, name: bytes, value: bytes) -> None:
        """Take a header; other than these are left alone."""
        if name == b"traceparent":
            self._parents.append(value)
        elif name == b"tracestate":
            self._states.append(value)

    def parent(self) -> Parent | None:
        """Where the trace comes from; None where it begins here."""
        if len(self._parents) != 1:
            return None
        return parent_of(self._parents[0], b",".join(self._states))


def request_segment(begun_ns: int, scope: object, headers: TraceHeaders | None) -> Segment:
    """The segment of a request."""
    if headers is None or headers.scope is not scope:
        return begin_segment(begun_ns)
    return begin_segment(begun_ns, headers.parent())


def web_socket_segment(sent: Iterable[tuple[bytes, bytes]], begun_ns: int) -> Segment | None:
    """The segment of a WebSocket, which is set here; None where nothing is recorded."""
    if not recording.is_on:
        return None
    headers = TraceHeaders(sent)
    for name, value in sent:
        headers.add(name, value)
    segment = begin_segment(begun_ns, headers.parent())
    enter_segment(segment)
    return segment


# Calls.


async def traced(sieve: Sieve, entrance: Callable[..., Any], /, **arguments: Any) -> Any:
    """A call that begins a segment: outside of all others, or after the request has ended."""
    frame = current.get()
    assert frame is not None
    segment = segment_for(frame)
    current.set(replace(frame, segment=segment, span=0))
    try:
        return await entrance(**arguments)
    except Exception:
        if segment is not None:
            segment_failed(segment, wholly=True)
        raise
    finally:
        current.set(frame)
        if segment is not None:
            sieve.end(segment, monotonic_ns())


def segment_for(frame: Frame) -> Segment | None:
    """A new segment for a call from this frame, whose own has ended, if it has any."""
    if not recording.is_on:
        return None
    before: Segment | None = frame.segment
    if before is None:
        return begin_segment(monotonic_ns())
    return followed_segment(before, frame.span, monotonic_ns())


def flaw(segment: Segment, error: BaseException) -> str:
    """Note an exception of a call in its segment; what its span says of it."""
    if not isinstance(error, asyncio.CancelledError | GeneratorExit):
        segment_failed(segment, wholly=False)
    return problem_text(error)


class StreamSpan:
    """The span of a stream, in a segment of its own where there is none around it.

    Args:
        caller: Who reads it.
        name: Of its operation.
        kind: `OPERATION` where it runs here, `CLIENT` where it runs elsewhere.

    Attributes:
        segment: None where nothing is recorded.
        number: Of the span.
    """

    def __init__(self, caller: Frame, name: str, kind: int) -> None:
        segment: Segment | None = caller.segment
        self._is_own = segment is None or not segment.is_open
        self.segment = segment_for(caller) if self._is_own else segment
        self.number = 0 if self.segment is None else self.segment.next()
        self._parent = 0 if self._is_own else caller.span
        self._name = name
        self._kind = kind
        self._begun_ns = monotonic_ns()

    def end(self, error: BaseException | None) -> None:
        """Note it, with why it failed."""
        segment = self.segment
        if segment is None:
            return
        ended_ns, text = monotonic_ns(), flaw(segment, error) if error is not None else ""
        noted = (
            self.number,
            self._parent,
            self._name,
            self._kind,
            self._begun_ns,
            ended_ns,
            text,
            None,
        )
        if self.number <= SPANS_MAX:
            segment.spans.append(noted)
        if self._is_own:
            if isinstance(error, Exception):
                segment_failed(segment, wholly=True)
            keeper.sieve(self._name).end(segment, ended_ns)


def note_refused(caller: Frame, name: str, begun_ns: int, error: Exception) -> None:
    """Note a call that was not begun."""
    segment: Segment | None = caller.segment
    if segment is not None:
        text, ended_ns, number = flaw(segment, error), monotonic_ns(), segment.next()
        if number <= SPANS_MAX:
            segment.spans.append(
                (number, caller.span, name, OPERATION, begun_ns, ended_ns, text, None)
            )


# Between processes.


def extras_with(segment: Segment | None, span: int) -> Mapping[str, bytes]:
    """What travels with a call: baggage, and the trace where there is one."""
    extras = packed_baggage()
    if segment is None:
        return extras
    segment.is_shared = True
    parent = segment.parent
    flags, state = (parent.flags, parent.state) if parent is not None else (0, "")
    extras[TRACE] = packed_parent(segment.trace_id, segment.span_id(span), flags, state)
    return extras


def segment_from(extras: Mapping[str, bytes]) -> Segment | None:
    """The segment of a call from another process; None where that sent no trace."""
    sent = extras.get(TRACE)
    if sent is None or not recording.is_on:
        return None
    parent = unpacked_parent(sent)
    if parent is None:
        return None
    segment = begin_segment(monotonic_ns(), parent)
    for join in joined:
        join(segment, ROOT + 1)  # that of the operation, which is the first to be given a number
    return segment


def end_answered(sieve: Sieve, segment: Segment, error: BaseException | None) -> None:
    """End the segment of a call from another process."""
    if isinstance(error, Exception):
        segment_failed(segment, wholly=True)
    sieve.end(segment, monotonic_ns())
