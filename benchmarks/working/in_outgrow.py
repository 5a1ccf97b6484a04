"""Ours: one process that opens the store itself, as under any ASGI server or in a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from time import monotonic_ns

import uvloop

from outgrow import enqueue, job, service
from outgrow.host import Durable, DurableSource, Host, app_of
from outgrow.store import durable_at, wall_clock

from . import Place, Send
from .ran import ran

QUEUE = "empties"
# Where nobody tells it, PostgreSQL is asked as often as it is between processes.
IDLE_SECONDS = 0.25


@service
class Empties:
    """Does nothing."""

    @job
    async def nothing(self, number: int, sent_ns: int) -> None:
        ran(sent_ns)


@asynccontextmanager
async def _host(place: Place) -> AsyncGenerator[tuple[Host, Durable]]:
    url = place.url or f"sqlite:///{place.folder}/durable.db"
    source = DurableSource(
        lambda: Durable(durable_at(url), "bench", now_ms=wall_clock, idle_seconds=IDLE_SECONDS)
    )
    host = Host(app_of(Empties), source=source)
    await host.start()
    try:
        yield host, await source.get()
    finally:
        await host.stop()
        await source.close()


@asynccontextmanager
async def sending(place: Place) -> AsyncGenerator[Send]:
    """Enqueue; the queue rests, as the same process would run them."""
    async with _host(place) as (host, durable):
        await durable.store.queue.pause_queue(QUEUE, paused=True)
        empties = host.client(Empties)
        yield lambda number, sent_ns: enqueue(empties.nothing, number, sent_ns)


def work(place: Place) -> None:
    """Run them."""
    uvloop.run(_work(place))


def singles(place: Place, count: int, pause: float) -> None:
    """Enqueue one at a time, and run it, in one process."""
    uvloop.run(_singles(place, count, pause))


async def _singles(place: Place, count: int, pause: float) -> None:
    async with _host(place) as (host, _):
        empties = host.client(Empties)
        for number in range(count):
            await enqueue(empties.nothing, number, monotonic_ns())
            await asyncio.sleep(pause)
        await asyncio.Event().wait()


async def _work(place: Place) -> None:
    async with _host(place) as (_, durable):
        await durable.store.queue.pause_queue(QUEUE, paused=False)
        durable.hints.tell(*(one.hint for one in durable._runners))
        await asyncio.Event().wait()
