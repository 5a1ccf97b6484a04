"""Arq: 64 jobs at once, looked for every 50 ms, no results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from arq import create_pool  # pyright: ignore[reportMissingImports]
from arq.connections import RedisSettings  # pyright: ignore[reportMissingImports]
from arq.worker import Worker  # pyright: ignore[reportMissingImports]

from . import Place, Send
from .ran import ran


async def nothing(_: dict[Any, Any], number: int, sent_ns: int) -> None:
    """The job."""
    ran(sent_ns)


@asynccontextmanager
async def sending(place: Place) -> AsyncGenerator[Send]:
    """Enqueue."""
    pool: Any = await create_pool(RedisSettings.from_dsn(place.url))
    yield lambda number, sent_ns: pool.enqueue_job("nothing", number, sent_ns)
    await pool.aclose()


def work(place: Place) -> None:
    """Run them."""
    asyncio.run(_work(place))


async def _work(place: Place) -> None:
    settings = RedisSettings.from_dsn(place.url)
    functions: list[Any] = [nothing]
    await Worker(
        functions, redis_settings=settings, max_jobs=64, poll_delay=0.05, keep_result=0
    ).async_run()
