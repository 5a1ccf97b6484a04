"""Traces in the worker: what one request did here, noted as cheap tuples while it goes on.

A segment is this process's part of a trace: all that one request, or one call from outside of all
others, did here. Nearly all segments are thrown away when they end (see `keeping`), so what is
noted is a tuple, and becomes a span with ids and words only where it is kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from itertools import count
from random import Random
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from msgspec.structs import replace

from outgrow.telemetry.records import SpanRecord
from outgrow.telemetry.w3c import Parent, traceparent_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outgrow.telemetry.records import Attribute

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
OPERATION = 0  # of a service, which is internal or of a server: that depends on its caller
ROOT = 1
SPANS_MAX = 1000
NOTED_BYTES_MAX = 256 * 1024
ATTRIBUTES_MAX = 32
TEXT_MAX = 2000
_MESSAGE_MAX = 300
_ID_MASK = (1 << 64) - 1
_PRESENT = 1  # how a flaw weighs: in a part of it, or in its outcome
_FATAL = 2
_FOLLOWED_NS = 60 * 10**9

# (number, number of its parent, name, kind, begun_ns, ended_ns, error, attributes)
Noted = tuple[int, int, str, int, int, int, str, "Mapping[str, Attribute] | None"]

# Not the module's own dice: an app may seed those, and all workers would draw the same ids.
_dice = Random()
os.register_at_fork(after_in_child=_dice.seed)


class Segment(msgspec.Struct, gc=False, eq=False):
    """What one request, or one outermost call, does in this process.

    Its spans have numbers: `ROOT` for that of a request, what `next` gives for any other, and 0 for
    what lies outside, such as the caller in another process. The id of a span is counted from one
    random number.

    Attributes:
        begun_ns: When it began, on the clock `time.monotonic_ns`.
        seed: Random: trace id and first span id; 192 bits.
        spans: What was noted, up to the number `SPANS_MAX`, so that all parents are there too.
        next: Gives the next span its number; safe in any thread.
        parent: What its caller sent with the request; None where the trace begins here.
        is_open: The request has not ended.
        is_shared: Another process may hold a part of the trace.
        flaw: 0, `1` where a part of it failed, `2` where the whole did.
        noted_bytes: Of all attributes, about.
        dropped: Spans whose attributes were too many bytes.
        size_bytes: About what it takes while it is remembered.
        outcome: Of a request: its route, method and status; None otherwise, and if nobody needs it.
        ended_ns: When the request ended; 0 so far.
        kept_for: Why it is kept; empty where it is not.
        error: Why the whole failed, if that is known; in one line.
        said: What was logged last in it: the id of an exception.
        waits: For stations, as (since when, how long) in nanoseconds; None where it never did.
        left: Calls that left this process, by the span around them, caller and callee; None where
            there were none.
    """

    begun_ns: int
    seed: int
    spans: list[Noted | Callable[[], SpanRecord]]
    next: Callable[[], int]
    parent: Parent | None = None
    is_open: bool = True
    is_shared: bool = False
    flaw: int = 0
    noted_bytes: int = 0
    dropped: int = 0
    size_bytes: int = 0
    outcome: tuple[str, str, int] | None = None
    ended_ns: int = 0
    kept_for: str = ""
    error: str = ""
    said: int = 0
    waits: list[tuple[int, int]] | None = None
    left: dict[tuple[int, str, str], int] | None = None

    @property
    def trace_id(self) -> int:
        """128 bits, never 0."""
        parent = self.parent
        return parent.trace_id if parent is not None else (self.seed >> 64) or 1

    def span_id(self, number: int) -> int:
        """The id of a span by its number, 64 bits; 0 for a parent that there is not."""
        if number > 0:
            return ((self.seed + number) & _ID_MASK) or _ID_MASK
        parent = self.parent
        return parent.span_id if parent is not None else 0

    @property
    def is_asked(self) -> bool:
        """Whether the caller wants the trace to be kept."""
        parent = self.parent
        return parent is not None and bool(parent.flags & 1)


class Recording:
    """Whether, and for whom, anything is recorded in this process.

    Attributes:
        is_on: Segments are begun; off until somebody comes to fetch what is kept.
        app: Name of the app, for spans that belong to no service.
        worker: Name of this process, such as `front/1`.
    """

    is_on = False
    app = ""
    worker = ""


recording = Recording()


class Place(Protocol):
    """Where code runs; a frame of a call is one."""

    @property
    def segment(self) -> Any:
        """What it is a part of; None outside of all."""

    @property
    def span(self) -> int:
        """Number of the span around it."""
        ...


# Of a request, while no call is under way in it.
here: ContextVar[Segment | None] = ContextVar("outgrow_segment", default=None)
_find_place: list[Callable[[], Place | None]] = [lambda: None]


def find_place(find: Callable[[], Place | None]) -> None:
    """Have the place of the call that is under way told by this."""
    _find_place[:] = [find]


def place() -> tuple[Segment | None, int]:
    """The segment that this code is a part of, and the number of the span around it."""
    frame = _find_place[0]()
    if frame is not None and frame.segment is not None:
        return frame.segment, frame.span
    return here.get(), ROOT


def begin(begun_ns: int, parent: Parent | None = None) -> Segment:
    """Begin a segment; to be put where `place` finds it, and ended by `keeping`."""
    return Segment(
        begun_ns,
        _dice.getrandbits(192),
        [],
        count(ROOT + 1).__next__,
        parent,
        True,
        parent is not None,
    )


# Told of each segment, and the number of a span, as the code within that span begins in a task of
# its own: somebody else's tracing may want to know.
joined: list[Callable[[Segment, int], None]] = []


def enter(segment: Segment) -> None:
    """Have this task, which serves a request, be a part of a segment."""
    here.set(segment)
    for join in joined:
        join(segment, ROOT)


def followed(segment: Segment, span: int, begun_ns: int) -> Segment:
    """A segment for what goes on after a request has ended, such as work in the background.

    For a minute it is a part of the same trace; what lasts longer, such as a loop that a request
    began, has traces of its own.
    """
    if begun_ns - segment.ended_ns > _FOLLOWED_NS:
        return begin(begun_ns)
    parent = segment.parent
    flags, state = (parent.flags, parent.state) if parent is not None else (0, "")
    made = begin(begun_ns, Parent(segment.trace_id, segment.span_id(span), flags, state))
    made.is_shared = True
    return made


def note(
    name: str,
    kind: int,
    begun_ns: int,
    ended_ns: int,
    attributes: Mapping[str, Attribute] | None = None,
    error: str = "",
    *,
    span: int | None = None,
) -> None:
    """Note something that ended here, such as a statement or a request to elsewhere, as a span.

    It costs well under a microsecond, and nothing happens outside of segments. Any thread may call
    it that was given the context of the request.

    Args:
        name: Few different ones, such as `SELECT orders` or `GET api.stripe.com`: no parameters,
            no secrets.
        kind: `CLIENT` for what another process does, `INTERNAL` otherwise.
        begun_ns: On the clock `time.monotonic_ns`, which is that of `perf_counter_ns`.
        ended_ns: On the same clock.
        attributes: Named by OpenTelemetry's conventions; not to be changed afterwards.
        error: What went wrong, see `problem_text`; empty where nothing did.
        span: Its number, where `reserve` gave it one before it began.
    """
    segment, parent = place()
    if segment is None:
        return
    number = segment.next() if span is None else span
    if error:
        segment.flaw = segment.flaw or _PRESENT
    if number > SPANS_MAX:
        return
    if attributes is not None:
        segment.noted_bytes += 64 * len(attributes) + sum(
            len(value) for value in attributes.values() if isinstance(value, str)
        )
        if segment.noted_bytes > NOTED_BYTES_MAX:
            segment.dropped += 1
            return
    segment.spans.append((number, parent, name, kind, begun_ns, ended_ns, error, attributes))


def reserve() -> int | None:
    """The number of a span that is about to begin, for `outgoing` and then for `note`.

    So that what another process does for it has it as its parent. None outside of segments.
    """
    segment, _ = place()
    return segment.next() if segment is not None else None


def failed(segment: Segment, *, wholly: bool) -> None:
    """Note that a segment has a flaw for which it may be kept."""
    segment.flaw = max(segment.flaw, _FATAL if wholly else _PRESENT)


def outgoing(span: int | None = None) -> str | None:
    """The `traceparent` for a call that is about to leave this process; None outside of segments.

    Its sampled flag is that which came with the request, and not set where the trace begins here:
    whether it is kept is known only at its end.

    Args:
        span: What `reserve` gave for the call; None for the span around it.
    """
    segment, around = place()
    if segment is None:
        return None
    segment.is_shared = True
    flags = segment.parent.flags & 1 if segment.parent is not None else 0
    number = around if span is None else span
    return traceparent_of(segment.trace_id, segment.span_id(number), flags)


def outgoing_state() -> str:
    """The `tracestate` that goes with `outgoing`, as it came in; empty where there is none."""
    segment, _ = place()
    return segment.parent.state if segment is not None and segment.parent is not None else ""


def trace_ids() -> tuple[bytes, bytes]:
    """Trace id and span id of what runs here, 16 and 8 bytes; empty outside of segments."""
    segment, span = place()
    if segment is None:
        return b"", b""
    return segment.trace_id.to_bytes(16, "big"), segment.span_id(span).to_bytes(8, "big")


def problem_text(error: BaseException) -> str:
    """An exception in a line: its type, and the first line of what it says.

    Further lines may hold parameters of a statement, or the row that it failed for.
    """
    kind = type(error).__name__
    try:
        text = str(error).strip().partition("\n")[0]
    except Exception:  # the app wrote it
        text = ""
    return f"{kind}: {text}"[:_MESSAGE_MAX] if text else kind


# What is kept becomes spans.


def spans_of(segment: Segment) -> list[SpanRecord]:
    """What a segment noted and nobody took so far, as spans; it is then taken."""
    to_wall_ns = time_ns() - monotonic_ns()
    trace_id = segment.trace_id.to_bytes(16, "big")
    made: list[SpanRecord] = []
    if segment.outcome is not None:
        segment.spans.append(_root(segment, *segment.outcome))
        segment.outcome = None
    taken = _taken(segment.spans)
    services = _services_of(taken)
    for noted in taken:
        if callable(noted):
            with suppress(Exception):  # what the app gave to another's span may be anything
                made.append(replace(noted(), kept_for=segment.kept_for))
            continue
        number, parent, name, kind, begun_ns, ended_ns, error, attributes = noted
        if kind == OPERATION:
            kind = SERVER if parent == 0 and segment.parent is not None else INTERNAL
        parent_id = segment.span_id(parent)
        made.append(
            SpanRecord(
                trace_id,
                segment.span_id(number).to_bytes(8, "big"),
                parent_id.to_bytes(8, "big") if parent_id else b"",
                name,
                kind,
                begun_ns + to_wall_ns,
                max(0, ended_ns - begun_ns),
                status=2 if error else 0,
                message=error,
                service=services[number],
                worker=recording.worker,
                kept_for=segment.kept_for,
                attributes=_cut(attributes) if attributes else {},
            )
        )
    return made


def _root(segment: Segment, name: str, method: str, status: int) -> Noted:
    attributes: dict[str, Attribute] = {"http.request.method": method}
    if route := name.partition(" ")[2]:
        attributes["http.route"] = route
    if status:
        attributes["http.response.status_code"] = status
    else:
        attributes["outgrow.cut_off"] = True
    is_whole = 0 < status < 500
    error = "" if is_whole else segment.error or (f"HTTP {status}" if status else "")
    return ROOT, 0, name, SERVER, segment.begun_ns, segment.ended_ns, error, attributes


def _taken(
    spans: list[Noted | Callable[[], SpanRecord]],
) -> list[Noted | Callable[[], SpanRecord]]:
    # Other threads may add to it meanwhile, and must not find another list.
    taken = spans[:]
    del spans[: len(taken)]
    return taken


def lost_of(segment: Segment) -> int:
    """How many of its spans found no room."""
    begun = segment.next() - 1
    return segment.dropped + max(0, begun - SPANS_MAX)


def _services_of(spans: list[Noted | Callable[[], SpanRecord]]) -> dict[int, str]:
    """In which service each ran, by number: its own, or that of the operation around it."""
    services: dict[int, str] = {}
    noted = [each for each in spans if not callable(each)]
    for number, parent, name, kind, *_ in sorted(noted, key=_number_of):
        if kind == OPERATION:
            services[number] = name.partition(".")[0]
        else:
            services[number] = services.get(parent, recording.app)  # parents have lower numbers
    return services


def _number_of(noted: Noted) -> int:
    return noted[0]


def _cut(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    return {
        name: value[:TEXT_MAX] if isinstance(value, str) else value
        for name, value in list(attributes.items())[:ATTRIBUTES_MAX]
    }
