"""A bulkhead: so many calls at once, so many more in line, and a clear no to the rest."""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic_ns
from typing import TYPE_CHECKING

from outgrow.errors import OverloadedError, UnavailableError
from outgrow.telemetry import StationTotals, bucket_of, note_wait, squares_of, waited_since

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outgrow.telemetry import LinkTotals, Segment

RETRY_AFTER_SECONDS = 1.0


class Gate:
    """Counts the calls that run, and keeps those that wait in the order in which they came.

    A caller takes a place by adding one to `running` while that is below `limit`, or by `wait`; it
    gives the place back by `leave`. The generated call path does the first by itself.

    Args:
        what: Whose gate it is, for messages.
        limit: Calls at once.
        queue_max: Calls in line.

    Attributes:
        use: What is counted of it.
    """

    __slots__ = ("closed", "limit", "queue_max", "running", "use", "waiting", "what")

    def __init__(self, what: str, limit: int, queue_max: int) -> None:
        self.use = GateUse(limit)
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
            self.use.rejected += 1
            raise OverloadedError(
                f"{self.what} has {self.running} calls at work and {len(self.waiting)} in line",
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append(place)
        self.use.queue_max = max(self.use.queue_max, len(self.waiting))
        begun_ns = monotonic_ns()
        try:
            await place
            self.use.waited(begun_ns)
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


class GateUse:
    """How a gate was used, found from what is counted anyway: the calls that went through it.

    Only what is rare is counted here: calls that waited, and calls that were refused.

    Args:
        capacity: Of the gate.

    Attributes:
        calls: The calls that went through, by operation and caller.
        rejected: Calls that found the line full.
        queue_max: The longest that the line ever was.
        left_ns: How long threads held a place whose callers had gone.
    """

    __slots__ = (
        *("_at_ns", "_busy_ns", "_ended", "_nested_ns", "_squares", "_wait_ns", "_waits"),
        *("_told_hold_ns", "_told_nested_ns", "_told_spent_ns", "_told_squares", "_told_sum"),
        "_told_unwaited",
        *("calls", "capacity", "left_ns", "queue_max", "rejected"),
    )

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.calls: list[Mapping[str, LinkTotals]] = []
        self.rejected = 0
        self.queue_max = 0
        self.left_ns = 0
        self._wait_ns = 0
        self._waits: dict[int, int] = {}
        self._nested_ns = 0
        self._squares: dict[tuple[int, str], tuple[int, float]] = {}
        self._busy_ns = self._ended = 0
        self._told_hold_ns = self._told_nested_ns = self._told_spent_ns = self._told_unwaited = 0
        self._told_squares = self._told_sum = 0.0
        self._at_ns = monotonic_ns()

    def waited(self, begun_ns: int) -> None:
        """Count a call that got its place after a wait."""
        ended_ns = monotonic_ns()
        wait_ns = ended_ns - begun_ns
        self._wait_ns += wait_ns
        bucket = bucket_of(wait_ns)
        self._waits[bucket] = self._waits.get(bucket, 0) + 1
        note_wait(begun_ns, ended_ns)

    def nested(self, segment: Segment, begun_ns: int) -> None:
        """Count what a call that began then has waited, for its place and for all else."""
        self._nested_ns += waited_since(segment, begun_ns)

    def told(self, name: str, running: int) -> StationTotals:
        """As a station; for one thread.

        A call that has not ended counts for nothing yet. So where none ended since this was asked
        last, those that run are taken to have held their places all the time.
        """
        served = spent_ns = 0
        squares = 0.0
        for number, by_caller in enumerate(self.calls):
            for caller, link in list(by_caller.items()):
                served += link.calls
                spent_ns += link.duration_ns
                squares += self._squares_of((number, caller), link)
        # What has waited and not ended yet makes sums fall, which would count all of them again:
        # they stay, and what is missing is made up for when it ends.
        before_ns = self._told_hold_ns
        hold_ns = max(before_ns, spent_ns - self._wait_ns + self.left_ns)
        nested_ns = max(self._told_nested_ns, min(hold_ns, self._nested_ns - self._wait_ns))
        self._told_hold_ns, self._told_nested_ns = hold_ns, nested_ns
        self._told_squares += self._unwaited(squares, spent_ns, hold_ns - before_ns)
        now_ns = monotonic_ns()
        if served == self._ended:
            self._busy_ns += running * (now_ns - self._at_ns)
        self._busy_ns = max(self._busy_ns, hold_ns)
        self._at_ns, self._ended = now_ns, served
        waits = dict(self._waits)
        unwaited = served - sum(waits.values())
        self._told_unwaited = max(self._told_unwaited, unwaited)
        waits[0] = waits.get(0, 0) + self._told_unwaited
        return StationTotals(
            name,
            "bulkhead",
            self.capacity,
            served=served,
            rejected=self.rejected,
            busy_ns=self._busy_ns,
            hold_ns=hold_ns,
            hold_squared_s2=self._told_squares,
            nested_wait_ns=nested_ns,
            wait_ns=self._wait_ns,
            waits=waits,
            queue_max=self.queue_max,
        )

    def _unwaited(self, squares: float, spent_ns: int, held_ns: int) -> float:
        """What was added to the squares since last time, as far as it was no wait in line."""
        added, spent = squares - self._told_sum, spent_ns - self._told_spent_ns
        self._told_sum, self._told_spent_ns = squares, spent_ns
        if added <= 0 or spent <= 0:
            return 0.0
        ratio = min(1.0, held_ns / spent)
        return added * ratio * ratio

    def _squares_of(self, key: tuple[int, str], link: LinkTotals) -> float:
        known = self._squares.get(key)
        if known is None or known[0] != link.calls:
            known = self._squares[key] = (link.calls, squares_of(link.buckets))
        return known[1]
