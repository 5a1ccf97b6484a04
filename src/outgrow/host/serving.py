"""Serves an ASGI app of our own on sockets that are given, within the loop that runs.

For the observer's page and API: no supervisor lends it sockets, and nothing is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

CONNECTIONS_MAX = 512
KEEP_ALIVE_SECONDS = 30
STOP_SECONDS = 1.0


class WebServer:
    """Serves one app until it is stopped; signals are left to others.

    Args:
        app: The ASGI app; it gets no lifespan.
        sockets: To listen on; they are closed with it.
        certificate: Chain in PEM, which turns TLS on.
        key: Its private key; None where the chain's file holds it.

    Raises:
        OSError: The certificate cannot be read, or is none.
    """

    def __init__(
        self,
        app: Any,
        sockets: Sequence[socket.socket],
        *,
        certificate: str | None = None,
        key: str | None = None,
    ) -> None:
        self._sockets = [*sockets]
        self._config = uvicorn.Config(
            app,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            ssl_certfile=certificate,
            ssl_keyfile=key,
        )
        self._config.load()
        self._server = uvicorn.Server(self._config)
        self._ticking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Accept connections from now on."""
        self._server.lifespan = self._config.lifespan_class(self._config)
        await self._server.startup(sockets=self._sockets)
        self._ticking = asyncio.create_task(self._server.main_loop())

    async def stop(self) -> None:
        """Accept no more, and cut off after a second what still runs, such as live streams."""
        if self._ticking is None:
            return
        self._ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._ticking
        self._ticking = None
        for listening in self._server.servers:
            listening.close()
        state = self._server.server_state
        for connection in list(state.connections):
            connection.shutdown()
        await self._tasks_end()
        for connection in list(state.connections):
            connection.transport.close()  # a stream hears that nobody listens any more, and ends
        await self._tasks_end()
        for task in list(state.tasks):
            task.cancel()
        await asyncio.sleep(0)  # what was cancelled cleans up

    async def _tasks_end(self) -> None:
        if tasks := self._server.server_state.tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS / 2)
