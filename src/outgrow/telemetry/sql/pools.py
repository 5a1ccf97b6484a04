"""Pools of connections as stations: how many are in use, how long each is held and waited for.

A wait counts where all connections were in use when it began; else what took time was to open one.
"""

from __future__ import annotations

import weakref
from functools import wraps
from typing import TYPE_CHECKING, Any

from outgrow.telemetry.sql.databases import DATABASE, asyncpg_name
from outgrow.telemetry.sql.owned import is_owned
from outgrow.telemetry.stations import Station

if TYPE_CHECKING:
    from outgrow.telemetry.records import StationTotals
    from outgrow.telemetry.stations import Use

POOLS_MAX = 64
_OTHER = "(other)"


class PoolStation(Station):
    """The use of one pool, or of all that go to the same database."""

    def __init__(self, name: str) -> None:
        super().__init__(name, "pool", 0)
        self._pools: dict[int, int] = {}

    def has(self, pool: int, capacity: int) -> bool:
        """Count a pool, by its id: several of a process add up, such as one for each engine.

        Returns:
            Whether it was not known.
        """
        known = self._pools.get(pool)
        if known != capacity:
            self._pools[pool] = capacity
            self.totals.capacity = sum(self._pools.values())
        return known is None

    def lacks(self, pool: int) -> None:
        """Count a pool no more, as it is gone."""
        self._pools.pop(pool, None)
        self.totals.capacity = sum(self._pools.values())


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
    make: Any = pool.__init__
    acquire: Any = pool._acquire
    release: Any = holder._release
    # By the ids of pools, which take neither attributes nor weak references.
    known: dict[int, PoolStation] = {}
    # By the id of what holds the connection, which lives while it does.
    held: dict[int, tuple[PoolStation, Use]] = {}

    @wraps(make)
    def make_seen(self: Any, *args: Any, **kwargs: Any) -> None:
        _forget(known, self)
        make(self, *args, **kwargs)

    @wraps(acquire)
    async def acquire_seen(self: Any, seconds: Any) -> Any:
        station = known.get(id(self))
        is_full = self._queue is not None and self._queue.empty()
        visit = station.visit(waits=is_full) if station is not None else None
        try:
            proxy = await acquire(self, seconds)
        except BaseException:
            if visit is not None:
                visit.end()
            raise
        if station is not None and visit is not None:
            held[id(proxy._holder)] = (station, visit.begin())
        elif (found := _station_of_pool(self, proxy)) is not None:
            known[id(self)] = found
            held[id(proxy._holder)] = (found, found.take())
        return proxy

    @wraps(release)
    def release_seen(self: Any) -> Any:
        one = held.pop(id(self), None)
        if one is not None:
            one[0].give_back(one[1])
        return release(self)

    _watch_ends(pool, known)
    pool.__init__ = make_seen
    pool._acquire = acquire_seen
    holder._release = release_seen


def _watch_ends(pool: Any, known: dict[int, PoolStation]) -> None:
    """See when pools of asyncpg are closed, which have no room from then on."""
    close: Any = pool.close
    terminate: Any = pool.terminate

    @wraps(close)
    async def close_seen(self: Any) -> Any:
        try:
            return await close(self)
        finally:
            _forget(known, self)

    @wraps(terminate)
    def terminate_seen(self: Any) -> Any:
        _forget(known, self)
        return terminate(self)

    pool.close = close_seen
    pool.terminate = terminate_seen


def _forget(known: dict[int, PoolStation], pool: Any) -> None:
    gone = known.pop(id(pool), None)
    if gone is not None:
        gone.lacks(id(pool))


def _station_of_pool(pool: Any, proxy: Any) -> PoolStation | None:
    """The station of a pool of asyncpg by its first connection; None where others tell of it."""
    try:
        if is_owned(proxy._con):
            return None
        station = station_of(asyncpg_name(proxy._con))
        station.has(id(pool), pool._maxsize)
    except Exception:  # it is not as we know it; the app has its connection, and shall keep it
        return None
    return station


def watch_sqlalchemy_pools(sqlalchemy: Any) -> None:
    """See the pools of SQLAlchemy that have a limit, sync and async.

    A pool is named by the database of its first statement, so its first use is not seen.

    Args:
        sqlalchemy: The module, imported.
    """
    cls = sqlalchemy.pool.QueuePool
    get: Any = cls._do_get
    give_back: Any = cls._do_return_conn
    held: dict[int, tuple[PoolStation, Use]] = {}  # by the id of the pool's record, as above

    @wraps(get)
    def get_seen(self: Any) -> Any:
        station, limit = _station_of_queue(self)
        if station is None:
            return get(self)
        is_full = self.checkedout() >= limit
        visit = station.visit(waits=is_full)
        try:
            record = get(self)
        except BaseException:
            visit.end()
            raise
        if id(record) not in held:
            held[id(record)] = (station, visit.begin())
        elif is_full:
            station.leave()  # it has asked itself anew, and that was seen
        return record

    @wraps(give_back)
    def give_back_seen(self: Any, record: Any) -> Any:
        one = held.pop(id(record), None)
        if one is not None:
            one[0].give_back(one[1])
        return give_back(self, record)

    cls._do_get = get_seen
    cls._do_return_conn = give_back_seen


def _station_of_queue(pool: Any) -> tuple[PoolStation | None, int]:
    """The station of a pool of SQLAlchemy, and its limit; None where there is no limit or name."""
    most = pool._max_overflow
    database = getattr(pool._dialect, "__dict__", {}).get(DATABASE) if most >= 0 else None
    if database is None:
        return None, 0
    limit: int = pool._pool.maxsize + most
    station = station_of(database.name)
    if limit > 0 and station.has(id(pool), limit):
        weakref.finalize(pool, station.lacks, id(pool))
    return (station, limit) if limit > 0 else (None, 0)
