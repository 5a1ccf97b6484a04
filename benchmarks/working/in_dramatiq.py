"""Dramatiq: eight worker threads."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import dramatiq  # pyright: ignore[reportMissingImports]
from dramatiq.brokers.redis import RedisBroker  # pyright: ignore[reportMissingImports]

from . import Place, Send
from .ran import ran


def _made(place: Place) -> tuple[Any, Any]:
    broker: Any = RedisBroker(url=place.url)
    dramatiq.set_broker(broker)

    @dramatiq.actor(actor_name="nothing")
    def nothing(number: int, sent_ns: int) -> None:
        ran(sent_ns)

    return broker, nothing


@asynccontextmanager
async def sending(place: Place) -> AsyncGenerator[Send]:
    """Enqueue."""
    _, nothing = _made(place)
    yield lambda number, sent_ns: bool(nothing.send(number, sent_ns))


def work(place: Place) -> None:
    """Run them."""
    broker, _ = _made(place)
    dramatiq.Worker(broker, worker_threads=8).start()
    threading.Event().wait()
