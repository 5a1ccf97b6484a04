"""How the cost of durable work grows: claims while many jobs wait, and a million dead letters.

The jobs are written by SQL in bulk, as nobody waits for ten million calls. What a claim gave is
given back before the next one, so that the same number waits all the time. `10,000 keys` is a queue
of 100,000 jobs of which one of each key may run at once; there the jobs are finished, which lets
the next of their keys start, and that is timed as well.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from outgrow.store import DurableStore, JobOutcome, Lease, NewJob, durable_at, new_id

from .harness import Measurements

WAITING = (10, 10_000, 1_000_000)
MOST = 10_000_000  # takes 6 GB of disk and ten minutes: BENCH_MOST=1
CLAIMS = 300
CLAIMED = 10
KEYS = 10_000
JOBS_OF_A_KEY = 10
DEAD = 1_000_000
FINGERPRINTS = 50
PAGES = 30
PAGE = 100

_SQLITE_JOBS = """
WITH RECURSIVE n (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM n WHERE n + 1 < :first + :count)
INSERT INTO job (id, kind, queue, rank, place, state, attempt, attempts_max, enqueued_ms,
    run_at_ms, schema, body)
SELECT CAST(printf('%016d', n) AS BLOB), 'nothing', 'many', 0, n, 0, 0, 5, 1, 1, '', zeroblob(100)
FROM n
"""
_SQLITE_DEAD = """
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < :count)
INSERT INTO dead (kind, id, source, name, attempts, died_ms, fingerprint, failure, copy)
SELECT 'job', CAST(printf('%016d', n) AS BLOB), 'many', 'nothing', 5, n,
    printf('%016d', n % :fingerprints), :failure, zeroblob(150) FROM n
"""
_POSTGRES_JOBS = """
INSERT INTO outgrow.job (id, kind, queue, rank, place, state, attempts_max, enqueued_ms, run_at_ms,
    schema, body)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'nothing', 'many', 0, n, 0, 5, 1, 1, '',
    decode(repeat('00', 100), 'hex')
FROM generate_series($1::bigint, $1::bigint + $2::bigint - 1) n
"""
_POSTGRES_DEAD = """
INSERT INTO outgrow.dead (kind, id, source, name, attempts, died_ms, fingerprint, failure, copy)
SELECT 'job', lpad(to_hex(n), 32, '0')::uuid, 'many', 'nothing', 5, n,
    lpad((n % $2::bigint)::text, 16, '0'), $3::bytea, decode(repeat('00', 150), 'hex')
FROM generate_series(1, $1::bigint) n
"""
# What `packed` makes of a failure with this type, text and fingerprint.
_FAILURE = b"\x83\xa4type\xa1E\xa4text\xa1t\xabfingerprint\xa1f"


async def measure(measured: Measurements, name: str, url: str) -> None:
    """Measure one store, which is empty, with ever more in it."""
    waiting = (*WAITING, MOST) if "BENCH_MOST" in os.environ else WAITING
    there = 0
    await _opened(url, lambda store: store.queue.enqueue([NewJob(id=new_id(), kind="first")]))
    for count in waiting:
        await _have_jobs(url, there + 1, count - there)
        there = count
        await _opened(url, partial(_claims, measured, name, count))
    await _opened(url, partial(_keys, measured, name))
    await _have_dead(url)
    await _opened(url, partial(_letters, measured, name))


async def _opened(url: str, work: Callable[[DurableStore], Awaitable[object]]) -> None:
    store = durable_at(url)
    await store.start()
    try:
        await work(store)
    finally:
        await store.stop()


async def _claims(measured: Measurements, name: str, count: int, store: DurableStore) -> None:
    lease = await store.crew.register("bench")
    spent = await _timed(store, lease, "many", finishes=False)
    measured.add(name, f"claim, so many wait: {count:,} p50", statistics.median(spent), "ms")
    measured.add(name, f"claim, so many wait: {count:,} p99", _p99(spent), "ms")
    await store.crew.leave(lease)


async def _keys(measured: Measurements, name: str, store: DurableStore) -> None:
    for _ in range(JOBS_OF_A_KEY):
        for first in range(0, KEYS, 1_000):
            await store.queue.enqueue([_keyed(key) for key in range(first, first + 1_000)])
    lease = await store.crew.register("bench")
    spent = await _timed(store, lease, "keyed", finishes=True)
    measured.add(name, "10,000 keys: claim and finish p50", statistics.median(spent), "ms")
    measured.add(name, "10,000 keys: claim and finish p99", _p99(spent), "ms")


def _keyed(key: int) -> NewJob:
    return NewJob(id=new_id(), kind="nothing", queue="keyed", key=str(key), key_slots=1)


async def _timed(store: DurableStore, lease: Lease, queue: str, *, finishes: bool) -> list[float]:
    """What each of many claims takes, in milliseconds; with the finish of what it gave, or not."""
    spent: list[float] = []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        jobs = await store.queue.claim(lease, queue, limit=CLAIMED)
        claimed = time.perf_counter()
        done = [
            JobOutcome(id=one.id, attempt=one.attempt, how="done" if finishes else "returned")
            for one in jobs
        ]
        assert done, "none was given"
        assert all(await store.queue.settle(lease, done))
        spent.append(((time.perf_counter() if finishes else claimed) - began) * 1e3)
    return spent


async def _letters(measured: Measurements, name: str, store: DurableStore) -> None:
    async def page(**which: Any) -> None:
        assert len(await store.dead.letters(limit=PAGE, **which)) == PAGE

    for what, look in (
        ("first page", page),
        ("page in the middle", lambda: page(before=DEAD // 2)),
        ("page of one fingerprint", lambda: page(fingerprint=f"{7:016}")),
        ("overview of groups", store.dead.groups),
    ):
        spent: list[float] = []
        for _ in range(PAGES):
            began = time.perf_counter()
            await look()
            spent.append((time.perf_counter() - began) * 1e3)
        measured.add(name, f"a million dead letters: {what} p99", _p99(spent), "ms")


def _p99(spent: list[float]) -> float:
    return sorted(spent)[int(len(spent) * 0.99)]


async def _have_jobs(url: str, first: int, count: int) -> None:
    if url.startswith("sqlite"):
        _in_file(url, _SQLITE_JOBS, {"first": first, "count": count})
        return
    await _in_server(url, _POSTGRES_JOBS, first, count)


async def _have_dead(url: str) -> None:
    if url.startswith("sqlite"):
        values = {"count": DEAD, "fingerprints": FINGERPRINTS, "failure": _FAILURE}
        _in_file(url, _SQLITE_DEAD, values)
        return
    await _in_server(url, _POSTGRES_DEAD, DEAD, FINGERPRINTS, _FAILURE)


def _in_file(url: str, asked: str, values: dict[str, Any]) -> None:
    with closing(sqlite3.connect(Path(url.removeprefix("sqlite:///")))) as db:
        db.execute("INSERT OR IGNORE INTO queue (name) VALUES ('many')")
        db.execute(asked, values)
        db.execute("INSERT OR REPLACE INTO counter SELECT 'place', max(place) FROM job")
        db.commit()


async def _in_server(url: str, asked: str, *values: object) -> None:
    import asyncpg  # pyright: ignore[reportMissingTypeStubs]

    package: Any = asyncpg
    db = await package.connect(url)
    try:
        await db.execute("INSERT INTO outgrow.queue (name) VALUES ('many') ON CONFLICT DO NOTHING")
        await db.execute(asked, *values, timeout=3_600)
        await db.execute("SELECT setval('outgrow.place', (SELECT max(place) FROM outgrow.job))")
        # What the server does by itself within minutes.
        for each in ("VACUUM ANALYZE outgrow.job", "VACUUM ANALYZE outgrow.dead", "CHECKPOINT"):
            await db.execute(each, timeout=3_600)
    finally:
        await db.close()
