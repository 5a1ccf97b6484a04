"""Between threads and event loops: `call` for `def` operations, `wait` for sync code."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import inspect
import threading
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, overload

from outgrow.errors import WrongCallError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from outgrow.model import Operation

P = ParamSpec("P")
T = TypeVar("T")


class ThreadOperation:
    """A `def` operation as clients hold it: `call` runs it for async code.

    Args:
        operation: What it is.
        entrance: Runs it, as an async function.
    """

    def __init__(
        self, operation: Operation, entrance: Callable[..., Coroutine[Any, Any, Any]]
    ) -> None:
        self.operation = operation
        self.entrance = entrance
        self.__name__ = operation.name
        self.__doc__ = operation.function.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it for sync code, in a thread that has no event loop."""
        if _has_loop():
            raise WrongCallError(
                f"`{self.operation.shown}` is a `def`: called so, it would block the event loop",
                hint=f"Write `await call(client.{self.operation.name}, ...)`",
            )
        return wait(self.entrance(*args, **kwargs))


@overload
async def call(operation: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T: ...
@overload
async def call(operation: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T: ...
async def call(operation: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a `def` operation from async code: it runs in a thread of its service."""
    if isinstance(operation, ThreadOperation):
        return await operation.entrance(*args, **kwargs)
    if inspect.iscoroutinefunction(operation):
        return await operation(*args, **kwargs)
    return await asyncio.to_thread(operation, *args, **kwargs)  # a service made by hand, in a test


def wait(answer: Awaitable[T]) -> T:
    """Wait in sync code for the answer of an async call, such as `wait(orders.place("tea", 2))`.

    The call runs on the event loop of this process's services, or on one in a thread of its own.

    Raises:
        WrongCallError: This is an event loop's own thread, which must not stand still.
    """
    if _has_loop():
        if inspect.iscoroutine(answer):
            answer.close()
        raise WrongCallError(
            "`wait` was called on an event loop's own thread, which would stand still",
            hint="Write `await` instead of `wait` in async code",
        )
    loop = service_loop()
    context = contextvars.copy_context()
    done: concurrent.futures.Future[T] = concurrent.futures.Future()
    loop.call_soon_threadsafe(_begin, loop, answer, context, done)
    return done.result()


def _begin(
    loop: asyncio.AbstractEventLoop,
    answer: Awaitable[Any],
    context: contextvars.Context,
    done: concurrent.futures.Future[Any],
) -> None:
    async def run() -> Any:
        return await answer

    def ended(task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            done.set_exception(concurrent.futures.CancelledError())
        elif (problem := task.exception()) is not None:
            done.set_exception(problem)
        else:
            done.set_result(task.result())

    loop.create_task(run(), context=context).add_done_callback(ended)


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


_lock = threading.Lock()
_own: asyncio.AbstractEventLoop | None = None
_used: asyncio.AbstractEventLoop | None = None


def use_loop(loop: asyncio.AbstractEventLoop | None) -> None:
    """Have sync code wait on this loop, which runs the services of this process."""
    global _used  # noqa: PLW0603
    _used = loop


def service_loop() -> asyncio.AbstractEventLoop:
    """The loop that runs this process's services; one in a thread where there is none yet."""
    global _own  # noqa: PLW0603
    with _lock:
        if _used is not None and _used.is_running():
            return _used
        if _own is None or not _own.is_running():
            _own = asyncio.new_event_loop()
            ready = threading.Event()
            _own.call_soon(ready.set)
            thread = threading.Thread(
                target=cast("Any", _own.run_forever), name="outgrow-services", daemon=True
            )
            thread.start()
            ready.wait()
        return _own
