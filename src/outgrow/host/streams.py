"""A stream while it is read: its code runs in a task of its own, and its reader gets the items.

So what the code does around a `yield` is done to itself alone: a deadline, baggage, a group of
tasks. It runs only while its reader waits for an item, never ahead.
"""

from __future__ import annotations

import asyncio
import contextlib
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Protocol

from outgrow.wire import NEVER_NS, Deadline, current, endless

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextvars import Context

    from outgrow.wire import Frame

ENDED: Any = object()
# The loop knows its tasks only weakly, and a reader that is collected is closed after that.
_tasks: set[asyncio.Task[None]] = set()


class Ended(Protocol):
    """What is done when a stream has ended and gives its place back."""

    def __call__(self, error: BaseException | None, *, has_begun: bool) -> None:
        """Note how it ended.

        Args:
            error: Why it failed; None where it did not.
            has_begun: Whether its code was reached at all.
        """
        ...


class Reading:
    """One reading of a stream, from its first item to its end.

    Args:
        make: Makes the items.
        frame: Of the operation.
        context: What its code sees; its own from now on.
        cross: Makes of an item what the reader gets; as it is where None.
        failed: Makes of its exception what the reader gets.
        ended: Called once, at the end.
    """

    def __init__(
        self,
        make: Callable[[], Any],
        frame: Frame,
        context: Context,
        *,
        cross: Callable[[Any], Any] | None,
        failed: Callable[[Exception], Exception],
        ended: Ended,
    ) -> None:
        self._make = make
        self._frame = frame
        self._cross = cross
        self._failed = failed
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._asked: asyncio.Future[Any] | None = None
        self._idle: asyncio.Future[None] | None = None
        self._is_closing = False
        self._has_begun = False
        self._error: BaseException | None = None
        self._task = self._loop.create_task(self._run(), context=context)
        _tasks.add(self._task)
        self._task.add_done_callback(self._over)

    # The reader's side.

    async def next(self) -> Any:
        """The next item; `ENDED` where there is none.

        Raises:
            BaseException: What the code of the stream raised.
        """
        if not self._task.done():
            self._asked = self._loop.create_future()
            self._wake()
            try:
                item = await self._asked
            except asyncio.CancelledError:
                await self.close()
                raise
            if item is not ENDED:
                return item
        self._raise()
        return ENDED

    async def close(self) -> None:
        """End it, and wait for its clean-up.

        Raises:
            BaseException: What its clean-up raised.
        """
        self._is_closing = True
        if self._task.done():
            return  # what it raised before that, the reader did not want to know
        if self._idle is None:
            self._task.cancel()  # in the middle of an item, so the reader itself was cancelled
        self._wake()
        await self._task  # who cancels the reader now, cuts the clean-up short
        self._raise()

    def _wake(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _raise(self) -> None:
        error, self._error = self._error, None
        if isinstance(error, Exception):
            raise self._failed(error) from None
        if error is not None:
            raise error

    # The side of its code.

    async def _run(self) -> None:
        self._has_begun = True
        try:
            with as_stream(self._frame):
                items = aiter(self._make())
                try:
                    await self._give(items)
                finally:
                    await close_items(items)
        except StopAsyncIteration:
            pass
        except BaseException as error:  # whatever it is, the reader gets it
            self._error = error
        finally:
            self._ended(self._error, has_begun=True)

    async def _give(self, items: AsyncIterator[Any]) -> None:
        item = await anext(items)
        while True:
            try:
                if await self._is_asked():
                    assert self._asked is not None
                    self._asked.set_result(self._cross(item) if self._cross else item)
                if not await self._is_asked():
                    return
            except asyncio.CancelledError as error:
                if self._is_closing:
                    self._task.cancel()  # meant for the clean-up, as soon as that waits
                    return
                item = await _thrown(items, error)
            else:
                item = await anext(items)

    async def _is_asked(self) -> bool:
        """Wait until the reader wants an item; whether it does, and is not about to go."""
        while not self._is_closing:
            if self._asked is not None and not self._asked.done():
                return True
            self._idle = self._loop.create_future()
            try:
                await self._idle
            finally:
                self._idle = None
        return False

    def _over(self, task: asyncio.Task[None]) -> None:
        _tasks.discard(task)
        if not self._has_begun:
            self._ended(None, has_begun=False)
        if self._asked is not None and not self._asked.done():
            self._asked.set_result(ENDED)


def as_stream(frame: Frame) -> contextlib.AbstractContextManager[None]:
    """Have the code of a stream run within its own deadline; in a task that does nothing else."""
    # The reader's own deadline does not reach here: this one has a timer.
    current.set(endless(frame))
    if frame.deadline_ns >= NEVER_NS:
        return contextlib.nullcontext()
    left_ns = max(0, frame.deadline_ns - monotonic_ns())
    return Deadline(left_ns / 1e9, f"`{frame.operation}`")


async def close_items(items: Any) -> None:
    """Have a stream clean up; what a fake gives may have nothing to clean."""
    if (close := getattr(items, "aclose", None)) is not None:
        await close()


async def _thrown(items: Any, error: asyncio.CancelledError) -> Any:
    """The item after a cancel that came between two; a deadline in the stream's code is one."""
    throw = getattr(items, "athrow", None)
    if throw is None:
        raise error
    return await throw(error)
