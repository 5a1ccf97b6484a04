"""A plain ASGI app that writes down what it did, so that an outsider can compare.

Each worker appends the ids it has handled to `handled-PID.log` in LEDGER_FOLDER, and each start to
`starts.log`. The file `startup` in that folder tells the lifespan how to behave: `fail`, `exit`,
`hang`, or a number of seconds to take; empty or absent means start at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

VERSION = "1"
"""What the answers say about the code that made them; a test's main.py overwrites it."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_folder = Path(os.environ["LEDGER_FOLDER"])
_lock = threading.Lock()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve the routes below, echo WebSockets, and start as the `startup` file says."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "websocket":
        await _echo(receive, send)
    else:
        query = {key: values[0] for key, values in parse_qs(scope["query_string"].decode()).items()}
        await _ROUTES.get(scope["path"], answer_pid)(scope, query, receive, send)


async def record_work(scope: Scope, query: dict[str, str], receive: Receive, send: Send) -> None:
    """Write the id in the body down before answering with it."""
    body = await _body(receive)
    _write(f"handled-{os.getpid()}.log", f"{body.decode()} {scope['client'][1]}")
    if "seconds" in query:
        await asyncio.sleep(float(query["seconds"]))
    await _answer(send, {"id": body.decode(), "pid": os.getpid(), "version": VERSION})


async def answer_pid(_: Scope, query: dict[str, str], receive: Receive, send: Send) -> None:
    """Answer with this process's id, after `seconds` if asked."""
    await asyncio.sleep(float(query.get("seconds", "0")))
    await _answer(send, {"pid": os.getpid(), "version": VERSION})


async def exit_at_once(*_: object) -> None:
    """End the process without a word, as a crash in an extension module would."""
    os._exit(9)


async def block_the_loop_for_ever(*_: object) -> None:
    """Hold the loop's thread in a sleep that never ends."""
    while True:
        time.sleep(3600)  # noqa: ASYNC251


async def wait_for_a_lock_nobody_releases(*_: object) -> None:
    """Take a lock that is not re-entrant twice on the loop's thread."""
    with _lock:
        _lock.acquire()


async def match_a_pattern_that_never_ends(*_: object) -> None:
    """Backtrack for hours inside the regex engine, which keeps the GIL all the while."""
    re.match(r"(a|a)*$", "a" * 60 + "b")


async def stream_ticks(_: Scope, query: dict[str, str], receive: Receive, send: Send) -> None:
    """Send the process id every 50 ms until the server cancels or the client leaves."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        body = f"{os.getpid()}\n".encode()
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await asyncio.sleep(0.05)


async def flood_the_log(_: Scope, query: dict[str, str], receive: Receive, send: Send) -> None:
    """Print `megabytes` of lines as fast as the pipe takes them, from a thread."""
    line = "flood " + "x" * 1017 + "\n"
    count = int(query["megabytes"]) * 1024

    def print_lines() -> None:
        for _ in range(count):
            sys.stdout.write(line)
        sys.stdout.flush()

    await asyncio.to_thread(print_lines)
    await _answer(send, {"pid": os.getpid(), "lines": count})


async def leave_an_orphan(_: Scope, query: dict[str, str], receive: Receive, send: Send) -> None:
    """Start a shell that leaves a sleeping child behind and ends before it."""
    child = subprocess.run(  # noqa: ASYNC221
        ["/bin/sh", "-c", "sleep 0.3 >/dev/null 2>&1 & echo $!"],
        capture_output=True,
        text=True,
        check=True,
    )
    await _answer(send, {"pid": os.getpid(), "orphan": int(child.stdout)})


async def raise_an_error(*_: object) -> None:
    """Fail the way a bug does."""
    raise RuntimeError("raised on purpose")


_ROUTES: dict[str, Callable[..., Awaitable[None]]] = {
    "/record": record_work,
    "/die": exit_at_once,
    "/block": block_the_loop_for_ever,
    "/lock": wait_for_a_lock_nobody_releases,
    "/regex": match_a_pattern_that_never_ends,
    "/stream": stream_ticks,
    "/flood": flood_the_log,
    "/orphan": leave_an_orphan,
    "/raise": raise_an_error,
}


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    _write("starts.log", f"{os.getpid()} {time.time()}")
    if not await _starts_as_told():
        # What a framework makes of an exception in its lifespan; a bare one means "no lifespan".
        text = "the app refuses to start"
        await send({"type": "lifespan.startup.failed", "message": text})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    _write("stops.log", f"{os.getpid()} {time.time()}")
    await send({"type": "lifespan.shutdown.complete"})


async def _starts_as_told() -> bool:
    path = _folder / "startup"
    mode = path.read_text().strip() if path.exists() else ""
    if mode == "fail":
        return False
    if mode == "exit":
        os._exit(7)
    await asyncio.sleep(3600 if mode == "hang" else float(mode or 0))
    return True


async def _echo(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": str(os.getpid())})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text") or ""})
    _write("closed.log", f"{os.getpid()} {message.get('code')}")


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _answer(send: Send, value: dict[str, object]) -> None:
    body = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _write(name: str, line: str) -> None:
    # One write in append mode: whole lines even when the process is killed right after.
    descriptor = os.open(_folder / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)
