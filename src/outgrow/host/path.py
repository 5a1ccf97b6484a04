"""The path of a call within one process, written for each operation as Python source.

Each call is checked, given its deadline and its place, counted, and left as it would be between
machines. Source is written because a general wrapper, with its loops over arguments, costs three
times as much.
"""

from __future__ import annotations

import asyncio
import contextvars
from functools import partial
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from outgrow.errors import CallError, DeadlineExceededError
from outgrow.host.arrival import note_refusal
from outgrow.host.streams import ENDED, Reading, as_stream, close_items
from outgrow.host.tracing import StreamSpan, flaw, note_refused, traced
from outgrow.telemetry import OPERATION, SPANS_MAX, bucket_of, keeper, metered, recording
from outgrow.wire import (
    DEFAULT_SECONDS,
    EARLY_NS,
    NEVER_NS,
    Codec,
    Deadline,
    Frame,
    calling,
    crossed_error,
    current,
    is_edge,
    late,
    on_missed,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextvars import Context

    from outgrow.host.gate import Gate
    from outgrow.host.streams import Ended
    from outgrow.model import Operation
    from outgrow.telemetry import LinkBook, LinkTotals

# Names of ours begin with `og_`, and arguments may have any other, such as `type` or `isinstance`.
_SOURCE = """
async def og_entrance({parameters}):
{checks}    og_caller = og_get()
    if og_caller is None or (og_until := og_caller.deadline_ns) {is_far}:
        return await og_within(og_entrance, {passed})
    if (og_segment := og_caller.segment) is None:
        if og_recording.is_on:
            return await og_traced(og_sieve, og_entrance, {passed})
        og_span = 0
    elif og_segment.is_open:
        og_span = og_segment.next()
    else:
        return await og_traced(og_sieve, og_entrance, {passed})
    og_begun = og_now()
    if og_begun >= og_until:
        raise og_too_late(og_caller)
    if og_gate.running < og_gate.limit and not og_gate.waiting:
        og_gate.running += 1
    else:
        await og_line(og_caller)
    og_set(og_Frame({shown!r}, og_until, og_segment, og_span))
    og_link = og_links.get(og_caller.operation) or og_meet(og_caller.operation, {shown!r})
    og_problem = ""
    try:
        if og_link.calls & 15 != 7:
            og_result = await og_function({passed})
        else:
            og_result = await og_metered(og_link, og_function({passed}))
        return og_result if {result_test} else og_cross_result(og_result)
    except og_BaseException as og_error:
        og_link.errors += 1
        og_link.timeouts += og_is_late(og_error, og_until)
        if og_segment is not None:
            og_problem = og_flaw(og_segment, og_error)
        if og_isinstance(og_error, og_Exception):
            raise og_failed(og_caller, og_error)
        raise
    finally:
        og_set(og_caller)
        if og_gate.waiting:
            og_gate.leave()
        else:
            og_gate.running -= 1
        og_ended = og_now()
        og_spent = og_ended - og_begun
        og_link.calls += 1
        og_link.duration_ns += og_spent
        og_link.buckets[og_bucket_of(og_spent)] += 1
        if og_segment is not None:
            if og_segment.waits is not None:
                og_nested(og_segment, og_begun)
            if og_span <= og_spans_max:
                og_segment.spans.append(
                    (og_span, og_caller.span, {shown!r}, 0, og_begun, og_ended, og_problem, None)
                )
"""
_CHECK = "    if not {test}:\n        {name} = og_cross_{number}({name})\n"


class CallPath:
    """How calls of one operation go, within one process.

    Args:
        operation: What is called.
        function: Does it; takes the arguments without `self` and returns an awaitable, or, for a
            stream, an async iterator.
        gate: Lets so many in.
        book: Counts them.

    Raises:
        SignatureError: A value of its signature cannot cross.
    """

    def __init__(
        self, operation: Operation, function: Callable[..., Any], gate: Gate, book: LinkBook
    ) -> None:
        self.operation = operation
        self._function = function
        self._gate = gate
        self._book = book
        self._links = book.to(operation.shown)
        gate.use.calls.append(self._links)
        self.arguments = {
            each.name: Codec(each.type, f"`{each.name}` of `{operation.shown}`")
            for each in operation.parameters
        }
        self.result = Codec(operation.result, f"the result of `{operation.shown}`")

    def entrance(self, *, crosses: bool = True) -> Callable[..., Any]:
        """What callers call: an async function, or an async generator function for a stream.

        Args:
            crosses: Whether values are checked and copied, as nobody else does it.
        """
        if self.operation.kind == "stream":
            return self._stream() if crosses else self._served()
        return self._written(crosses=crosses)

    def _written(self, *, crosses: bool) -> Callable[..., Any]:
        operation = self.operation
        names: dict[str, Any] = {
            "og_BaseException": BaseException,
            "og_bucket_of": bucket_of,
            "og_cross_result": self.result.crossed,
            "og_Exception": Exception,
            "og_failed": _failed,
            "og_flaw": flaw,
            "og_Frame": Frame,
            "og_function": self._function,
            "og_gate": self._gate,
            "og_get": current.get,
            "og_isinstance": isinstance,
            "og_is_late": _is_late,
            "og_line": self._line,
            "og_links": self._links,
            "og_meet": self._book.meet,
            "og_metered": metered,
            "og_nested": self._gate.use.nested,
            "og_now": monotonic_ns,
            "og_recording": recording,
            "og_set": current.set,
            "og_sieve": keeper.sieve(operation.shown),
            "og_spans_max": SPANS_MAX,
            "og_too_late": self._too_late,
            "og_traced": traced,
            "og_within": self._within,
        }
        checks = [
            _check(number, name, codec, names)
            for number, (name, codec) in enumerate(self.arguments.items())
        ]
        test = _test_of(self.result, "og_result", "og_r", names)
        source = _SOURCE.format(
            parameters=parameters_of(operation, names),
            checks="".join(checks) if crosses else "",
            is_far=far_for(operation),
            passed=", ".join(f"{name}={name}" for name in self.arguments),
            shown=operation.shown,
            result_test=test if crosses else "True",
        )
        exec(compile(source, f"<call path of {operation.shown}>", "exec"), names)
        return dressed(names["og_entrance"], operation)

    # The rare turns of the path.

    async def _within(self, entrance: Callable[..., Any], /, **arguments: Any) -> Any:
        """A call that begins a deadline: outside of all others, or with a time of its own."""
        seconds = self.operation.options.timeout_seconds or DEFAULT_SECONDS
        with Deadline(seconds, f"`{self.operation.shown}`"):
            return await entrance(**arguments)

    def _too_late(self, caller: Frame) -> CallError:
        error = late(f"`{self.operation.shown}`, which was not begun,")
        self._refused(caller, monotonic_ns(), error)
        return error

    async def _line(self, caller: Frame) -> None:
        begun_ns = monotonic_ns()
        try:
            await self._gate.wait()
        except CallError as error:
            self._refused(caller, begun_ns, error)
            raise

    def _refused(self, caller: Frame, begun_ns: int, error: CallError) -> None:
        self._meet(caller).refused += 1
        note_refused(caller, self.operation.shown, begun_ns, error)
        note_at_edge(caller, error)

    def _meet(self, caller: Frame) -> LinkTotals:
        return self._book.meet(caller.operation, self.operation.shown)

    # Streams.

    def _stream(self) -> Callable[..., Any]:
        signature = SignatureOf(self.operation)

        async def stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            given = signature.bound(args, kwargs).items()
            arguments = {name: self.arguments[name].crossed(each) for name, each in given}
            reading = await self.reading(arguments, contextvars.copy_context())
            try:
                while (item := await reading.next()) is not ENDED:
                    yield item
            finally:
                await reading.close()

        return dressed(stream, self.operation)

    def _served(self) -> Callable[..., Any]:
        """For a reader that is a task of its own: the code of the stream may run in that."""

        async def served(**arguments: Any) -> AsyncIterator[Any]:
            caller = calling()
            frame, ended = await self._admitted(caller)
            problem: BaseException | None = None
            try:
                with as_stream(frame):
                    items = aiter(self._function(**arguments))
                    try:
                        async for item in items:
                            yield item
                    finally:
                        await close_items(items)
            except GeneratorExit:
                raise
            except Exception as error:
                problem = error
                raise crossed_error(error) from None
            except BaseException as error:
                problem = error
                raise
            finally:
                ended(problem, has_begun=True)

        return dressed(served, self.operation)

    async def reading(self, arguments: dict[str, Any], context: Context) -> Reading:
        """Begin to read a stream, whose code runs in this context.

        Raises:
            CallError: It is too late, or too many are read.
        """
        caller = context.run(calling)
        frame, ended = await self._admitted(caller)
        return Reading(
            partial(self._function, **arguments),
            frame,
            context,
            cross=self.result.crossed,
            failed=partial(_failed, caller),
            ended=ended,
        )

    async def _admitted(self, caller: Frame) -> tuple[Frame, Ended]:
        """Take a place for a stream; what it runs in, and what gives the place back."""
        operation = self.operation
        begun_ns, limit = monotonic_ns(), operation.options.timeout_seconds
        if begun_ns >= caller.deadline_ns:
            raise self._too_late(caller)
        with Deadline(limit or DEFAULT_SECONDS, f"`{operation.shown}`"):
            await self._line(caller)
        until_ns = caller.deadline_ns
        if limit is not None:
            until_ns = min(until_ns, begun_ns + int(limit * 1e9))
        span = StreamSpan(caller, operation.shown, OPERATION)

        def ended(error: BaseException | None, *, has_begun: bool) -> None:
            self._gate.leave()
            span.end(error)
            if not has_begun:
                return
            link, spent = self._meet(caller), monotonic_ns() - begun_ns
            link.errors += error is not None
            link.timeouts += error is not None and _is_late(error, until_ns)
            link.calls += 1
            link.duration_ns += spent
            link.buckets[bucket_of(spent)] += 1

        return Frame(operation.shown, until_ns, span.segment, span.number), ended


def _is_late(error: BaseException, until_ns: int) -> bool:
    """Whether a call ended as its time was up: then it is cancelled, or one that it made was."""
    if isinstance(error, asyncio.CancelledError):
        return monotonic_ns() >= until_ns - EARLY_NS
    return isinstance(error, DeadlineExceededError)


def _failed(caller: Frame, error: Exception) -> Exception:
    """An operation's exception as its caller gets it."""
    crossed = crossed_error(error)
    note_at_edge(caller, crossed)
    return crossed


def note_at_edge(caller: Frame | None, error: Exception) -> None:
    """Have a request answered with what an error means, where its own code made the call."""
    if caller is None or is_edge(caller.operation):
        note_refusal(error)


on_missed(note_refusal)


def far_for(operation: Operation) -> str:
    """As source: what is true of a caller's deadline if a call has to begin one of its own."""
    limit = operation.options.timeout_seconds
    return f">= {NEVER_NS}" if limit is None else f"> og_now() + {int(limit * 1e9)}"


def _check(number: int, name: str, codec: Codec, names: dict[str, Any]) -> str:
    names[f"og_cross_{number}"] = codec.crossed
    test = _test_of(codec, name, f"og_{number}", names)
    return _CHECK.format(test=test, name=name, number=number)


class SignatureOf:
    """Binds arguments to an operation's parameters, with their defaults."""

    def __init__(self, operation: Operation) -> None:
        names: dict[str, Any] = {}
        parameters = parameters_of(operation, names)
        given = ", ".join(f"{each.name!r}: {each.name}" for each in operation.parameters)
        exec(f"def og_bind({parameters}):\n    return {{{given}}}", names)
        self._bind: Callable[..., dict[str, Any]] = names["og_bind"]
        self._bind.__name__ = self._bind.__qualname__ = operation.shown  # for a TypeError

    def bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Each argument by its parameter's name."""
        return self._bind(*args, **kwargs)


def parameters_of(operation: Operation, names: dict[str, Any]) -> str:
    """An operation's parameters as source; their defaults are put among the names."""
    parts: list[str] = []
    for each in operation.parameters:
        if each.is_keyword_only and "*" not in parts:
            parts.append("*")
        names[f"og_default_{each.name}"] = each.default
        parts.append(each.name + ("" if each.default is ... else f"=og_default_{each.name}"))
    return ", ".join(parts)


def _test_of(codec: Codec, value: str, mark: str, names: dict[str, Any]) -> str:
    """A codec's test as source; what it refers to is put among the names, which begin so."""
    test, needed = codec.written_test(value, f"{mark}_")
    names.update(needed)
    return test


def dressed(function: Any, operation: Operation) -> Callable[..., Any]:
    """The function, with the name and the words of the operation."""
    original = operation.function
    function.__name__ = operation.name
    function.__qualname__ = operation.shown
    function.__doc__ = original.__doc__
    function.__module__ = original.__module__
    return function
