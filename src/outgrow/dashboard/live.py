"""The object of this second, made once for all who listen, and only while somebody does."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from starlette.responses import StreamingResponse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

LISTENERS_MAX = 64
LIVE_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Live:
    """Makes the object while somebody listens, and sends it to them.

    Args:
        make: Makes it, as JSON; runs in a thread.
        seconds: Between two of them.

    Attributes:
        listeners_count: Those that listen now; at most 64.
    """

    def __init__(self, make: Callable[[], bytes], seconds: float = LIVE_SECONDS) -> None:
        self._make = make
        self._seconds = seconds
        self._maker: asyncio.Task[None] | None = None
        self._number = 0
        self._latest = b""
        self._turn = asyncio.Event()
        self.listeners_count = 0

    @property
    def is_full(self) -> bool:
        """Whether no more may listen."""
        return self.listeners_count >= LISTENERS_MAX

    def response(self) -> StreamingResponse:
        """What a listener is answered; it ends when the listener leaves."""
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return StreamingResponse(self._events(), media_type="text/event-stream", headers=headers)

    async def _events(self) -> AsyncIterator[bytes]:
        self.listeners_count += 1
        if self._maker is None:
            self._number = 0
            self._maker = asyncio.create_task(self._produce())
        try:
            yield b"retry: 2000\n\n"
            seen = 0
            while True:
                while self._number == seen:
                    await self._turn.wait()
                seen = self._number
                yield b"data: " + self._latest + b"\n\n"
        finally:
            self.listeners_count -= 1
            if not self.listeners_count:
                self._stop()

    def _stop(self) -> None:
        if self._maker is not None:
            self._maker.cancel()
            self._maker = None

    async def _produce(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            try:
                self._latest = await asyncio.to_thread(self._make)
            except Exception:
                # A second without an object, and the next one may have it.
                _log.exception("the live object could not be made")
            else:
                self._number += 1
                turn, self._turn = self._turn, asyncio.Event()
                turn.set()
            await asyncio.sleep(max(0.0, self._seconds - (loop.time() - begun)))
