"""Procrastinate: psycopg, 64 jobs at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from procrastinate import App, PsycopgConnector  # pyright: ignore[reportMissingImports]

from . import Place, Send
from .ran import ran


def _made(place: Place) -> tuple[Any, Any]:
    app: Any = App(connector=PsycopgConnector(conninfo=place.url))

    @app.task(name="nothing")
    async def nothing(number: int, sent_ns: int) -> None:
        ran(sent_ns)

    return app, nothing


@asynccontextmanager
async def sending(place: Place) -> AsyncGenerator[Send]:
    """Enqueue."""
    app, nothing = _made(place)
    async with app.open_async():
        with psycopg.connect(place.url) as connection:
            found = connection.execute("SELECT to_regclass('procrastinate_jobs')").fetchone()
        if found is None or found[0] is None:
            await app.schema_manager.apply_schema_async()
        yield lambda number, sent_ns: nothing.defer_async(number=number, sent_ns=sent_ns)


def work(place: Place) -> None:
    """Run them."""
    asyncio.run(_work(place))


async def _work(place: Place) -> None:
    app, _ = _made(place)
    async with app.open_async():
        await app.run_worker_async(concurrency=64, install_signal_handlers=False)
