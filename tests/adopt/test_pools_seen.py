"""Pools of connections that apps make are stations, with no changed line."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import create_async_engine

from outgrow.telemetry import StationTotals, watch_outside
from outgrow.telemetry.sql.pools import pool_stations
from tests.contracts.conftest import postgres_server, postgres_url  # noqa: F401

HELD_SECONDS = 0.02


pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    watch_outside(lambda: "edge")
    monkeypatch.setattr("outgrow.telemetry.sql.pools._stations", {})
    yield
    gc.collect()


async def lasts() -> None:
    """Hold what is held for a while."""
    await asyncio.wait({asyncio.get_running_loop().create_future()}, timeout=HELD_SECONDS)


def the_pool() -> StationTotals:
    (one,) = pool_stations()
    return one


def test_the_pool_of_a_sync_engine_is_seen(tmp_path: Path) -> None:
    engine = sqlalchemy.create_engine(
        f"sqlite:///{tmp_path}/shop.db", pool_size=1, max_overflow=1, pool_timeout=0.01
    )

    def use(_: int) -> None:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            threading.Event().wait(HELD_SECONDS)

    use(0)  # names the database
    with engine.connect(), engine.connect(), pytest.raises(PoolTimeoutError):
        engine.connect()
    told = the_pool()
    assert (told.name, told.kind, told.capacity) == ("pool sqlite:shop.db", "pool", 2)
    assert (told.served, told.rejected, told.queue_max) == (2, 1, 1)
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/shop.db", pool_size=1, max_overflow=1)
    use(0)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(use, range(4)))
    told = the_pool()
    assert told.served == 6
    assert told.wait_ns > HELD_SECONDS * 1e9
    assert told.hold_ns >= 4 * HELD_SECONDS * 1e9
    engine.dispose()


def test_the_pool_of_an_async_engine_is_seen(tmp_path: Path) -> None:
    async def run() -> StationTotals:
        engine = create_async_engine(
            f"sqlite+aiosqlite:///{tmp_path}/shop.db", pool_size=1, max_overflow=0
        )

        async def use() -> None:
            async with engine.connect() as connection:
                await connection.execute(text("SELECT 1"))
                await asyncio.wait(
                    {asyncio.get_running_loop().create_future()}, timeout=HELD_SECONDS
                )

        await use()
        await asyncio.gather(*(use() for _ in range(3)))
        told = the_pool()
        await engine.dispose()
        return told

    told = asyncio.run(run())
    assert (told.capacity, told.served, told.rejected) == (1, 3, 0)
    assert told.wait_ns >= 3 * HELD_SECONDS * 1e9
    assert told.busy_ns == told.hold_ns


def test_a_pool_without_a_limit_is_no_station(tmp_path: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/shop.db", pool_size=1, max_overflow=-1)
    for _ in range(2):
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    assert pool_stations() == []
    engine.dispose()


def test_a_pool_of_asyncpg_is_seen(postgres_url: str) -> None:  # noqa: F811
    async def run() -> tuple[StationTotals, StationTotals]:
        async with asyncpg.create_pool(postgres_url, min_size=1, max_size=1) as pool:

            async def use() -> None:
                async with pool.acquire() as connection:
                    await connection.fetchval("SELECT 1")
                    await asyncio.wait(
                        {asyncio.get_running_loop().create_future()}, timeout=HELD_SECONDS
                    )

            await asyncio.gather(*(use() for _ in range(3)))
            seen = the_pool()
        return seen, the_pool()

    told, closed = asyncio.run(run())
    assert closed.capacity < told.capacity
    assert told.name.startswith("pool postgresql://")
    assert (told.kind, told.capacity, told.served) == ("pool", 1, 3)
    assert told.wait_ns > 0
