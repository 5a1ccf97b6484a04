"""An observer's API in a folder, answered by a made-up shop."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from outgrow.dashboard.app import api_app
from outgrow.host import WebServer
from outgrow.placement import API_NAME
from tests.unit.dashboard.shop import ShopAnswers


@contextmanager
def shop_observed(folder: Path) -> Iterator[None]:
    """Answer in this folder while the block runs."""
    folder.mkdir(exist_ok=True)
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(folder / API_NAME))
    sock.listen()
    is_up = threading.Event()
    done: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def answer() -> None:
        stopped = asyncio.Event()
        done.append((asyncio.get_running_loop(), stopped))
        server = WebServer(api_app(ShopAnswers(), version="0"), [sock])
        await server.start()
        is_up.set()
        await stopped.wait()
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(answer()))
    thread.start()
    assert is_up.wait(10)
    try:
        yield
    finally:
        loop, stopped = done[0]
        loop.call_soon_threadsafe(stopped.set)
        thread.join(10)
        sock.close()
