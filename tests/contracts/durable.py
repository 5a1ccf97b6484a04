"""What the suites of durable work share: a store with a clock that is set by hand."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID

from outgrow.host.durable.hints import Hints
from outgrow.host.durable.keeper import KeeperHints, keeping
from outgrow.host.durable.kept import KeptStore
from outgrow.store import durable_at
from outgrow.store.durable.ids import new_id
from outgrow.store.durable.protocol import DurableStore
from outgrow.store.durable.records import (
    ClaimedJob,
    Delivery,
    EventOutcome,
    Failure,
    JobOutcome,
    Lease,
    NewJob,
    Publication,
)

HOUR_MS = 3_600_000
START_MS = 1_780_000_000_000
BROKEN = Failure(type="ValueError", text="no", fingerprint="broken")


class HandClock:
    """A clock that moves when it is told to."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def move(self, by_ms: int) -> None:
        self.now_ms += by_ms


@asynccontextmanager
async def opened(url: str, clock: HandClock | None = None) -> AsyncIterator[DurableStore]:
    """The store at this URL, open for as long as the block."""
    if url.startswith("keeper"):
        async with opened_by_keeper(url.replace("keeper", "sqlite", 1), clock) as kept:
            yield kept
        return
    store = durable_at(url, clock=clock or HandClock())
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


@asynccontextmanager
async def opened_by_keeper(url: str, clock: HandClock | None) -> AsyncIterator[DurableStore]:
    """The store as a keeper has it, over a socket."""
    hints = KeeperHints()
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"unix:{folder}/keeper.sock"
        async with opened(url, clock) as store, keeping(store, hints, meeting):
            kept = KeptStore(meeting, "worker", Hints())
            await kept.start()
            try:
                yield cast("DurableStore", kept)  # it has its methods from the protocol
            finally:
                await kept.stop()


@asynccontextmanager
async def opened_beside(
    url: str, store: DurableStore, clock: HandClock | None = None
) -> AsyncIterator[DurableStore]:
    """The store as a second process has it, where an engine lets more than one have it open."""
    if not url.startswith("postgresql"):
        yield store
        return
    async with opened(url, clock) as other:
        yield other


def job(kind: str = "mail.send", **fields: Any) -> NewJob:
    """A new job with an id of its own."""
    return NewJob(id=new_id(), kind=kind, **fields)


def event(key: str | None = None, topic: str = "OrderPlaced", **fields: Any) -> Publication:
    """A new event with an id of its own."""
    return Publication(id=new_id(), topic=topic, key=key, **{"body": b"", **fields})


def done(*given: ClaimedJob) -> list[JobOutcome]:
    """That these jobs succeeded."""
    return [JobOutcome(id=one.id, attempt=one.attempt) for one in given]


def failed(one: ClaimedJob, retry_after_ms: int | None = 0) -> list[JobOutcome]:
    """That this job failed."""
    outcome = JobOutcome(
        id=one.id,
        attempt=one.attempt,
        how="failed",
        failure=BROKEN,
        retry_after_ms=retry_after_ms,
    )
    return [outcome]


def handled(given: Iterable[Delivery]) -> list[EventOutcome]:
    """That these events were handled."""
    return [EventOutcome(position=one.position, attempt=one.attempt) for one in given]


def unhandled(one: Delivery, retry_after_ms: int | None = 0) -> list[EventOutcome]:
    """That this event could not be handled."""
    outcome = EventOutcome(
        position=one.position,
        attempt=one.attempt,
        how="failed",
        failure=BROKEN,
        retry_after_ms=retry_after_ms,
    )
    return [outcome]


def bodies(given: Iterable[Delivery]) -> list[bytes]:
    """What the events say."""
    return [one.event.body for one in given]


async def claim_one(store: DurableStore, lease: Lease, queue: str = "default") -> ClaimedJob:
    """The one job that can start."""
    (one,) = await store.queue.claim(lease, queue, limit=10)
    return one


async def claimed_ids(store: DurableStore, lease: Lease, limit: int = 100) -> list[UUID]:
    """The ids of the jobs that can start."""
    return [one.id for one in await store.queue.claim(lease, "default", limit=limit)]
