"""A process that does durable work until it is killed, and says in a ledger what it did.

    python -m tests.contracts.working URL LEDGER NAME

The ledger lies outside the store: each line is written, in one call, before or after the step that
it names, so that what the store says later can be compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import sys
from pathlib import Path
from uuid import UUID

from outgrow.store import LeaseLostError, StoreLostError, durable_at
from outgrow.store.durable.ids import new_id
from outgrow.store.durable.protocol import DurableStore
from outgrow.store.durable.records import EventOutcome, JobOutcome, Lease, NewJob, Publication

TOPIC = "Counted"
ATTEMPTS_MAX = 1_000
KEYS = 3
PAUSE_SECONDS = 0.001
LOST_PAUSE_SECONDS = 0.05  # a server that recovers has better to do than to refuse


class Ledger:
    """A file to which lines are only added."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


class Worker:
    """All kinds of work on one store."""

    def __init__(self, store: DurableStore, ledger: Ledger, name: str) -> None:
        self.store, self.ledger, self.name = store, ledger, name
        self.lease = Lease(UUID(int=0), 0)

    async def register(self) -> None:
        self.lease = await self.store.crew.register(self.name)
        self.ledger.write("lease", self.lease.worker, self.lease.epoch)

    async def enqueue(self) -> None:
        jobs = [
            NewJob(id=new_id(), kind="count", attempts_max=ATTEMPTS_MAX, key="k", key_slots=slots)
            for slots in (2, None)
        ]
        await self.store.queue.enqueue(jobs)
        for one in jobs:
            self.ledger.write("kept", one.id)

    async def publish(self, number: int) -> None:
        """One after another, so that each key's numbers are published in their order."""
        key = f"{self.name}-{os.getpid()}-{number % KEYS}"
        event = Publication(id=new_id(), topic=TOPIC, body=b"%d" % number, key=key)
        await self.store.log.append([event])
        self.ledger.write("published", key, number)

    async def work(self) -> None:
        for one in await self.store.queue.claim(self.lease, "default", limit=5):
            self.ledger.write("ran", one.id, one.attempt)
            outcome = JobOutcome(id=one.id, attempt=one.attempt)
            (is_mine,) = await self.store.queue.settle(self.lease, [outcome])
            self.ledger.write("done" if is_mine else "refused", one.id, one.attempt)

    async def consume(self) -> None:
        lease = self.lease
        given = await self.store.log.take(lease, "count", limit=5)
        outcomes = [EventOutcome(position=one.position, attempt=one.attempt) for one in given]
        for one, outcome in zip(given, outcomes, strict=True):
            self.ledger.write("handled", one.event.key, one.event.body.decode(), one.attempt)
            # Each by itself, so that windows are left half done.
            if not (await self.store.log.settle(lease, "count", [outcome]))[0]:
                self.ledger.write("refused", one.event.key)
                return


async def run(url: str, ledger: Ledger, name: str) -> None:
    """Work for ever."""
    store = durable_at(url)
    await store.start()
    if url.startswith("sqlite"):  # whoever had it before is dead, or it would have it still
        for one in await store.crew.sightings():
            await store.crew.bury(one.lease)
    await store.log.subscribe("count", TOPIC, start="beginning", attempts_max=ATTEMPTS_MAX)
    worker = Worker(store, ledger, name)
    await worker.register()

    async def again(what: str) -> None:
        for number in itertools.count():
            try:
                await (worker.publish(number) if what == "publish" else getattr(worker, what)())
            except LeaseLostError:
                await worker.register()
            except StoreLostError as problem:
                ledger.write("lost", str(problem).splitlines()[0])
                if what == "publish":
                    return  # its number may be there or not; the next one would be out of order
                await asyncio.sleep(LOST_PAUSE_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS)

    await asyncio.gather(
        *(again(what) for what in ("enqueue", "publish", "work", "work", "consume"))
    )


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(sys.argv[1], Ledger(Path(sys.argv[2])), sys.argv[3]))
