"""A request to an ASGI app without a server, counted as the edge counts it."""

from __future__ import annotations

import asyncio
from typing import Any

from outgrow.telemetry import CallCounter


async def ask(
    app: Any, counter: CallCounter, path: str, method: str = "GET", root_path: str = ""
) -> int:
    """Ask an app once, count the answer, and return its status."""
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
        "root_path": root_path,
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 1),
        "scheme": "http",
        "http_version": "1.1",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "state": {},
    }
    status = 500
    messages: list[Any] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        if messages:
            return messages.pop()
        return await asyncio.Event().wait()

    async def send(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]

    await app(scope, receive, send)
    counter.ended(scope, method, status, 1_000_000)
    return status


def asked(app: Any, *paths: str, method: str = "GET", root_path: str = "") -> list[str]:
    """Routes that were counted when an app was asked for these paths, each as `GET /x 2`."""
    counter = CallCounter()

    async def ask_all() -> None:
        for path in paths:
            await ask(app, counter, path, method, root_path)

    asyncio.run(ask_all())
    return [f"{one.method} {one.route} {one.calls}" for one in counter.routes.values()]
