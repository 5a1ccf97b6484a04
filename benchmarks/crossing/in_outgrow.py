"""Ours: a service here and its client there, with all that a call is given between workers."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, nullcontext

from outgrow import deadline, operation, service
from outgrow.host import Host
from outgrow.host.remote import remote_client
from outgrow.model import App, describe
from outgrow.telemetry import LinkBook
from outgrow.wire import AnsweringConnection, CallingConnection, Meeting, Peers, listen

from . import Place, Ways
from .record import CHUNK, RECORD, Record

REQUEST_SECONDS = 600.0


@service
class Records:
    """Gives back what it is given."""

    @operation
    async def record(self, record: Record) -> Record:
        return record

    @operation
    async def blob(self, body: bytes) -> bytes:
        return body

    @operation
    async def records(self) -> AsyncIterator[Record]:
        while True:
            yield RECORD

    @operation
    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            yield CHUNK


async def serve(place: Place) -> None:
    """Answer."""
    host = Host(App(services=[Records]))
    await host.start()
    answerers = host.answerers()
    await listen(_meeting(place), lambda: AnsweringConnection(answerers, name="records/1"))
    print("ready", flush=True)
    await asyncio.Event().wait()


@asynccontextmanager
async def asking(place: Place) -> AsyncGenerator[Ways]:
    """Call."""
    peers = Peers(
        lambda changed: CallingConnection(["Orders.place"], name="front/1", on_change=changed),
        random.Random(1),
    )
    peers.update({"records": [_meeting(place)]})
    records: Records = remote_client(describe(Records), peers, LinkBook())

    async def items() -> AsyncGenerator[object]:
        async with aclosing(records.records()) as stream:  # type: ignore[type-var]
            async for item in stream:
                yield item

    async def chunks() -> AsyncGenerator[object]:
        async with aclosing(records.chunks()) as stream:  # type: ignore[type-var]
            async for item in stream:
                yield item

    yield Ways(
        record=lambda: records.record(RECORD),
        blob=records.blob,
        records=items,
        chunks=chunks,
        # As within a request or an operation; each call outside of all begins one of its own.
        around=nullcontext if place.variant == "outermost" else lambda: deadline(REQUEST_SECONDS),
    )
    await peers.close()


def _meeting(place: Place) -> Meeting:
    if place.variant == "tcp":
        return Meeting("tcp", host="127.0.0.1", port=place.port)
    return Meeting("unix", path=str(place.folder / "records.sock"))
