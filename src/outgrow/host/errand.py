"""Work that one event loop does for another, or for a thread that waits for it.

It keeps the context of whoever gave it away: his deadline ends it there as well, a cancel is passed
on, and nobody waits for a loop that has stopped.
"""

from __future__ import annotations

import asyncio
import inspect
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from inspect import CORO_CREATED
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from outgrow.errors import UnavailableError
from outgrow.wire import NEVER_NS, Deadline, current, endless, remaining_seconds

if TYPE_CHECKING:
    from collections.abc import Awaitable

T = TypeVar("T")
LOOK_SECONDS = 0.2


class Errand(Generic[T]):
    """One piece of work, which begins when somebody asks for what comes of it.

    Args:
        loop: Does it.
        work: Such as the coroutine of a call.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Awaitable[T]) -> None:
        self._loop = loop
        self._work = work
        self._running = self._run()
        self._task: asyncio.Task[None] | None = None
        self._done: Future[T] = Future()
        self._was_cancelled = False
        self._is_unwanted = False

    def wait(self) -> T:
        """What comes of it, for a thread without an event loop.

        Raises:
            UnavailableError: The loop stopped, or the work was cancelled there.
        """
        try:
            self._send()
            while not self._done.done():
                try:
                    self._done.exception(LOOK_SECONDS)
                except TimeoutError:
                    self._look()
        except BaseException:  # such as Ctrl-C: nobody waits for it any more
            self.cancel()
            raise
        return self._done.result()

    async def outcome(self) -> T:
        """What comes of it, for another event loop; cancelling this cancels the work.

        Raises:
            UnavailableError: The loop stopped, or the work was cancelled there.
        """
        self._send()
        here = asyncio.get_running_loop()
        told: asyncio.Future[None] = here.create_future()
        self._done.add_done_callback(lambda _: _tell(here, told))
        is_cancelled = False
        while not self._done.done():
            try:
                await asyncio.wait([told], timeout=LOOK_SECONDS)
                self._look()
            except asyncio.CancelledError:
                if self._done.done():
                    raise
                self.cancel()
                is_cancelled = True
        if is_cancelled and self._was_cancelled:
            raise asyncio.CancelledError
        return self._done.result()

    # On the other loop.

    def _begin(self) -> None:
        if self._done.done():  # the loop stopped for a while, and nobody waits any more
            return
        if self._is_unwanted:
            self._drop()
            self._lose(_cancelled())
            return
        self._task = self._loop.create_task(self._running)
        self._task.add_done_callback(self._ended)
        # Who waits is told if the loop is closed before it ends; asyncio need not complain.
        setattr(self._task, "_log_destroy_pending", False)  # noqa: B010

    async def _run(self) -> None:
        try:
            result = await self._worked()
        except (asyncio.CancelledError, GeneratorExit):
            self._lose(_cancelled())
            raise
        except BaseException as problem:  # such as SystemExit, which would stop this loop
            self._fail(problem)
        else:
            with suppress(InvalidStateError):
                self._done.set_result(result)

    async def _worked(self) -> T:
        frame = current.get()
        if frame is None or frame.deadline_ns >= NEVER_NS:
            return await self._work
        left_seconds = max(remaining_seconds() or 0.0, 0.0)
        current.set(endless(frame))  # no timer on this loop ends it yet
        with Deadline(left_seconds, "what another thread waits for"):
            return await self._work

    def _ended(self, _task: object) -> None:
        self._drop()
        if not self._done.done():  # it was cancelled before it began
            self._lose(_cancelled())

    # From any thread.

    def _send(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._begin)  # it runs with a copy of this context
        except RuntimeError:
            self._drop()
            raise self._stopped() from None

    def cancel(self) -> None:
        """Have the work end, wherever it is; who waits gets an `UnavailableError`."""
        self._is_unwanted = True
        with suppress(RuntimeError):  # a closed loop does nothing more
            self._loop.call_soon_threadsafe(lambda: self._task and self._task.cancel())

    def _look(self) -> None:
        if not self._loop.is_running() and not self._done.done():
            self._lose(self._stopped())
            if self._task is None or self._loop.is_closed():
                self._drop()

    def _lose(self, problem: UnavailableError) -> None:
        self._was_cancelled = True
        self._fail(problem)

    def _fail(self, problem: BaseException) -> None:
        with suppress(InvalidStateError):  # the loop and who waits may both find a reason
            self._done.set_exception(problem)

    def _stopped(self) -> UnavailableError:
        return UnavailableError(
            "the event loop of the services has stopped",
            hint="Make calls only while the app runs",
            may_have_run=self._task is not None,
        )

    def _drop(self) -> None:
        """Let go of what never began, without a warning that it was not awaited."""
        for work in (self._running, self._work):
            if inspect.iscoroutine(work) and inspect.getcoroutinestate(work) == CORO_CREATED:
                work.close()


def _cancelled() -> UnavailableError:
    return UnavailableError("the call was cancelled where it ran, as when an event loop ends")


def _tell(loop: asyncio.AbstractEventLoop, told: asyncio.Future[Any]) -> None:
    with suppress(RuntimeError):  # who waited may be gone, with the loop
        loop.call_soon_threadsafe(lambda: told.done() or told.set_result(None))
