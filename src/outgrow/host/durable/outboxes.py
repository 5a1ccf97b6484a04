"""The outbox of one service's database, and who moves what stands in it.

A service that only publishes opens neither tables nor store before it does so for the first time,
unless something was left in its outbox by an earlier run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.host.durable.carriers import scope_here
from outgrow.host.durable.forms import publication_of
from outgrow.host.durable.relays import Relay
from outgrow.store import Mover

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.host.durable.source import DurableSource
    from outgrow.store import Database, NewJob, Publication


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
        self._relay = Relay(self._mover, repr(database))

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
            self._relay.start()

    async def stop(self) -> None:
        """Move no more; what stands there is moved by the next who starts."""
        self._database.outbox = None
        await self._relay.stop()

    # For the transactions.

    def scope(self) -> str:
        """In what this code runs."""
        return scope_here()

    def publication(self, event: object) -> Publication:
        """An event on its way into the log."""
        return publication_of(event)

    async def committed(self) -> None:
        """Something stands in the outbox now."""
        self.has_tables = True
        if self._source.moves_at_once:
            await self._mover.move()
        self._relay.wake()

    # For the mover.

    async def append(self, events: Sequence[Publication]) -> object:
        """Have events kept."""
        return await (await self._source.get()).append(events)

    async def enqueue(self, jobs: Sequence[NewJob]) -> object:
        """Have jobs kept."""
        return await (await self._source.get()).enqueue(jobs)
