"""A bulkhead: so many calls at once, so many more in line, and a clear no to the rest."""

from __future__ import annotations

import asyncio
from collections import deque

from outgrow.errors import OverloadedError, UnavailableError

RETRY_AFTER_SECONDS = 1.0


class Gate:
    """Counts the calls that run, and keeps those that wait in the order in which they came.

    A caller takes a place by adding one to `running` while that is below `limit`, or by `wait`; it
    gives the place back by `leave`. The generated call path does the first by itself.

    Args:
        what: Whose gate it is, for messages.
        limit: Calls at once.
        queue_max: Calls in line.
    """

    __slots__ = ("closed", "limit", "queue_max", "running", "waiting", "what")

    def __init__(self, what: str, limit: int, queue_max: int) -> None:
        self.what = what
        self.limit = limit
        self.queue_max = queue_max
        self.closed = ""
        self.running = 0
        self.waiting: deque[asyncio.Future[None]] = deque()

    async def wait(self) -> None:
        """Wait for a place; it is taken when this returns.

        Raises:
            OverloadedError: The line is full.
            UnavailableError: The gate is shut.
        """
        if self.closed:
            raise UnavailableError(self.closed, may_have_run=False)
        if self.running < self.limit:
            self.running += 1
            return
        if len(self.waiting) >= self.queue_max:
            raise OverloadedError(
                f"{self.what} has {self.running} calls at work and {len(self.waiting)} in line",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.leave()  # it was given the place, and goes all the same
            elif place in self.waiting:
                self.waiting.remove(place)
            raise

    def leave(self) -> None:
        """Give a place to the next in line, or back."""
        while self.waiting and self.running <= self.limit:
            place = self.waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self.running -= 1

    def shut(self, why: str) -> None:
        """Let nobody in any more, those in line included.

        Args:
            why: What they are told.
        """
        self.closed, self.limit = why, 0
        while self.waiting:
            place = self.waiting.popleft()
            if not place.done():
                place.set_exception(UnavailableError(why, may_have_run=False))
