"""Three services and an edge that write down what they did, to be split over several groups.

`POST /record` places an order: Orders asks Stock, which writes the id into `handled-PID.log` before
it answers with its process id. Where the answer was lost, the edge says what the error told: -1 for
a call that may have run, -2 for one that did not.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from outgrow import UnavailableError, client, deadline, on_stop, operation, service

MAY_HAVE_RUN, DID_NOT_RUN = -1, -2

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@service
class Stock:
    """Writes down what it was asked for."""

    @operation
    async def take(self, id: str) -> int:
        """Note an id; returns the process that did."""
        _write(f"handled-{os.getpid()}.log", id)
        return os.getpid()

    @operation(idempotent=True)
    async def where(self) -> int:
        """The process that runs this."""
        return os.getpid()

    @operation
    async def count(self, until: int) -> AsyncIterator[int]:
        """Numbers up to a number."""
        for number in range(until):
            yield number

    @on_stop
    async def note_stop(self) -> None:
        """Write down that it was stopped properly."""
        _write("stops.log", f"stock {os.getpid()}")


@service
class Orders:
    """Asks Stock."""

    stock: Stock

    @operation
    async def place(self, id: str) -> int:
        """Take from stock; returns the process that stock ran in."""
        return await self.stock.take(id)

    @operation(idempotent=True)
    async def where(self) -> dict[str, int]:
        """The processes of this service and of those it needs."""
        return {"orders": os.getpid(), "stock": await self.stock.where()}


@service
class Letters:
    """A service that no other calls."""

    @operation(idempotent=True)
    async def where(self) -> int:
        """The process that runs this."""
        return os.getpid()


orders, letters, stock = client(Orders), client(Letters), client(Stock)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve the routes below."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["path"] == "/where":
        with deadline(1.0):
            found = {**await orders.where(), "letters": await letters.where()}
        await _answer(send, {"edge": os.getpid(), **found})
    elif scope["path"] == "/count":
        await _answer(send, {"sum": sum([number async for number in stock.count(5000)])})
    else:
        id = (await _body(receive)).decode()
        try:
            pid = await orders.place(id)
        except UnavailableError as lost:
            pid = MAY_HAVE_RUN if lost.may_have_run else DID_NOT_RUN
            _write("lost.log", f"{id} {os.getpid()} {lost.text}")
        await _answer(send, {"id": id, "pid": pid, "version": os.environ.get("VERSION", "1")})


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _answer(send: Send, value: Mapping[str, object]) -> None:
    body = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _write(name: str, line: str) -> None:
    # One write in append mode: whole lines even when the process is killed right after.
    path = Path(os.environ["LEDGER_FOLDER"], name)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)
