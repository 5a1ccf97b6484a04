"""PgQueuer: asyncpg, batches of a hundred."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from pgqueuer import PgQueuer  # pyright: ignore[reportMissingImports]
from pgqueuer.db import AsyncpgDriver, AsyncpgPoolDriver  # pyright: ignore[reportMissingImports]
from pgqueuer.queries import Queries  # pyright: ignore[reportMissingImports]

from . import Place, Send
from .ran import ran

BATCH = 100


@asynccontextmanager
async def sending(place: Place) -> AsyncGenerator[Send]:
    """Enqueue."""
    pool: Any = await asyncpg.create_pool(place.url, min_size=4, max_size=8)
    queries = Queries(AsyncpgPoolDriver(pool))
    if not await pool.fetchval("SELECT to_regclass('pgqueuer')"):
        await queries.install()
    yield lambda number, sent_ns: queries.enqueue("nothing", b"%d" % sent_ns)
    await pool.close()


def work(place: Place) -> None:
    """Run them."""
    asyncio.run(_work(place))


async def _work(place: Place) -> None:
    connection: Any = await asyncpg.connect(place.url)
    queuer: Any = PgQueuer(AsyncpgDriver(connection))

    @queuer.entrypoint("nothing")
    async def nothing(one: Any) -> None:
        ran(int(one.payload))

    await queuer.run(batch_size=BATCH)
