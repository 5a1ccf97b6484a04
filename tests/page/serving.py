"""The page with the shop's double behind it, served in a thread, at a moment that stands still."""

from __future__ import annotations

import asyncio
import datetime
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from outgrow.dashboard.app import api_app

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outgrow.dashboard.access import Access
    from outgrow.dashboard.routes import Answering

MOMENT = datetime.datetime(2026, 11, 24, 9, 42, 0, tzinfo=datetime.UTC)
START_SECONDS = 10.0


class Served(uvicorn.Server):
    """A server that says when it listens, and where."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()
        self.port = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup()
        self.port = self.servers[0].sockets[0].getsockname()[1]
        self.listening.set()


@contextmanager
def serving(known: Answering, access: Access | None = None) -> Iterator[str]:
    """Serve what is known; gives the address."""
    moment_ns = int(MOMENT.timestamp() * 1e9)
    app = api_app(known, version="0", access=access, clock_ns=lambda: moment_ns)
    config = uvicorn.Config(
        app, port=0, log_level="error", lifespan="off", timeout_graceful_shutdown=1
    )
    server = Served(config)
    thread = threading.Thread(target=asyncio.run, args=(server.serve(),))
    thread.start()
    try:
        assert server.listening.wait(START_SECONDS)
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
