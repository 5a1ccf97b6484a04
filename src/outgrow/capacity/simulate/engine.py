"""Virtual time: tasks are generators that yield how long they sleep, or that they wait.

A task yields a number of seconds, or `PARKED` after it has queued somewhere that will wake it.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from outgrow.telemetry import bucket_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from outgrow.capacity.simulate.system import Place

PARKED = -1.0


class Line:
    """One call under way: its generator, what it holds, how long it has waited.

    Attributes:
        waited_seconds: Waits for stations that count waits, so far.
        loop_seconds: Time on the event loop, so far.
        held: Stations held now, outermost first.
        workers: The worker that it runs in, by process.
    """

    __slots__ = ("held", "loop_seconds", "operation", "steps", "waited_seconds", "workers")

    def __init__(self) -> None:
        self.steps: Generator[float, None, None] = iter_nothing()
        self.waited_seconds = 0.0
        self.loop_seconds = 0.0
        self.held: list[Server] = []
        self.workers: dict[str, int] = {}
        self.operation = ""


def iter_nothing() -> Generator[float, None, None]:
    """A generator that ends at once."""
    yield from ()


class Timeline:
    """The clock, and who wakes when."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events = 0
        self._heap: list[tuple[float, int, Line]] = []

    def wake(self, line: Line, after_seconds: float = 0.0) -> None:
        """Go on with a task after so long."""
        self.events += 1
        heappush(self._heap, (self.now + after_seconds, self.events, line))

    def run_until(self, at_seconds: float) -> None:
        """Let everything happen up to a moment."""
        heap = self._heap
        while heap and heap[0][0] <= at_seconds:
            self.now, _, line = heappop(heap)
            for pause_seconds in line.steps:
                if pause_seconds >= 0:
                    self.events += 1
                    heappush(heap, (self.now + pause_seconds, self.events, line))
                break
        self.now = at_seconds


class Server:
    """A station at work.

    Attributes:
        share: Of its capacity that was in use in the last second; what strain goes by.
        tells_waits: Those who hold others meanwhile know that they wait here.
    """

    __slots__ = (
        *("busy_seconds", "capacity", "changed_at", "hold_seconds", "hold_squared_s2", "in_use"),
        *("nested_wait_seconds", "place", "queue", "queue_max", "rejected", "served", "share"),
        *("tells_waits", "timeline", "wait_seconds", "waits", "by_operation", "mark"),
    )

    def __init__(self, timeline: Timeline, place: Place, *, tells_waits: bool) -> None:
        self.timeline = timeline
        self.place = place
        self.capacity = place.capacity
        self.tells_waits = tells_waits
        self.in_use = 0
        self.queue: deque[Line] = deque()
        self.changed_at = self.busy_seconds = self.hold_seconds = self.hold_squared_s2 = 0.0
        self.nested_wait_seconds = self.wait_seconds = self.share = self.mark = 0.0
        self.served = self.rejected = self.queue_max = 0
        self.waits: dict[int, int] = {}
        self.by_operation: dict[str, int] = {}

    def enter(self, line: Line) -> bool:
        """Take a slot; where there is none, queue, and answer that one has to wait."""
        if self.in_use < self.capacity:
            now = self.timeline.now
            self.busy_seconds += self.in_use * (now - self.changed_at)
            self.changed_at = now
            self.in_use += 1
            return False
        self.queue.append(line)
        self.queue_max = max(self.queue_max, len(self.queue))
        return True

    def leave(self) -> None:
        """Give the slot to the next in the queue, or back."""
        if self.queue:
            self.timeline.wake(self.queue.popleft())
            return
        now = self.timeline.now
        self.busy_seconds += self.in_use * (now - self.changed_at)
        self.changed_at = now
        self.in_use -= 1

    def count(self, line: Line, wait_seconds: float, hold_seconds: float, nested: float) -> None:
        """Note a use that ended."""
        self.served += 1
        self.hold_seconds += hold_seconds
        self.hold_squared_s2 += hold_seconds * hold_seconds
        self.nested_wait_seconds += nested
        self.wait_seconds += wait_seconds
        bucket = bucket_of(int(wait_seconds * 1e9))
        self.waits[bucket] = self.waits.get(bucket, 0) + 1
        self.by_operation[line.operation] = self.by_operation.get(line.operation, 0) + 1

    def settle(self) -> None:
        """Bring the integral up to now, and see how much of the last second it was in use."""
        now = self.timeline.now
        self.busy_seconds += self.in_use * (now - self.changed_at)
        self.changed_at = now

    def look(self, seconds: float) -> None:
        """Set `share` from what has happened since the last look, so many seconds ago."""
        self.settle()
        self.share = (self.busy_seconds - self.mark) / (seconds * self.capacity)
        self.mark = self.busy_seconds
