"""Taskiq: a list of Redis, 64 tasks at once, no results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from taskiq.api import run_receiver_task  # pyright: ignore[reportMissingImports]
from taskiq_redis import ListQueueBroker  # pyright: ignore[reportMissingImports]

from . import Place, Send
from .ran import ran


def _made(place: Place) -> tuple[Any, Any]:
    broker: Any = ListQueueBroker(place.url)

    @broker.task(task_name="nothing")
    async def nothing(number: int, sent_ns: int) -> None:
        ran(sent_ns)

    return broker, nothing


@asynccontextmanager
async def sending(place: Place) -> AsyncGenerator[Send]:
    """Enqueue."""
    broker, nothing = _made(place)
    await broker.startup()
    yield nothing.kiq
    await broker.shutdown()


def work(place: Place) -> None:
    """Run them."""
    broker, _ = _made(place)
    asyncio.run(run_receiver_task(broker, max_async_tasks=64, run_startup=True))
