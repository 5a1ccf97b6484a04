"""The outbox of one database, and the task that moves what stands in it.

A service that only publishes opens neither tables nor store before it does so for the first time,
unless something was left in its outbox by an earlier run.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from outgrow.host.durable.ending import cancelled
from outgrow.host.durable.forms import publication_of
from outgrow.store import DurableError, Mover, wall_clock

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.host.durable.source import DurableSource
    from outgrow.store import Database, NewJob, Publication

MOVE_SECONDS = 1.0
FORGET_SECONDS = 3_600.0
_logger = logging.getLogger("outgrow.durable")


class DatabaseOutbox:
    """What transactions of one database publish and enqueue.

    Args:
        database: Of a service, started.
        source: Of the durable work that takes it.

    Attributes:
        has_tables: Whether the tables of outbox and inbox are known to be there.
    """

    def __init__(self, database: Database, source: DurableSource) -> None:
        self.has_tables = False
        self._database = database
        self._source = source
        self._mover = Mover(database, self)
        self._written = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def attach(self, *, is_needed: bool) -> None:
        """Take from now on what is published.

        Args:
            is_needed: Whether the tables must be there at once, as messages are handled here.
        """
        if is_needed:
            await self._mover.prepare()
            self.has_tables = True
        self._database.outbox = self
        if is_needed or await self._mover.has_waiting():
            self._start()

    async def stop(self) -> None:
        """Move no more; what stands there is moved by the next who starts."""
        self._database.outbox = None
        await cancelled(self._task)

    # For the transactions.

    def publication(self, event: object) -> Publication:
        """An event on its way into the log."""
        return publication_of(event)

    async def committed(self) -> None:
        """Something stands in the outbox now."""
        self.has_tables = True
        if self._source.moves_at_once:
            await self._mover.move()
        self._start()
        self._written.set()

    # For the mover.

    async def append(self, events: Sequence[Publication]) -> object:
        """Have events kept."""
        return await (await self._source.get()).append(events)

    async def enqueue(self, jobs: Sequence[NewJob]) -> object:
        """Have jobs kept."""
        return await (await self._source.get()).enqueue(jobs)

    def _start(self) -> None:
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="outgrow-durable-outbox")

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        forget_at = loop.time() + FORGET_SECONDS
        is_away = False
        while True:
            try:
                while await self._mover.move():
                    pass
                if loop.time() >= forget_at:
                    forget_at = loop.time() + FORGET_SECONDS
                    await self._mover.forget_handled(wall_clock())
                is_away = False
            except Exception as problem:
                if not is_away:
                    _logger.warning(
                        "what %r has published waits in its outbox: %s", self._database, problem
                    )
                if not isinstance(problem, DurableError):
                    _logger.debug("the outbox could not be moved", exc_info=True)
                is_away = True
            await self._wait()

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._written.wait(), MOVE_SECONDS)
        except TimeoutError:
            return
        self._written.clear()
