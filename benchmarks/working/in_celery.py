"""Celery: a pool of eight threads, 64 messages ahead, results ignored."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from celery import Celery  # pyright: ignore[reportMissingImports]

from . import Place, Send
from .ran import ran


def _made(place: Place) -> tuple[Any, Any]:
    app: Any = Celery("bench", broker=place.url)
    app.conf.update(
        task_ignore_result=True,
        worker_prefetch_multiplier=8,
        broker_connection_retry_on_startup=True,
    )

    @app.task(name="nothing")
    def nothing(number: int, sent_ns: int) -> None:
        ran(sent_ns)

    return app, nothing


@asynccontextmanager
async def sending(place: Place) -> AsyncGenerator[Send]:
    """Enqueue."""
    _, nothing = _made(place)
    yield lambda number, sent_ns: bool(nothing.delay(number, sent_ns))


def work(place: Place) -> None:
    """Run them."""
    app, _ = _made(place)
    quiet = ("--loglevel=ERROR", "--without-gossip", "--without-mingle", "--without-heartbeat")
    app.worker_main(["worker", "-P", "threads", "-c", "8", *quiet])
