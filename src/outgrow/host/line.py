"""The line in which requests wait for a thread: on the event loop, where to refuse costs little.

A thread could refuse those that are late as well; but to ask one, and to answer from it, costs ten
times as much, and while all of them hang it would refuse nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from outgrow.host.arrival import Arrival


class LateError(Exception):
    """A request waited too long for a thread, or its client left; its app has not heard of it."""


class Line:
    """The threads of a pool, and the requests that wait for one in the order in which they came.

    Args:
        pool: Runs the work; nobody else gives it any.
        threads: How many it has.
    """

    def __init__(self, pool: Executor, threads: int) -> None:
        self.pool = pool
        self._free = threads
        self._waiting: OrderedDict[asyncio.Future[bool], int] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    async def place(self, noted: Arrival) -> Place:
        """Wait for a free thread, which the caller has to use or to give back.

        Raises:
            LateError: None came in time, or the request left the line.
        """
        if self._free:
            self._free -= 1
        else:
            await self._wait(noted)
        return Place(self)

    async def _wait(self, noted: Arrival) -> None:
        loop = asyncio.get_running_loop()
        noted.turn = turn = loop.create_future()
        self._waiting[turn] = noted.late_ns
        if self._timer is None:
            self._refuse_late(loop)
        try:
            may_begin = await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result():
                self.leave()  # it was given the place, and goes all the same
            raise
        finally:
            self._waiting.pop(turn, None)
        if not may_begin:
            raise LateError

    def leave(self) -> None:
        """Give a place to the first in line that is not late, or back."""
        now_ns = perf_counter_ns()
        while self._waiting:
            turn, late_ns = self._waiting.popitem(last=False)
            if not turn.done():
                turn.set_result(now_ns <= late_ns)
                if now_ns <= late_ns:
                    return
        self._free += 1

    def _refuse_late(self, loop: asyncio.AbstractEventLoop) -> None:
        """Send away those in front that are late, and look again when the next one is.

        One behind may be late before the one in front, whose time was less cut for what the loop
        did meanwhile. It came later, though, so that it does not wait for longer than the limit.
        """
        self._timer = None
        now_ns = perf_counter_ns()
        while self._waiting:
            turn, late_ns = next(iter(self._waiting.items()))
            if now_ns <= late_ns:
                seconds = (late_ns - now_ns) / 1e9
                self._timer = loop.call_later(seconds, self._refuse_late, loop)
                return
            del self._waiting[turn]
            if not turn.done():
                turn.set_result(False)


class Place:
    """A free thread, for one piece of work; an executor, as far as event loops ask for one."""

    __slots__ = ("_is_used", "_line")

    def __init__(self, line: Line) -> None:
        self._line = line
        self._is_used = False

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Future[Any]:
        """Run something in the thread; the next in line has it once that ended, however long."""
        loop = asyncio.get_running_loop()
        work = self._line.pool.submit(function, *arguments)
        self._is_used = True
        work.add_done_callback(lambda _: self._left(loop))
        return work

    def _left(self, loop: asyncio.AbstractEventLoop) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed while the thread hung
            loop.call_soon_threadsafe(self._line.leave)

    def give_back(self) -> None:
        """Let the next in line have the thread, if nothing ran there."""
        if not self._is_used:
            self._line.leave()
