"""Huey: one worker thread, which looks every 20 ms."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from huey import RedisHuey, SqliteHuey  # pyright: ignore[reportMissingImports]

from . import Place, Send
from .ran import ran


def _made(place: Place) -> tuple[Any, Any]:
    if place.url:
        huey: Any = RedisHuey("bench", url=place.url, results=False, immediate=False)
    else:
        huey = SqliteHuey("bench", filename=f"{place.folder}/huey.db", results=False, fsync=True)

    @huey.task()
    def nothing(number: int, sent_ns: int) -> None:
        ran(sent_ns)

    return huey, nothing


@asynccontextmanager
async def sending(place: Place) -> AsyncGenerator[Send]:
    """Enqueue."""
    _, nothing = _made(place)
    yield lambda number, sent_ns: bool(nothing(number, sent_ns))


def work(place: Place) -> None:
    """Run them."""
    huey, _ = _made(place)
    huey.create_consumer(
        workers=1, periodic=False, initial_delay=0.02, backoff=1.0, max_delay=0.02
    ).run()
