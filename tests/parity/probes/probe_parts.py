"""What the probe's routes share: notes for the test to read, gates for it to open, answers."""

from __future__ import annotations

import asyncio
import enum
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Route = Callable[[Scope, Receive, Send], Awaitable[Any]]

WAIT_SECONDS = 8.0
tenant: ContextVar[str] = ContextVar("tenant", default="unset")
_notes: dict[str, list[Any]] = defaultdict(list)
_noted: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
_gates: dict[str, asyncio.Event] = defaultdict(asyncio.Event)


def query(scope: Scope) -> dict[str, str]:
    """The query string as a dictionary."""
    return dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))


def key(scope: Scope) -> str:
    """The name under which a test speaks with this request."""
    return query(scope).get("key", "")


def note(name: str, value: Any) -> None:
    """Keep a value for the test."""
    _notes[name].append(value)
    _noted[name].set()


async def notes(name: str, count: int) -> list[Any]:
    """The values noted under a name, once there are so many, or what is there after a while."""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            while len(_notes[name]) < count:
                _noted[name].clear()
                await _noted[name].wait()
    except TimeoutError:
        pass
    return _notes[name]


async def gate(name: str) -> None:
    """Wait until the test opens the gate."""
    await asyncio.wait_for(_gates[name].wait(), WAIT_SECONDS)


def open_gate(name: str) -> None:
    """Let those go on who wait at the gate."""
    _gates[name].set()


async def gate_file(path: str) -> None:
    """Wait until a file exists: a gate that opens when no request can come any more."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not Path(path).exists():
            await asyncio.sleep(0.02)


def record(text: str) -> None:
    """Append a line to a file that outlives the process."""
    if path := os.environ.get("PROBE_RECORD"):
        with Path(path).open("a") as file:
            file.write(text + "\n")


def plain(value: Any) -> Any:
    """The value, with whatever is no literal replaced by its type's name."""
    if isinstance(value, dict):
        return {plain(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(plain(each) for each in value)
    if isinstance(value, enum.Enum):
        return plain(value.value)
    literal = value is None or isinstance(value, str | bytes | int | float)
    return value if literal else type(value).__name__


def start(status: int = 200, *headers: tuple[bytes, bytes]) -> Message:
    """The first message of a response."""
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def body(data: bytes = b"", *, more: bool = False) -> Message:
    """A further message of a response."""
    return {"type": "http.response.body", "body": data, "more_body": more}


async def answer(send: Send, value: Any, status: int = 200) -> None:
    """A whole response: the value's literal."""
    data = repr(plain(value)).encode()
    await send(start(status, (b"content-length", str(len(data)).encode())))
    await send(body(data))


async def read(receive: Receive) -> bytes:
    """The whole body of the request."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        parts.append(message["body"])
        if not message["more_body"]:
            return b"".join(parts)
