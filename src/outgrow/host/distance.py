"""The test placement `rpc`: calls in one process that go as if they crossed to another.

Arguments, results and exceptions are written and read; the callee runs in a task and a context of
its own; what may be repeated is repeated once. What breaks here would break between machines.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

from outgrow.host.path import SignatureOf, dressed, note_at_edge
from outgrow.host.streams import ENDED
from outgrow.wire import (
    DEFAULT_SECONDS,
    NEVER_NS,
    Deadline,
    Fault,
    current,
    error_of,
    fault_of,
    packed_baggage,
    unpack_baggage,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from outgrow.host.path import CallPath


def at_a_distance(path: CallPath, entrance: Callable[..., Any]) -> Callable[..., Any]:
    """The same entrance, as callers on another machine see it."""
    if path.operation.kind == "stream":
        return dressed(_distant_stream(path), path.operation)
    return dressed(_distant(path, entrance), path.operation)


def _distant(path: CallPath, entrance: Callable[..., Any]) -> Callable[..., Any]:
    operation, signature = path.operation, SignatureOf(path.operation)

    async def ask(arguments: dict[str, bytes]) -> Any:
        if operation.options.idempotent:
            await _served(path, entrance, arguments)  # as a retry would
        return await _served(path, entrance, arguments)

    async def distant(*args: Any, **kwargs: Any) -> Any:
        given = signature.bound(args, kwargs)
        arguments = {name: path.arguments[name].encode(each) for name, each in given.items()}
        caller = current.get()
        try:
            if caller is not None and caller.deadline_ns < NEVER_NS:
                return await ask(arguments)
            limit = operation.options.timeout_seconds or DEFAULT_SECONDS
            with Deadline(limit, f"`{operation.shown}`"):
                return await ask(arguments)
        except Exception as error:
            note_at_edge(caller, error)
            raise

    return distant


async def _served(path: CallPath, entrance: Callable[..., Any], arguments: dict[str, bytes]) -> Any:
    frame, baggage = current.get(), packed_baggage()

    async def serve() -> bytes | Fault:
        current.set(frame)
        unpack_baggage(baggage)
        try:
            read = {name: path.arguments[name].decode(each) for name, each in arguments.items()}
            return path.result.encode(await entrance(**read))
        except Exception as error:  # whatever it is, it crosses
            return fault_of(error)

    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    answer = await loop.create_task(serve(), context=contextvars.Context())
    if isinstance(answer, Fault):
        raise error_of(answer)
    return path.result.decode(answer)


def _distant_stream(path: CallPath) -> Callable[..., Any]:
    signature = SignatureOf(path.operation)

    async def distant(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        given = signature.bound(args, kwargs)
        arguments = {name: path.arguments[name].encode(each) for name, each in given.items()}
        context, caller = contextvars.Context(), current.get()
        context.run(current.set, caller)
        context.run(unpack_baggage, packed_baggage())
        reading = None
        try:
            read = {name: path.arguments[name].decode(each) for name, each in arguments.items()}
            reading = await path.reading(read, context)
            while (item := await reading.next()) is not ENDED:
                yield path.result.decode(path.result.encode(item))
        except Exception as error:  # whatever it is, it crosses
            crossed = error_of(fault_of(error))
            note_at_edge(caller, crossed)
            raise crossed from None
        finally:
            if reading is not None:
                await reading.close()

    return distant
