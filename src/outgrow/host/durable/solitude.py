"""What ended its worker before is begun alone, so that it takes no other work along again.

Nobody can tell which of the jobs that ran in a dead worker was the one that killed it. So each of
them is a suspect at its next attempt, and is watched by itself for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

ALONE_SECONDS = 10.0


class Solitude:
    """Lets work of one process run side by side, or one piece of it alone.

    Args:
        seconds: How long a suspect waits for others to end, and how long others then wait for it;
            `ALONE_SECONDS` where None.
    """

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = ALONE_SECONDS if seconds is None else seconds
        self._running = 0
        self._open = asyncio.Event()
        self._open.set()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._suspect = asyncio.Lock()

    async def ended(self) -> None:
        """Wait until nothing runs alone, or is watched no more."""
        while not self._open.is_set():
            await self._open.wait()

    @contextlib.asynccontextmanager
    async def beside(self) -> AsyncGenerator[None]:
        """Run beside others, as soon as no suspect is watched."""
        await self.ended()
        self._running += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._quiet.set()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncGenerator[None]:
        """Run alone, at first; what takes longer is no longer waited for."""
        await self._suspect.acquire()
        self._open.clear()
        is_over = False

        def let_go() -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                self._open.set()
                self._suspect.release()

        timer: asyncio.TimerHandle | None = None
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._quiet.wait()
            timer = asyncio.get_running_loop().call_later(self._seconds, let_go)
            yield
        finally:
            if timer is not None:
                timer.cancel()
            let_go()
