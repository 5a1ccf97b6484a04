"""What tests of moves share: work of all kinds, and all that can be seen of it."""

from __future__ import annotations

import asyncio
import random
import sys
from typing import Any

from outgrow.store import DurableStore, EventOutcome, JobOutcome, move_store
from outgrow.store.durable.records import Publication, QueueLimits, Rate
from tests.contracts.durable import BROKEN, HOUR_MS, done, event, failed, handled, job, unhandled

SUBSCRIPTIONS = ("mail", "books")
ENDED_FOREVER = ("done", "cancelled", "expired", "dead")
STATES = ("ready", "held", "later", *ENDED_FOREVER)


def gone(_: str) -> bool:
    """No worker is left."""
    return True


def untold(*_: object) -> None:
    """Nobody wants to know how far it is."""


async def fill(store: DurableStore) -> None:
    """Work of every kind, in every state in which it can stand while nobody works."""
    lease = await store.crew.register("w")
    await _fill_queues(store, lease)
    await _fill_log(store, lease)
    await store.queue.tick("nightly", 7_000, [job("nightly", queue="reports")])
    await store.declare("mail.send", "abc", b"{1}")
    await store.crew.leave(lease)


async def _fill_queues(store: DurableStore, lease: Any) -> None:
    limits = QueueLimits(slots=3, rate=Rate(count=1_000, per_ms=1_000, burst_count=1_000))
    await store.queue.limit_queue("mail", limits)
    ended = {name: job(name, queue="ended", attempts_max=1) for name in ("done", "dead", "back")}
    await store.queue.enqueue(list(ended.values()))
    for one in await store.queue.claim(lease, "ended", limit=3):
        if one.kind == "done":
            outcome = JobOutcome(id=one.id, attempt=1, result=b"\x07")
            await store.queue.settle(lease, [outcome])
        elif one.kind == "dead":
            await store.queue.settle(lease, failed(one, None))
        else:
            assert await store.queue.keep_step(lease, one.id, 1, "half", b"\x01")
            await store.queue.progress(lease, one.id, 1, b"\x02")
            await store.queue.settle(lease, [one.returned()])
    again = job("again", queue="ended")
    await store.queue.enqueue([again])
    claimed = await store.queue.claim(lease, "ended", limit=10)
    for one in claimed:
        how = failed(one, HOUR_MS) if one.id == again.id else [one.returned()]
        await store.queue.settle(lease, how)
    cancelled = job("cancelled")
    await store.queue.enqueue([cancelled])
    await store.queue.cancel(cancelled.id)
    await store.queue.enqueue(
        [
            *(job("plain", priority=number % 3, body=bytes([number])) for number in range(9)),
            *(job("keyed", key="ann", key_slots=2, headers={"a": "b"}) for _ in range(4)),
            job("later", delay_ms=HOUR_MS, expires_after_ms=2 * HOUR_MS),
            job("only", unique="7", timeout_ms=9, schema="abc"),
            job("rare", unique="8", unique_for_ms=HOUR_MS, queue="mail"),
        ]
    )
    await store.queue.pause_queue("reports", paused=True)


async def _fill_log(store: DurableStore, lease: Any) -> None:
    for name in SUBSCRIPTIONS:
        await store.log.subscribe(name, "OrderPlaced", attempts_max=3)
    await store.log.append([_placed(number) for number in range(40)])
    taken = await store.log.take(lease, "mail", limit=30)
    held_up, dead, *others = taken
    await store.log.settle(lease, "mail", [*handled(others), *unhandled(held_up, HOUR_MS)])
    outcome = EventOutcome(
        position=dead.position, attempt=1, how="failed", failure=BROKEN, retry_after_ms=None
    )
    await store.log.settle(lease, "mail", [outcome])
    # More of the key that is held up: they are parked behind it.
    await store.log.append([event(held_up.event.key, body=b"behind") for _ in range(3)])
    more = await store.log.take(lease, "mail", limit=100)
    await store.log.settle(lease, "mail", [*handled(more[:-2]), more[-1].returned()])
    await store.log.pause_subscription("books", paused=True)


def _placed(number: int) -> Publication:
    return event(f"key {number % 7}", body=bytes([number]), headers={"number": str(number)})


async def seen(store: DurableStore) -> dict[str, Any]:
    """All that can be seen of what is kept, without changing it."""
    jobs = {state: await store.queue.jobs(state) for state in STATES}  # type: ignore[arg-type]
    every = [one for found in jobs.values() for one in found]
    return {
        **{f"{state} jobs": found for state, found in jobs.items()},
        "jobs by id": [await store.queue.find(one.id) for one in every],
        "steps": [await store.queue.steps(one.id) for one in every],
        "queues": await store.queue.queues(),
        "subscriptions": await store.log.subscriptions(),
        "letters": await store.dead.letters(),
        "groups": await store.dead.groups(),
        "schemas": await store.schemas(),
        "tick": await store.queue.last_tick("nightly"),
        "workers": await store.crew.sightings(),
    }


async def worked_off(store: DurableStore) -> dict[str, list[Any]]:
    """What is given out, and in which order, until nothing can start any more."""
    lease = await store.crew.register("last")
    found: dict[str, list[Any]] = {}
    for name in SUBSCRIPTIONS:
        await store.log.pause_subscription(name, paused=False)
        events: list[Any] = []
        while given := await store.log.take(lease, name, limit=500):
            events += [(one.position, one.attempt, one.event) for one in given]
            await store.log.settle(lease, name, handled(given))
        found[name] = sorted(events, key=lambda one: (one[0].partition, one[0].offset))
    for queue in ("default", "ended", "mail"):
        jobs: list[Any] = []
        while claimed := await store.queue.claim(lease, queue, limit=2):
            jobs += [(one.id, one.kind, one.attempt, one.body, one.headers) for one in claimed]
            await store.queue.settle(lease, done(*claimed))
        found[queue] = jobs
    return found


async def move(source: str, target: str) -> None:
    """Move, and say each page on the way; killed perhaps."""

    def tell(what: str, count: int, of_count: int) -> None:
        sys.stdout.write(f"{what} {count} {of_count}\n")
        sys.stdout.flush()

    await move_store(source, target, is_gone=gone, tell=tell)


async def fill_much(store: DurableStore, jobs_count: int, events_count: int) -> None:
    """So much that a move takes a while."""
    drawn = random.Random(7)
    for _ in range(jobs_count // 1_000):
        await store.queue.enqueue([job(body=drawn.randbytes(50)) for _ in range(1_000)])
    await store.log.subscribe("mail", "OrderPlaced", start="beginning")
    for _ in range(events_count // 1_000):
        keys = [f"key {drawn.randrange(50)}" for _ in range(1_000)]
        await store.log.append([event(key, body=key.encode()) for key in keys])


if __name__ == "__main__":
    asyncio.run(move(sys.argv[1], sys.argv[2]))
