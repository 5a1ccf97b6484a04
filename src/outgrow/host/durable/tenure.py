"""A worker's right to hold work: had from the store, kept by signs of life, got anew when lost."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from outgrow.host.durable.ending import cancelled
from outgrow.store import DurableError

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from outgrow.store import DurableStore, Lease

BEAT_SECONDS = 2.0
_logger = logging.getLogger("outgrow.durable")


class Holder(Protocol):
    """Holds work by the worker's lease."""

    def cancel(self, ids: Collection[UUID]) -> None:
        """Somebody wants these jobs to stop."""
        ...

    def lose(self) -> None:
        """All that it holds was given to others."""
        ...


class Tenure:
    """The lease of one worker.

    Args:
        store: Which gives it.
        name: Of the worker, for people and for whoever looks whether it lives.

    Attributes:
        lease: The present one.
        holders: Who holds work by it.
    """

    lease: Lease

    def __init__(self, store: DurableStore, name: str) -> None:
        self._store = store
        self._name = name
        self.holders: list[Holder] = []
        self._renewing = asyncio.Lock()
        self._beating: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Get a lease, and keep it."""
        self.lease = await self._store.crew.register(self._name)
        self._beating = asyncio.create_task(self._beat(), name="outgrow-durable-beat")

    async def renew(self, lost: Lease) -> None:
        """Get another lease, as this one is lost; once, however many ask for it."""
        async with self._renewing:
            if self.lease != lost:
                return
            lease = await self._store.crew.register(self._name)
            _logger.warning(
                "this worker was taken for dead, as it stood still for longer than its lease; "
                "what it held was given to others"
            )
            for holder in self.holders:
                holder.lose()
            self.lease = lease

    async def stop(self) -> None:
        """Give the lease back, with all that is held by it."""
        if self._beating is None:
            return
        await cancelled(self._beating)
        self._beating = None
        try:
            await self._store.crew.leave(self.lease)
        except DurableError as problem:
            _logger.warning("the lease could not be given back: %s", problem)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            lease = self.lease
            try:
                pulse = await self._store.crew.beat(lease)
                if not pulse.is_alive:
                    await self.renew(lease)
                    continue
            except DurableError:
                continue  # the store is away; who needs it says so
            except Exception:
                _logger.exception("no sign of life could be given")
                continue
            for holder in self.holders:
                holder.cancel(pulse.cancelled)
