"""What somebody has to do for a store from time to time: wake, bury and forget."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from outgrow.host.durable.ending import cancelled
from outgrow.host.durable.hints import ALL
from outgrow.host.durable.names import is_gone
from outgrow.store import DeathWatch, DurableError

if TYPE_CHECKING:
    from outgrow.host.durable.hints import Hints
    from outgrow.store import DurableStore

SWEEP_SECONDS = 1.0
LOOK_SECONDS = 5.0
PRUNE_SECONDS = 60.0
# As long as ids of handled messages are kept in the inbox.
KEEP_MS = 30 * 86_400_000
_logger = logging.getLogger("outgrow.durable")


class Care:
    """Cares for a store; any number of processes may, at the same time.

    Args:
        store: The store.
        hints: Told when something may start.
    """

    def __init__(self, store: DurableStore, hints: Hints) -> None:
        self._store = store
        self._hints = hints
        self._watch = DeathWatch(look_seconds=LOOK_SECONDS)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Care from now on."""
        self._task = asyncio.create_task(self._run(), name="outgrow-durable-care")

    async def stop(self) -> None:
        """Care no more."""
        await cancelled(self._task)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        look_at = prune_at = loop.time()
        while True:
            try:
                await self.turn()
                if loop.time() >= look_at:
                    look_at = loop.time() + LOOK_SECONDS
                    await self._look()
                if loop.time() >= prune_at:
                    prune_at = loop.time() + PRUNE_SECONDS
                    await self._store.prune(keep_ms=KEEP_MS)
            except DurableError as problem:
                _logger.debug("the store cannot be cared for: %s", problem)
            except Exception:  # without care nothing late would start again
                _logger.exception("the store cannot be cared for")
            await asyncio.sleep(SWEEP_SECONDS)

    async def turn(self) -> None:
        """Let start whose time has come, and bury those whose process is gone."""
        if await self._store.sweep():
            self._hints.tell(ALL)
        for one in await self._store.crew.sightings():
            if is_gone(one.name):
                await self._store.crew.bury(one.lease)
                self._hints.tell(ALL)

    async def _look(self) -> None:
        for one in self._watch.look(await self._store.crew.sightings(), time.monotonic()):
            if await self._store.crew.bury(one.lease, one.beat):
                _logger.warning("%s gave no sign of life; its work is given to others", one.name)
                self._hints.tell(ALL)
