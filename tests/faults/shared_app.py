"""A plain app that writes each order down in the file SHARED_FILE, as other apps do as well."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import closing
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

FILE = os.environ["SHARED_FILE"]

with closing(sqlite3.connect(FILE, timeout=10)) as _first:
    _first.execute("CREATE TABLE IF NOT EXISTS orders (id TEXT)")


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Write an order down."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    id = (await receive())["body"].decode()
    with closing(sqlite3.connect(FILE, timeout=10)) as connection, connection:
        connection.execute("INSERT INTO orders VALUES (?)", (id,))
    body = json.dumps({"id": id, "pid": os.getpid(), "version": "1"}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
