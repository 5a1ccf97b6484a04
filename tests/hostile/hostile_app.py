"""The app behind the server under attack: it remembers every request that reached it."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PART = b"x" * 100_000
PARTS = 640
WAIT_SECONDS = 8.0
LATE_SECONDS = 1.5

reached: list[str] = []
notes: dict[str, list[Any]] = defaultdict(list)
noted: dict[str, asyncio.Event] = defaultdict(asyncio.Event)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Send a request to its route, and remember it."""
    if scope["type"] == "http":
        reached.append(f"{scope['method']} {scope['path']}")
        await ROUTES.get(scope["path"], echo)(scope, receive, send)
    elif scope["type"] == "websocket":
        await talk(scope, receive, send)
    else:
        raise ValueError(scope["type"])


async def answer(send: Send, value: Any) -> None:
    data = repr(value).encode()
    length = (b"content-length", str(len(data)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": data})


def note(scope: Scope, value: Any) -> None:
    key = scope["query_string"].decode()
    notes[key].append(value)
    noted[key].set()


async def read(receive: Receive) -> bytes | None:
    """The whole body; None where the client left."""
    data = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        data += message["body"]
        if not message["more_body"]:
            return data


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what came, and note it."""
    data = await read(receive)
    note(scope, data)
    headers = [(name, value) for name, value in scope["headers"] if name.startswith(b"x-")]
    await answer(send, (scope["method"], scope["path"], data, headers))


async def show_reached(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, reached)


async def show_notes(scope: Scope, receive: Receive, send: Send) -> None:
    """What was noted under a key, once there is something."""
    key = scope["query_string"].decode()
    await asyncio.wait_for(noted[key].wait(), WAIT_SECONDS)
    await answer(send, notes[key])


async def pid(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, os.getpid())


async def late(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the body only after a while, then echo its size."""
    await asyncio.sleep(LATE_SECONDS)
    data = await read(receive)
    await answer(send, None if data is None else len(data))


async def download(scope: Scope, receive: Receive, send: Send) -> None:
    """Send 64 MB; note how far it came."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    sent = 0
    watch = asyncio.ensure_future(disconnect(receive))
    try:
        for _ in range(PARTS):
            await send({"type": "http.response.body", "body": PART, "more_body": True})
            sent += 1
            if watch.done():
                break
        await send({"type": "http.response.body"})
    finally:
        watch.cancel()
        note(scope, sent)


async def disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def talk(scope: Scope, receive: Receive, send: Send) -> None:
    """Echo messages; on `flood`, send without end; note how it ended."""
    await receive()
    await send({"type": "websocket.accept"})
    try:
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text") == "flood":
                for _ in range(PARTS):
                    await send({"type": "websocket.send", "bytes": PART})
            await send({**message, "type": "websocket.send"})
        note(scope, message["code"])
    except OSError:
        note(scope, "gone")


ROUTES = {
    "/reached": show_reached,
    "/notes": show_notes,
    "/pid": pid,
    "/late": late,
    "/download": download,
}
