"""The path of a call within one process, written for each operation as Python source.

Each call is checked, given its deadline and its place, counted, and left as it would be between
machines. Source is written because a general wrapper, with its loops over arguments, costs three
times as much.
"""

from __future__ import annotations

import asyncio
import contextvars
from contextlib import suppress
from functools import partial
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from outgrow.errors import CallError
from outgrow.host.arrival import note_refusal
from outgrow.telemetry import bucket_of
from outgrow.wire import (
    DEFAULT_SECONDS,
    EDGE,
    NEVER_NS,
    Codec,
    Deadline,
    Frame,
    crossed_error,
    current,
    late,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from concurrent.futures import Executor

    from outgrow.host.gate import Gate
    from outgrow.model import Operation
    from outgrow.telemetry import LinkBook, LinkTotals

# Names of ours begin with `og_`, and arguments may have any other.
_SOURCE = """
async def {name}({parameters}):
{checks}    og_caller = og_get()
    if og_caller is None{or_later}:
        return await og_within(og_caller, {name}, {passed})
    og_begun = og_now()
    if og_begun >= og_caller.deadline_ns:
        raise og_too_late(og_caller)
    if og_gate.running < og_gate.limit and not og_gate.waiting:
        og_gate.running += 1
    else:
        await og_line(og_caller)
    og_set(og_Frame({shown!r}, og_caller.deadline_ns))
    og_link = og_links.get(og_caller.operation) or og_meet(og_caller.operation, {shown!r})
    try:
        og_result = await og_function({given})
        return og_result if {result_test} else og_cross_result(og_result)
    except BaseException as og_error:
        og_link.errors += 1
        if isinstance(og_error, Exception):
            raise og_crossed_error(og_error)
        raise
    finally:
        og_set(og_caller)
        if og_gate.waiting:
            og_gate.leave()
        else:
            og_gate.running -= 1
        og_spent = og_now() - og_begun
        og_link.calls += 1
        og_link.duration_ns += og_spent
        og_link.buckets[og_bucket_of(og_spent)] += 1
"""
_CHECK = "    if not {test}:\n        {name} = og_cross_{name}({name})\n"


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
            return self._stream(crosses=crosses)
        return self._written(crosses=crosses)

    def _written(self, *, crosses: bool) -> Callable[..., Any]:
        operation = self.operation
        names: dict[str, Any] = {
            "og_bucket_of": bucket_of,
            "og_cross_result": self.result.crossed,
            "og_crossed_error": crossed_error,
            "og_Frame": Frame,
            "og_function": self._function,
            "og_gate": self._gate,
            "og_get": current.get,
            "og_line": self._line,
            "og_links": self._links,
            "og_meet": self._book.meet,
            "og_now": monotonic_ns,
            "og_set": current.set,
            "og_too_late": self._too_late,
            "og_within": self._within,
        }
        checks = [self._check(name, codec, names) for name, codec in self.arguments.items()]
        test = _test_of(self.result, "og_result", "r", names)
        limit = operation.options.timeout_seconds
        source = _SOURCE.format(
            name=operation.name,
            parameters=parameters_of(operation, names),
            checks="".join(checks) if crosses else "",
            or_later=f" or og_now() + {int(limit * 1e9)} < og_caller.deadline_ns" if limit else "",
            passed=", ".join(f"{name}={name}" for name in self.arguments),
            shown=operation.shown,
            given=", ".join(f"{name}={name}" for name in self.arguments),
            result_test=test if crosses else "True",
        )
        exec(compile(source, f"<call path of {operation.shown}>", "exec"), names)
        return dressed(names[operation.name], operation)

    def _check(self, name: str, codec: Codec, names: dict[str, Any]) -> str:
        names[f"og_cross_{name}"] = codec.crossed
        return _CHECK.format(test=_test_of(codec, name, name, names), name=name)

    # The rare turns of the path.

    async def _within(
        self, caller: Frame | None, entrance: Callable[..., Any], /, **arguments: Any
    ) -> Any:
        """A call that begins a deadline: from outside of all calls, or with a time of its own."""
        seconds = self.operation.options.timeout_seconds or DEFAULT_SECONDS
        try:
            with Deadline(seconds, f"`{self.operation.shown}`"):
                return await entrance(**arguments)
        except CallError as error:
            if caller is None:
                note_refusal(error)
            raise

    def _too_late(self, caller: Frame) -> CallError:
        self._meet(caller).refused += 1
        return late(f"`{self.operation.shown}`, which was not begun,")

    async def _line(self, caller: Frame) -> None:
        try:
            await self._gate.wait()
        except CallError:
            self._meet(caller).refused += 1
            raise

    def _meet(self, caller: Frame) -> LinkTotals:
        return self._book.meet(caller.operation, self.operation.shown)

    # Streams.

    def _stream(self, *, crosses: bool) -> Callable[..., Any]:
        operation, signature = self.operation, SignatureOf(self.operation)

        async def stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            arguments = signature.bound(args, kwargs)
            if crosses:
                arguments = {
                    name: self.arguments[name].crossed(each) for name, each in arguments.items()
                }
            caller = current.get() or Frame(EDGE, NEVER_NS)
            begun = monotonic_ns()
            if begun >= caller.deadline_ns:
                raise self._too_late(caller)
            await self._line(caller)
            link = self._meet(caller)
            frame = Frame(operation.shown, caller.deadline_ns)
            items: Any = self._function(**arguments)
            try:
                async for item in _in_frame(items, frame):
                    yield self.result.crossed(item) if crosses else item
            except GeneratorExit:
                raise
            except BaseException as error:
                link.errors += 1
                if isinstance(error, Exception):
                    raise crossed_error(error) from None
                raise
            finally:
                await items.aclose()
                self._gate.leave()
                spent = monotonic_ns() - begun
                link.calls += 1
                link.duration_ns += spent
                link.buckets[bucket_of(spent)] += 1

        return dressed(stream, operation)


async def _in_frame(items: Any, frame: Frame) -> AsyncIterator[Any]:
    """The items of a stream, each made with the frame in place and left with the caller's."""
    while True:
        before = current.get()
        current.set(frame)
        try:
            item = await anext(items)
        except StopAsyncIteration:
            return
        finally:
            current.set(before)
        yield item


class SignatureOf:
    """Binds arguments to an operation's parameters, with their defaults."""

    def __init__(self, operation: Operation) -> None:
        names: dict[str, Any] = {}
        parameters = parameters_of(operation, names)
        given = ", ".join(f"{each.name!r}: {each.name}" for each in operation.parameters)
        exec(f"def {operation.name}({parameters}):\n    return {{{given}}}", names)
        self._bind: Callable[..., dict[str, Any]] = names[operation.name]

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
    """A codec's test as source; what it refers to is put among the names."""
    test, needed = codec.written_test(value, f"og_{mark}_")
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


def in_thread(pool: Executor, function: Callable[..., Any], gate: Gate) -> Callable[..., Any]:
    """A `def` operation as an async function, which runs it in this pool with the caller's context.

    Its caller may leave at the deadline. Nothing can end the thread, so its place stays taken until
    it ends by itself: otherwise slow threads could pile up behind callers that have gone.
    """

    async def begun(**arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        work = pool.submit(contextvars.copy_context().run, function, **arguments)
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            if not work.cancel() and not work.done():
                gate.running += 1  # besides the one that the caller now gives back
                work.add_done_callback(partial(_left, loop, gate))
            raise

    return begun


def _left(loop: asyncio.AbstractEventLoop, gate: Gate, _work: object) -> None:
    with suppress(RuntimeError):  # the loop may be closed by now
        loop.call_soon_threadsafe(gate.leave)
