"""Pools of connections as stations: how many are in use, how long each is held and waited for.

A wait counts where all connections were in use when it began; else what took time was to open one.
"""

from __future__ import annotations

import threading
from functools import wraps
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

import msgspec

from outgrow.telemetry.histogram import bucket_of
from outgrow.telemetry.records import StationTotals
from outgrow.telemetry.sql.databases import asyncpg_name
from outgrow.telemetry.sql.owned import is_owned

if TYPE_CHECKING:
    from collections.abc import Callable

POOLS_MAX = 64
_OTHER = "(other)"


def _none_waited() -> int:
    return 0


# How long what runs here has waited for other stations so far: the sum only grows.
_waited_here: list[Callable[[], int]] = [_none_waited]


def waits_here(told: Callable[[], int]) -> None:
    """Have this say how long what runs here has waited for stations so far, in nanoseconds.

    What it has grown by while a connection was held is the holder's nested wait.
    """
    _waited_here[:] = [told]


class Held(msgspec.Struct, gc=False):
    """A connection that is in use.

    Attributes:
        station: Of its pool.
        since_ns: When it was taken, on the clock `time.monotonic_ns`.
        waited_ns: What its holder had waited for other stations until then.
    """

    station: PoolStation
    since_ns: int
    waited_ns: int


class PoolStation:
    """The use of one pool, or of all that go to the same database.

    Attributes:
        totals: As they are reported.
        waiting: How many wait now.
    """

    def __init__(self, name: str) -> None:
        self.totals = StationTotals(name, "pool", 0)
        self.waiting = 0
        self._lock = threading.Lock()
        self._in_use = 0
        self._changed_ns = monotonic_ns()
        self._pools: dict[int, int] = {}

    def has(self, pool: int, capacity: int) -> None:
        """Count a pool, by its id: several of a process add up, such as one for each engine."""
        if self._pools.get(pool) != capacity:
            with self._lock:
                self._pools[pool] = capacity
                self.totals.capacity = sum(self._pools.values())

    def lacks(self, pool: int) -> None:
        """Count a pool no more, as it is gone."""
        with self._lock:
            self._pools.pop(pool, None)
            self.totals.capacity = sum(self._pools.values())

    def wait(self) -> None:
        """Note that one more waits."""
        with self._lock:
            self.waiting += 1
            self.totals.queue_max = max(self.totals.queue_max, self.waiting)

    def leave(self) -> None:
        """Note that one waits no more, with a connection or without."""
        with self._lock:
            self.waiting -= 1

    def reject(self) -> None:
        """Note that one got no connection."""
        with self._lock:
            self.totals.rejected += 1

    def take(self, wait_ns: int) -> Held:
        """Note that a connection was taken after this wait."""
        now_ns = monotonic_ns()
        bucket = bucket_of(wait_ns)
        totals = self.totals
        with self._lock:
            self._reckon(now_ns)
            self._in_use += 1
            totals.wait_ns += wait_ns
            totals.waits[bucket] = totals.waits.get(bucket, 0) + 1
        return Held(self, now_ns, _waited_here[0]())

    def give_back(self, held: Held) -> None:
        """Note that a connection is free again."""
        now_ns = monotonic_ns()
        hold_ns = now_ns - held.since_ns
        nested_ns = max(0, min(hold_ns, _waited_here[0]() - held.waited_ns))
        totals = self.totals
        with self._lock:
            self._reckon(now_ns)
            self._in_use -= 1
            totals.served += 1
            totals.hold_ns += hold_ns
            totals.hold_squared_s2 += (hold_ns / 1e9) ** 2
            totals.nested_wait_ns += nested_ns

    def told(self) -> StationTotals:
        """A copy of its totals, as of now."""
        with self._lock:
            self._reckon(monotonic_ns())
            return msgspec.structs.replace(self.totals, waits=dict(self.totals.waits))

    def _reckon(self, now_ns: int) -> None:
        self.totals.busy_ns += self._in_use * max(0, now_ns - self._changed_ns)
        self._changed_ns = now_ns


_stations: dict[str, PoolStation] = {}


def pool_stations() -> list[StationTotals]:
    """Copies of the totals of all pools; from any thread."""
    return [station.told() for station in list(_stations.values())]


def station_of(database: str) -> PoolStation:
    """The pools that go to a database; after 64 databases one for all others."""
    if database not in _stations and len(_stations) >= POOLS_MAX:
        database = _OTHER
    return _stations.setdefault(database, PoolStation(f"pool {database}"))


def watch_asyncpg_pools(asyncpg: Any) -> None:
    """See the pools of asyncpg.

    Args:
        asyncpg: The module, imported.
    """
    pool, holder = asyncpg.pool.Pool, asyncpg.pool.PoolConnectionHolder
    acquire: Any = pool._acquire
    release: Any = holder._release
    held: dict[int, Held] = {}  # by the id of what holds the connection, which lives while it does

    @wraps(acquire)
    async def acquire_seen(self: Any, seconds: Any) -> Any:
        station = getattr(self, "_outgrow_station", None)
        is_full, begun_ns = self._queue.empty(), monotonic_ns()
        if station is not None and is_full:
            station.wait()
        try:
            proxy = await acquire(self, seconds)
        except BaseException:
            if station is not None:
                station.reject()
            raise
        finally:
            if station is not None and is_full:
                station.leave()
        wait_ns = monotonic_ns() - begun_ns if is_full else 0
        if station is None and not is_owned(proxy._con):
            station = self._outgrow_station = station_of(asyncpg_name(proxy._con))
        if station is not None:
            station.has(id(self), self._maxsize)
            held[id(proxy._holder)] = station.take(wait_ns)
        return proxy

    @wraps(release)
    def release_seen(self: Any) -> Any:
        one = held.pop(id(self), None)
        if one is not None:
            one.station.give_back(one)
        return release(self)

    pool._acquire = acquire_seen
    holder._release = release_seen
