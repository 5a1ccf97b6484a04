"""Services that call one another very often, so that many calls are made in a few requests.

`POST /record` makes one call of Desk, that makes NEAR of Scale in its own process and FAR of Shelf
in another worker, of which one in ten fails.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from outgrow import client, deadline, operation, service

NEAR, FAR = 100, 20
FAILING_ONE_IN = 10
CALL_SECONDS = 14.0

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@service
class Scale:
    """Runs where Desk runs."""

    @operation
    async def weigh(self, number: int) -> int:
        """The number again, unless it is one of those that fail."""
        return _checked(number)


@service
class Shelf:
    """Runs in a group of its own."""

    @operation
    async def take(self, number: int) -> int:
        """The number again, unless it is one of those that fail."""
        return _checked(number)


@service
class Desk:
    """Calls both."""

    scale: Scale
    shelf: Shelf

    @operation
    async def order(self) -> tuple[int, int]:
        """How many calls failed, near and far."""
        near = [await _failed(self.scale.weigh(number)) for number in range(NEAR)]
        far = await asyncio.gather(*(_failed(self.shelf.take(number)) for number in range(FAR)))
        return sum(near), sum(far)


desk = client(Desk)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Place an order, and answer with who did once all its calls have ended as they have to."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    id = (await receive())["body"].decode()
    with deadline(CALL_SECONDS):
        failed = await desk.order()
    is_right = failed == (NEAR // FAILING_ONE_IN, FAR // FAILING_ONE_IN)
    body = json.dumps({"id": id, "pid": os.getpid(), "version": "1"}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    status = 200 if is_right else 500
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _checked(number: int) -> int:
    if number % FAILING_ONE_IN == 0:
        raise LookupError(f"{number} is not there")
    return number


async def _failed(call: Awaitable[int]) -> bool:
    try:
        await call
    except LookupError:
        return True
    return False
