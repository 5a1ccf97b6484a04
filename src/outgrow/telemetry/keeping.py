"""Which segments of traces are kept: what failed, the slowest, a few of all, what is asked for.

That is decided when a segment ends, as only then it is known how it went. For nearly all the answer
is no, found by four comparisons. A part of a trace whose other parts ran elsewhere stays for some
seconds, as one of those may be kept.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from heapq import heappush, heapreplace
from time import monotonic_ns
from typing import TYPE_CHECKING

from outgrow.telemetry.parents import SAMPLED_MASK, parent_book
from outgrow.telemetry.remembering import Remembered
from outgrow.telemetry.traces import lost_of, spans_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outgrow.telemetry.records import SpanRecord
    from outgrow.telemetry.traces import Segment

SLOWEST = 5
ERRORS_PER_SECOND = 10
FLAWS_PER_SECOND = 2
ASKED_PER_SECOND = 10
KEPT_PER_SECOND = 200
KEPT_BYTES_MAX = 8 * 1024 * 1024
SIEVES_MAX = 4096
WANTED_MAX = 4096
_WATCHED_MAX = 1000
_SECOND_NS = 10**9
_WATCHED_NS = 10 * _SECOND_NS
_WANTED_NS = 10 * _SECOND_NS
_MINUTE_NS = 60 * _SECOND_NS
_OTHER = "(other)"
_SEGMENT_BYTES = 800
_SPAN_BYTES = 200


class Allowance:
    """So many a second, and no more.

    Args:
        per_second: How many.
    """

    __slots__ = ("_per_second", "_since_ns", "_used")

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._since_ns = 0
        self._used = 0

    def take(self, now_ns: int) -> bool:
        """Whether there may be one more."""
        if now_ns - self._since_ns >= _SECOND_NS:
            self._since_ns, self._used = now_ns, 0
        self._used += 1
        return self._used <= self._per_second


class Sieve:
    """Decides for the segments of one operation or route.

    Args:
        keeper: Takes what is kept.
        name: Of the operation or route.

    Attributes:
        threshold_ns: What takes longer is among the slowest of this minute.
        look_at_ns: The first to end from then on is kept as a sample.
    """

    __slots__ = (
        "_errors",
        "_flaws",
        "_keeper",
        "_minute_until_ns",
        "_slowest",
        "look_at_ns",
        "name",
        "threshold_ns",
    )

    def __init__(self, keeper: Keeper, name: str) -> None:
        self.name = name
        self._keeper = keeper
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.threshold_ns = 0
        self.look_at_ns = 0
        self._minute_until_ns = 0
        self._slowest: list[int] = []
        self._errors = Allowance(ERRORS_PER_SECOND)
        self._flaws = Allowance(FLAWS_PER_SECOND)

    def end(self, segment: Segment, ended_ns: int, status: int = -1, method: str = "") -> None:
        """End a segment, and keep it if there is a reason to.

        Args:
            segment: It has ended; of an operation it has the span already.
            ended_ns: On the clock `time.monotonic_ns`.
            status: Of the response, where it was a request: 0 if that is not whole.
            method: Of the request.
        """
        segment.is_open = False
        segment.ended_ns = ended_ns
        if not segment.seed & SAMPLED_MASK or segment.left is not None:
            parent_book.fold(segment, self.name)
        parent = segment.parent
        if (
            ended_ns - segment.begun_ns > self.threshold_ns
            or ended_ns >= self.look_at_ns
            or status >= 500
            or segment.flaw
            or (parent is not None and parent.flags & 1)
        ):
            self._judge(segment, ended_ns, status, method)
        elif segment.is_shared:
            if status >= 0:
                segment.outcome = (self.name, method, status)
            self._keeper.remember(segment)

    def _judge(self, segment: Segment, ended_ns: int, status: int, method: str) -> None:
        if status >= 500:
            segment.flaw = 2
        reason = self._reason(segment, ended_ns)
        if not reason and not segment.is_shared:
            return
        if status >= 0:
            segment.outcome = (self.name, method, status)
        if reason:
            self._keeper.keep(segment, reason)
        else:
            self._keeper.remember(segment)

    def _reason(self, segment: Segment, ended_ns: int) -> str:
        is_slow = self._is_slow(ended_ns - segment.begun_ns)
        is_sample = ended_ns >= self.look_at_ns
        if is_sample:
            self._look(ended_ns)
        errors = self._errors if segment.flaw == 2 else self._flaws
        if segment.flaw and errors.take(ended_ns):
            return "error"
        if segment.is_asked and self._keeper.asked.take(ended_ns):
            return "asked"
        return "slow" if is_slow else "sampled" if is_sample else ""

    def _is_slow(self, duration_ns: int) -> bool:
        if duration_ns <= self.threshold_ns:
            return False
        if len(self._slowest) < SLOWEST:
            heappush(self._slowest, duration_ns)
        else:
            heapreplace(self._slowest, duration_ns)
        if len(self._slowest) == SLOWEST:
            self.threshold_ns = self._slowest[0]
        return True

    def _look(self, now_ns: int) -> None:
        self.look_at_ns = now_ns + _SECOND_NS
        if now_ns < self._minute_until_ns:
            return
        # Not from nothing, or the first few of each minute would be its slowest, however quick.
        is_full = len(self._slowest) == SLOWEST
        self.threshold_ns = self._slowest[0] // 2 if is_full and self._minute_until_ns else 0
        self._slowest.clear()
        self._minute_until_ns = now_ns + _MINUTE_NS


class Keeper:
    """What is kept in this process until it is fetched, and what may yet be asked for.

    The reporter calls `take` about once a second, and `wanted` with what the observer says.

    Attributes:
        asked: How many may be kept as their callers want it, who may be strangers.
        lost: Spans that were kept or to be kept, and found no room: a total.
    """

    def __init__(self) -> None:
        self._sieves: dict[str, Sieve] = {}
        self.forget()

    def forget(self) -> None:
        """Begin anew, as a process that was forked has to."""
        self.asked = Allowance(ASKED_PER_SECOND)
        self.lost = 0
        self._kept_now = Allowance(KEPT_PER_SECOND)
        self._lock = threading.Lock()
        for sieve in self._sieves.values():
            sieve.forget()
        self._kept: deque[Segment] = deque()
        self._kept_bytes = 0
        self._watched: deque[Segment] = deque(maxlen=_WATCHED_MAX)
        self._remembered = Remembered()
        self._wanted: dict[bytes, int] = {}

    def sieve(self, name: str) -> Sieve:
        """What decides for the segments of this operation or route; few different names."""
        known = self._sieves.get(name)
        if known is None:
            if len(self._sieves) >= SIEVES_MAX:
                name = _OTHER
            known = self._sieves.setdefault(name, Sieve(self, name))
        return known

    def keep(self, segment: Segment, reason: str) -> None:
        """Keep a segment until it is fetched; any thread."""
        with self._lock:
            self._keep(segment, reason)

    def remember(self, segment: Segment) -> None:
        """Have a segment ready for a while, as another process may keep its part; any thread."""
        with self._lock:
            if self._wanted and segment.trace_id.to_bytes(16, "big") in self._wanted:
                self._keep(segment, "asked")
            else:
                self._remembered.add(segment)

    def take(self, spans_max: int = 10_000) -> tuple[list[SpanRecord], int]:
        """The spans that are to be sent, and how many were lost since the process began.

        For the reporter, from its own thread, about once a second: what nobody takes is lost once
        8 MiB wait. What ends later in a segment that was taken comes with one of the next.

        Args:
            spans_max: After so many no further segment is begun with; the rest waits.
        """
        now_ns = monotonic_ns()
        with self._lock:
            self._forget(now_ns)
            while self._watched and self._watched[0].ended_ns < now_ns - _WATCHED_NS:
                self._watched.popleft()
            late = list(self._watched)
        taken: list[SpanRecord] = []
        for segment in late:
            taken += spans_of(segment)
        while len(taken) < spans_max and (segment := self._next()) is not None:
            taken += spans_of(segment)
        return taken, self.lost

    def wanted(self, trace_ids: Iterable[bytes]) -> None:
        """Keep what is left of these traces, and what comes of them in the next seconds.

        For the reporter, when the observer says `Wanted`: another process has kept its part. The
        spans come with the next `take`.
        """
        now_ns = monotonic_ns()
        with self._lock:
            for trace_id in trace_ids:
                if len(self._wanted) >= WANTED_MAX:
                    del self._wanted[next(iter(self._wanted))]
                self._wanted[trace_id] = now_ns + _WANTED_NS
            self._forget(now_ns)
            for segment in self._remembered.take(self._wanted):
                self._keep(segment, "asked")

    # All of these hold the lock.

    def _keep(self, segment: Segment, reason: str) -> None:
        size = _bytes_of(segment)
        is_free = self._kept_bytes + size <= KEPT_BYTES_MAX
        # Errors have limits of their own.
        if not is_free or not (reason == "error" or self._kept_now.take(monotonic_ns())):
            self.lost += len(segment.spans) + (segment.outcome is not None)
            segment.spans.clear()
            segment.outcome = None
            return
        segment.kept_for = reason
        self.lost += lost_of(segment)
        self._kept.append(segment)
        self._kept_bytes += size

    def _next(self) -> Segment | None:
        with self._lock:
            if not self._kept:
                self._kept_bytes = 0
                return None
            segment = self._kept.popleft()
            self._kept_bytes = max(0, self._kept_bytes - _bytes_of(segment))
            self._watched.append(segment)
            return segment

    def _forget(self, now_ns: int) -> None:
        self._remembered.forget(now_ns)
        while self._wanted and self._wanted[first := next(iter(self._wanted))] < now_ns:
            del self._wanted[first]


def _bytes_of(segment: Segment) -> int:
    return _SEGMENT_BYTES + _SPAN_BYTES * len(segment.spans) + segment.noted_bytes


keeper = Keeper()
os.register_at_fork(after_in_child=keeper.forget)
