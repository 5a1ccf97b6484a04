"""RQ: a `SimpleWorker`, which forks for no job; no results."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from redis import Redis
from rq import Queue, SimpleWorker  # pyright: ignore[reportMissingImports]

from . import Place, Send
from .ran import ran


def nothing(number: int, sent_ns: int) -> None:
    """The job."""
    ran(sent_ns)


@asynccontextmanager
async def sending(place: Place) -> AsyncGenerator[Send]:
    """Enqueue."""
    queue: Any = Queue(connection=Redis.from_url(place.url))
    yield lambda number, sent_ns: bool(
        queue.enqueue(nothing, number, sent_ns, result_ttl=0, failure_ttl=0)
    )


def work(place: Place) -> None:
    """Run them."""
    connection = Redis.from_url(place.url)
    SimpleWorker([Queue(connection=connection)], connection=connection).work(logging_level="ERROR")
