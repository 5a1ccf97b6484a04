"""Calls of operations that run in another process, and the answers to such calls.

As the path within one process, both ends are written for each operation as Python source.
"""

from __future__ import annotations

from functools import partial
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from outgrow.host.bridge import ThreadOperation
from outgrow.host.client import client_of
from outgrow.host.path import SignatureOf, dressed, far_for, note_at_edge, parameters_of
from outgrow.host.tracing import (
    StreamSpan,
    end_answered,
    extras_with,
    flaw,
    note_refused,
    segment_from,
    traced,
)
from outgrow.telemetry import CLIENT, SPANS_MAX, keeper, note_leaving, recording, segment_failed
from outgrow.wire import (
    DEFAULT_SECONDS,
    LONG_NS,
    NEVER_NS,
    ArgumentsCodec,
    Call,
    Codec,
    Deadline,
    Frame,
    calling,
    current,
    late,
    unpack_baggage,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from outgrow.errors import CallError
    from outgrow.model import Operation, ServiceModel
    from outgrow.telemetry import LinkBook
    from outgrow.wire import Peers

_CALL = """
async def og_entrance({parameters}):
    og_caller = og_get()
    if og_caller is None or (og_until := og_caller.deadline_ns) {is_far}:
        return await og_within(og_entrance, {passed})
    og_segment = og_caller.segment
    if og_recording.is_on if og_segment is None else not og_segment.is_open:
        return await og_traced(og_sieve, og_entrance, {passed})
    og_left_ns = og_until - og_now()
    if og_left_ns <= 0:
        raise og_too_late(og_caller)
    og_body = og_encode(({given}))
    og_span = og_segment.next() if og_segment is not None else 0
    og_extras = og_extras_with(og_segment, og_span)
    og_call = og_Call({shown!r}, og_caller.operation, og_left_ns, og_body, og_extras)
    og_link = og_links.get(og_caller.operation) or og_meet(og_caller.operation, {shown!r})
    og_link.crossed += 1
    og_link.sent_bytes += og_len(og_body)
    if og_segment is not None:
        og_leave(og_segment, og_caller.span, og_caller.operation, {shown!r})
    og_begun, og_problem = og_now(), ""
    try:
        og_body = await og_ask({service!r}, og_call, is_idempotent={is_idempotent}{hedged})
    except og_BaseException as og_error:
        if og_segment is not None:
            og_problem = og_flaw(og_segment, og_error)
        if og_isinstance(og_error, og_Exception):
            og_note(og_caller, og_error)
        raise
    finally:
        if og_segment is not None and og_span <= og_spans_max:
            og_segment.spans.append(
                (og_span, og_caller.span, {shown!r}, 3, og_begun, og_now(), og_problem, None)
            )
    og_link.received_bytes += og_len(og_body)
    return og_decode(og_body)
"""
_ANSWER = """
async def og_answer(og_caller, og_deadline_ns, og_extras, og_body):
    og_segment = None
    if og_extras:
        og_unpack(og_extras)
        og_segment = og_segment_from(og_extras)
    og_set(og_Frame(og_caller, og_deadline_ns, og_segment))
    if og_segment is None:
        {given}og_decode(og_body)
        return og_encode(await og_entrance({passed}))
    try:
        {given}og_decode(og_body)
        return og_encode(await og_entrance({passed}))
    except og_Exception as og_error:
        og_failed(og_segment, wholly=True)
        raise
    finally:
        og_sieve.end(og_segment, og_now())
"""
# From here on a deadline means none: it was counted from the other side's clock.


def remote_client(model: ServiceModel, peers: Peers, book: LinkBook) -> Any:
    """The client of a service that runs in other processes.

    Args:
        model: The service.
        peers: Where it runs.
        book: Counts what is known only where calls are made.

    Raises:
        SignatureError: A value of its operations cannot cross.
    """
    entrances: dict[str, Any] = {}
    for name, operation in model.operations.items():
        entrance = dressed(_entrance(model, operation, peers, book), operation)
        is_thread = operation.kind == "thread"
        entrances[name] = ThreadOperation(operation, entrance) if is_thread else entrance
    return client_of(model, entrances)


class Crossing:
    """How the values of one operation cross.

    Attributes:
        arguments: All of a call.
        result: Or, for a stream, each item.
    """

    def __init__(self, operation: Operation) -> None:
        self.arguments = ArgumentsCodec(
            Codec(each.type, f"`{each.name}` of `{operation.shown}`")
            for each in operation.parameters
        )
        self.result = Codec(operation.result, f"the result of `{operation.shown}`")


def _entrance(
    model: ServiceModel, operation: Operation, peers: Peers, book: LinkBook
) -> Callable[..., Any]:
    crossing = Crossing(operation)
    if operation.kind == "stream":
        return _stream_entrance(model, operation, crossing, peers, book)
    limit, hedge = operation.options.timeout_seconds, operation.options.hedge_after_seconds

    async def within(entrance: Callable[..., Any], /, **arguments: Any) -> Any:
        with Deadline(limit or DEFAULT_SECONDS, f"`{operation.shown}`"):
            return await entrance(**arguments)

    names: dict[str, Any] = {
        "og_ask": peers.ask,
        "og_BaseException": BaseException,
        "og_Call": Call,
        "og_decode": crossing.result.decode,
        "og_encode": crossing.arguments.encode,
        "og_Exception": Exception,
        "og_extras_with": extras_with,
        "og_flaw": flaw,
        "og_get": current.get,
        "og_isinstance": isinstance,
        "og_leave": note_leaving,
        "og_len": len,
        "og_links": book.to(operation.shown),
        "og_meet": book.meet,
        "og_note": note_at_edge,
        "og_now": monotonic_ns,
        "og_recording": recording,
        "og_sieve": keeper.sieve(operation.shown),
        "og_spans_max": SPANS_MAX,
        "og_too_late": partial(_too_late, operation),
        "og_traced": traced,
        "og_within": within,
    }
    given = [each.name for each in operation.parameters]
    source = _CALL.format(
        parameters=parameters_of(operation, names),
        is_far=far_for(operation),
        passed=", ".join(f"{name}={name}" for name in given),
        given="".join(f"{name}, " for name in given),
        shown=operation.shown,
        service=model.name,
        is_idempotent=operation.options.idempotent,
        hedged="" if hedge is None else f", hedge_after_seconds={hedge!r}",
    )
    exec(compile(source, f"<remote path of {operation.shown}>", "exec"), names)
    return names["og_entrance"]


def _too_late(operation: Operation, caller: Frame) -> CallError:
    error = late(f"`{operation.shown}`, which was not begun,")
    note_refused(caller, operation.shown, monotonic_ns(), error)
    note_at_edge(caller, error)
    return error


def _stream_entrance(
    model: ServiceModel,
    operation: Operation,
    crossing: Crossing,
    peers: Peers,
    book: LinkBook,
) -> Callable[..., Any]:
    signature = SignatureOf(operation)
    limit = operation.options.timeout_seconds

    async def stream(*args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        body = crossing.arguments.encode(tuple(signature.bound(args, kwargs).values()))
        caller = calling()
        begun_ns, until_ns = monotonic_ns(), caller.deadline_ns
        if begun_ns >= until_ns:
            raise _too_late(operation, caller)
        if limit is not None:
            until_ns = min(until_ns, begun_ns + int(limit * 1e9))
        left_ns = NEVER_NS if until_ns >= NEVER_NS else until_ns - begun_ns
        span = StreamSpan(caller, operation.shown, CLIENT)
        extras = extras_with(span.segment, span.number)
        call = Call(operation.shown, caller.operation, left_ns, body, extras)
        link = book.meet(caller.operation, operation.shown)
        link.crossed += 1
        link.sent_bytes += len(body)
        if span.segment is not None:
            note_leaving(span.segment, caller.span, caller.operation, operation.shown)
        items = peers.stream(model.name, call)
        problem: BaseException | None = None
        try:
            # The connection watches over the time of the others.
            if (item := await _first(items, until_ns, operation)) is not None:
                link.received_bytes += len(item)
                yield crossing.result.decode(item)
                async for each in items:
                    link.received_bytes += len(each)
                    yield crossing.result.decode(each)
        except GeneratorExit:
            raise
        except BaseException as error:
            problem = error
            if isinstance(error, Exception):
                note_at_edge(caller, error)
            raise
        finally:
            span.end(problem)
            await items.aclose()

    return stream


async def _first(items: AsyncGenerator[bytes], until_ns: int, operation: Operation) -> bytes | None:
    """The body of the first item, None where there is none; not later than the stream may last."""
    if until_ns >= NEVER_NS:
        return await anext(items, None)
    left_seconds = (until_ns - monotonic_ns()) / 1e9
    with Deadline(max(0, left_seconds), f"`{operation.shown}`"):
        return await anext(items, None)


class OperationAnswerer:
    """Answers calls of one operation that come from other processes.

    Args:
        operation: Which one.
        entrance: Does it; takes arguments that are checked already.
    """

    def __init__(self, operation: Operation, entrance: Callable[..., Any]) -> None:
        self.shown = operation.shown
        self.is_stream = operation.kind == "stream"
        self._crossing = Crossing(operation)
        self._operation = operation
        self._entrance = entrance
        self._sieve = keeper.sieve(operation.shown)
        self.answer: Callable[..., Any] = self._written()

    def _written(self) -> Callable[..., Any]:
        names: dict[str, Any] = {
            "og_decode": self._crossing.arguments.decode,
            "og_encode": self._crossing.result.encode,
            "og_entrance": self._entrance,
            "og_Exception": Exception,
            "og_failed": segment_failed,
            "og_Frame": Frame,
            "og_now": monotonic_ns,
            "og_segment_from": segment_from,
            "og_set": current.set,
            "og_sieve": self._sieve,
            "og_unpack": unpack_baggage,
        }
        given = [each.name for each in self._operation.parameters]
        source = _ANSWER.format(
            given=f"({''.join(f'{name}, ' for name in given)}) = " if given else "",
            passed=", ".join(f"{name}={name}" for name in given),
        )
        exec(compile(source, f"<answers of {self.shown}>", "exec"), names)
        return names["og_answer"]

    async def stream(
        self, caller: str, deadline_ns: int, extras: Mapping[str, bytes], body: bytes
    ) -> AsyncGenerator[bytes]:
        """The bodies of the items."""
        segment = segment_from(extras)
        current.set(Frame(caller, NEVER_NS if deadline_ns >= LONG_NS else deadline_ns, segment))
        unpack_baggage(extras)
        problem: BaseException | None = None
        values = self._crossing.arguments.decode(body)
        names = [each.name for each in self._operation.parameters]
        items = self._entrance(**dict(zip(names, values, strict=True)))
        try:
            async for item in items:
                yield self._crossing.result.encode(item)
        except Exception as error:
            problem = error
            raise
        finally:
            await items.aclose()
            if segment is not None:
                end_answered(self._sieve, segment, problem)
