"""Stations: what can serve so many at once, how long each use held it, and was waited for.

A use that waited says so to the part of the trace that it belongs to, too. So each use of another
station around it knows how much of its own time was no work, but waiting for the inner one.
"""

from __future__ import annotations

import os
import threading
import weakref
from operator import mul
from time import monotonic_ns
from typing import TYPE_CHECKING

import msgspec

from outgrow.telemetry.histogram import BUCKETS_MAX, bucket_of, lower_edge_ns
from outgrow.telemetry.records import StationTotals
from outgrow.telemetry.traces import place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from outgrow.telemetry.traces import Segment

STATIONS_MAX = 512
WAITS_MAX = 256
_OTHER = "(other)"
_SQUARES_S2 = [
    ((lower_edge_ns(bucket) + lower_edge_ns(bucket + 1)) / 2e9) ** 2
    for bucket in range(BUCKETS_MAX)
]


# What a part of a trace has waited.


def note_wait(begun_ns: int, ended_ns: int, segment: Segment | None = None) -> None:
    """Note that what runs here has waited for a station.

    Args:
        begun_ns: Since when, on the clock `time.monotonic_ns`.
        ended_ns: Until when.
        segment: Of the trace; that of what runs here where None.
    """
    if segment is None:
        segment = place()[0]
    if segment is None:
        return
    waits = segment.waits
    if waits is None:
        segment.waits = [(begun_ns, ended_ns - begun_ns)]
    elif len(waits) < WAITS_MAX:
        waits.append((begun_ns, ended_ns - begun_ns))
    else:
        first_ns, sum_ns = waits[-1]  # no longer told apart, but not lost
        waits[-1] = (first_ns, sum_ns + ended_ns - begun_ns)


def waited_since(segment: Segment, begun_ns: int) -> int:
    """How long a part of a trace has waited for stations since then, in nanoseconds."""
    return sum(wait_ns for since_ns, wait_ns in segment.waits or () if since_ns >= begun_ns)


def waited_here() -> int:
    """How long what runs here has waited for stations so far; the sum only grows."""
    segment = place()[0]
    return waited_since(segment, 0) if segment is not None else 0


# Stations.

_stations: weakref.WeakSet[Station] = weakref.WeakSet()


def _renew_locks() -> None:
    for station in list(_stations):
        station.renew_lock()


os.register_at_fork(after_in_child=_renew_locks)


class Use(msgspec.Struct, gc=False):
    """One use of a station.

    Attributes:
        since_ns: When it began, on the clock `time.monotonic_ns`.
        waited_ns: What its user had waited for stations until then.
    """

    since_ns: int
    waited_ns: int


class Station:
    """Something that serves so many at once; any thread may use it.

    Args:
        name: Such as `threads Orders`.
        kind: See `StationTotals`.
        capacity: How many at once.

    Attributes:
        totals: Written while the lock is held.
        lock: Held while anything of it or of its visits changes.
    """

    def __init__(self, name: str, kind: str, capacity: int) -> None:
        self.totals = StationTotals(name, kind, capacity)
        # The collector may give a lost connection back in the middle of a count.
        self.lock = threading.RLock()
        self._waiting = 0
        self._in_use = 0
        self._changed_ns = monotonic_ns()
        _stations.add(self)

    def renew_lock(self) -> None:
        """Have a lock that nobody holds, as in a process that was just forked."""
        self.lock = threading.RLock()

    def wait(self) -> None:
        """Note that one more waits."""
        with self.lock:
            self._waiting += 1
            self.totals.queue_max = max(self.totals.queue_max, self._waiting)

    def leave(self) -> None:
        """Note that one waits no more, whether it is served now or not."""
        with self.lock:
            self._waiting -= 1

    def reject(self) -> None:
        """Note that one was turned away, or gave up."""
        with self.lock:
            self.totals.rejected += 1

    def take(self, wait_ns: int = 0, *, since_ns: int | None = None) -> Use:
        """Note that a use begins after this wait, and what runs here has waited so long.

        Args:
            wait_ns: How long it waited.
            since_ns: Since when it takes its slot, on the clock `time.monotonic_ns`; now where
                None.
        """
        now_ns = monotonic_ns()
        held_ns = 0 if since_ns is None else max(0, now_ns - since_ns)
        if wait_ns:
            note_wait(now_ns - wait_ns, now_ns)
        bucket = bucket_of(wait_ns)
        totals = self.totals
        with self.lock:
            self._reckon(now_ns)
            self._in_use += 1
            totals.busy_ns += held_ns
            totals.wait_ns += wait_ns
            totals.waits[bucket] = totals.waits.get(bucket, 0) + 1
        return Use(now_ns - held_ns, waited_here())

    def give_back(self, use: Use) -> None:
        """Note that it ended."""
        now_ns = monotonic_ns()
        hold_ns = now_ns - use.since_ns
        nested_ns = max(0, min(hold_ns, waited_here() - use.waited_ns))
        totals = self.totals
        with self.lock:
            self._reckon(now_ns)
            self._in_use -= 1
            totals.served += 1
            totals.hold_ns += hold_ns
            totals.hold_squared_s2 += (hold_ns / 1e9) ** 2
            totals.nested_wait_ns += nested_ns

    def visit(self, *, waits: bool) -> Visit:
        """A use that is asked for now.

        Args:
            waits: It does not begin at once.
        """
        return Visit(self, waits=waits)

    def told(self) -> StationTotals:
        """A copy of its totals, as of now."""
        with self.lock:
            self._reckon(monotonic_ns())
            return msgspec.structs.replace(self.totals, waits=dict(self.totals.waits))

    def _reckon(self, now_ns: int) -> None:
        self.totals.busy_ns += self._in_use * max(0, now_ns - self._changed_ns)
        self._changed_ns = now_ns


class Visit:
    """One use of a station, from the moment it is asked for to its end or its failure.

    Who asked may give up in one thread in the very moment in which it begins in another.
    """

    __slots__ = ("_asked_ns", "_has_begun", "_has_ended", "_station", "_use")

    def __init__(self, station: Station, *, waits: bool) -> None:
        self._station = station
        self._asked_ns = monotonic_ns() if waits else 0
        self._has_begun = False
        self._has_ended = False
        self._use = _NONE
        if waits:
            station.wait()

    def begin(self) -> Use:
        """It is served from now on; in the place of who asked, or in one that has its context."""
        with self._station.lock:
            if self._has_ended:
                return _NONE  # who asked has given up, just now
            self._has_begun = True
            wait_ns = 0
            if self._asked_ns:
                self._station.leave()
                wait_ns = monotonic_ns() - self._asked_ns
            self._use = self._station.take(wait_ns)
            return self._use

    def end(self) -> None:
        """It ends; if it never began it was turned away, or gave up. Once is enough."""
        with self._station.lock:
            if self._has_ended:
                return
            self._has_ended = True
            if self._has_begun:
                self._station.give_back(self._use)
                return
            if self._asked_ns:
                self._station.leave()
            self._station.reject()

    def give_up(self) -> None:
        """It ends, unless it has begun: then it ends where it is served."""
        with self._station.lock:
            if not self._has_begun:
                self.end()


_NONE = Use(0, 0)


def squares_of(buckets: Iterable[int]) -> float:
    """Sum of the squares of durations in seconds, from all buckets; 0.1 % off at most."""
    return sum(map(mul, buckets, _SQUARES_S2))


class StationBook:
    """The stations of this process, by name; at most 512, further ones are not told of."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], Callable[[], StationTotals]] = {}
        self._stations: dict[tuple[str, str], Station] = {}

    def meet(self, name: str, kind: str, capacity: int) -> Station:
        """The station of this name; each that uses it adds to the same totals."""
        key = (name, kind)
        if key not in self._stations and len(self._stations) >= STATIONS_MAX:
            key = (_OTHER, kind)
        station = self._stations.get(key)
        if station is None:
            station = self._stations[key] = Station(*key, capacity)
            self.add(*key, station.told)
        station.totals.capacity = capacity
        return station

    def add(self, name: str, kind: str, told: Callable[[], StationTotals]) -> None:
        """Have a station told of that keeps its own totals; it follows one of the same name."""
        if (name, kind) in self._told or len(self._told) < STATIONS_MAX:
            self._told[name, kind] = told

    def all(self) -> list[StationTotals]:
        """The totals of all stations; from any thread."""
        return [told() for told in list(self._told.values())]


# Of this process.
station_book = StationBook()
