"""How values stand in the columns of PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outgrow.store.durable.errors import LeaseLostError
from outgrow.store.durable.records import Lease

if TYPE_CHECKING:
    from uuid import UUID

Row = Any
"""A record of asyncpg, which has no types of its own."""


def lease_in(worker: UUID | None, epoch: int | None) -> Lease | None:
    """The lease that two columns name."""
    return None if worker is None or epoch is None else Lease(worker, epoch)


def no_lease(lease: Lease) -> LeaseLostError:
    """The error for a worker that was buried."""
    return LeaseLostError(f"the worker {lease.worker} has no lease {lease.epoch} any more")


def changed(status: str) -> int:
    """How many rows a command changed, by what it says of itself: `UPDATE 3`."""
    return int(status.rpartition(" ")[2])
