"""Between threads and event loops: `call` for `def` operations, `wait` for sync code."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import inspect
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from outgrow.errors import WrongCallError
from outgrow.host.durable.carriers import carried
from outgrow.host.errand import Errand
from outgrow.host.threads import attempt_here

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from outgrow.model import Operation

P = ParamSpec("P")
T = TypeVar("T")
END_SECONDS = 10.0


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
        if has_loop():
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
    The deadline that holds here ends it, and so does Ctrl-C. What it publishes and enqueues is part
    of the transaction that Django has open in this thread.

    Raises:
        AttemptOverError: A job or a subscription asks whose timeout is up.
        WrongCallError: This is an event loop's own thread, which must not stand still.
        UnavailableError: The event loop stopped.
    """
    if has_loop():
        if inspect.iscoroutine(answer):
            answer.close()
        raise WrongCallError(
            "`wait` was called on an event loop's own thread, which would stand still",
            hint="Write `await` instead of `wait` in async code",
        )
    with carried():
        errand, attempt = Errand(service_loop(), answer), attempt_here.get()
        return errand.wait() if attempt is None else attempt.wait(errand)


def has_loop() -> bool:
    """Whether this is an event loop's own thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


# Which loop sync code waits on.

_lock = threading.Lock()
_own: OwnLoop | None = None
_used: asyncio.AbstractEventLoop | None = None
_inherited: list[Any] = []
_of_thread = threading.local()


class OwnLoop:
    """An event loop in a thread of its own, for code that has none that lasts.

    At the end of the process it ends as any loop does that `asyncio.run` began: all tasks are
    cancelled, services are stopped.
    """

    def __init__(self) -> None:
        begun: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._live(begun)), name="outgrow-services", daemon=True
        )
        self._thread.start()
        begun.result()

    async def _live(self, begun: concurrent.futures.Future[None]) -> None:
        self.loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        begun.set_result(None)
        await self._end.wait()

    def end(self) -> None:
        """Let it end, and wait for that; not for ever."""
        with suppress(RuntimeError):  # it has ended
            self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(END_SECONDS)


def use_loop(loop: asyncio.AbstractEventLoop | None) -> None:
    """Have sync code wait on this loop, which runs the services of this process."""
    global _used  # noqa: PLW0603
    _used = loop


def use_loop_in_thread(loop: asyncio.AbstractEventLoop) -> None:
    """Have this thread wait on this loop, which runs the services that it works for."""
    _of_thread.loop = loop


def service_loop() -> asyncio.AbstractEventLoop:
    """The loop that runs this process's services; one in a thread where there is none yet."""
    for loop in (getattr(_of_thread, "loop", None), _used):
        if loop is not None and loop.is_running():
            return loop
    return own_loop()


def own_loop() -> asyncio.AbstractEventLoop:
    """The loop in a thread of our own, which is begun where it does not run."""
    global _own  # noqa: PLW0603
    with _lock:
        if _own is None:
            # Before threads are joined, as what services have open may have threads. The public
            # `atexit` comes too late for that.
            at_exit: Any = getattr(threading, "_register_atexit", atexit.register)
            with suppress(RuntimeError):  # the process is ending already
                at_exit(_end_own_loop)
        if _own is None or not _own.loop.is_running():
            _own = OwnLoop()
        return _own.loop


def is_own(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether this is the loop in a thread of our own."""
    return _own is not None and _own.loop is loop


def _end_own_loop() -> None:
    if _own is not None:
        _own.end()


def _forked() -> None:
    global _lock, _own, _used
    # Kept, though of no use: were they destroyed here, they would close what the parent still uses.
    _inherited.append((_own, _used))
    _lock, _own, _used = threading.Lock(), None, None
    _of_thread.__dict__.clear()


os.register_at_fork(after_in_child=_forked)
