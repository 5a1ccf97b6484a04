"""How jobs in PostgreSQL go from one state to the next.

Two rules keep transactions from waiting for one another in a circle: rows are locked in the order
of their numbers, and a key's lock is taken before rows of jobs that wait for that key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from outgrow.store.durable.failures import NO_REASON, WORKER_DIED
from outgrow.store.durable.packing import failure_in, headers_of, packed
from outgrow.store.durable.postgres.parked import bury
from outgrow.store.durable.records import Freed, NewJob

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from outgrow.store.durable.postgres.pool import Connection
    from outgrow.store.durable.postgres.rows import Row
    from outgrow.store.durable.records import Failure, JobOutcome, Lease

SWEEP_COUNT_MAX = 2_000

ENDING = (
    "j.number, j.id, j.kind, j.queue, j.key, j.key_slots, j.key_slot, j.attempt, j.attempts_max, "
    "j.is_cancelled, j.enqueued_ms, j.started_ms, j.failure, j.rank, j.unique_key, j.timeout_ms, "
    "j.schema, j.body, j.headers, j.has_steps, j.state"
)
# Held apart from all other locks of the database by its first half.
_LOCK_KEYS = """
SELECT count(pg_advisory_xact_lock(hash)) FROM (
    SELECT DISTINCT hashtextextended(queue || E'\\n' || key, 7007) AS hash
    FROM unnest($1::text[], $2::text[]) AS k (queue, key) ORDER BY 1
) h
"""
# Of each key: the slots that are free, in order, beside the jobs that wait, in order. The slots are
# looked up for each key by itself: joined, the planner reads the whole table.
_ADMIT = """
WITH wanted AS (
    SELECT DISTINCT queue, key FROM unnest($1::text[], $2::text[]) AS k (queue, key)
), used AS (
    SELECT w.queue, w.key, cardinality(taken.slots) AS n, taken.slots FROM wanted w
    CROSS JOIN LATERAL (SELECT ARRAY(SELECT j.key_slot FROM outgrow.job j
        WHERE j.queue = w.queue AND j.key = w.key AND j.key_slot IS NOT NULL) AS slots) taken
), first AS (
    SELECT u.queue, u.key, h.number, h.key_slots,
        row_number() OVER (PARTITION BY u.queue, u.key ORDER BY h.rank, h.place) AS n
    FROM used u CROSS JOIN LATERAL (
        SELECT number, key_slots, rank, place FROM outgrow.job j
        WHERE j.queue = u.queue AND j.key = u.key AND j.state = 2
        ORDER BY rank, place LIMIT (
            SELECT greatest(0, key_slots - u.n) FROM outgrow.job f
            WHERE f.queue = u.queue AND f.key = u.key AND f.state = 2
            ORDER BY rank, place LIMIT 1)
    ) h
), free AS (
    SELECT u.queue, u.key, s.slot,
        row_number() OVER (PARTITION BY u.queue, u.key ORDER BY s.slot) AS n
    FROM (SELECT queue, key, max(key_slots) AS slots FROM first GROUP BY 1, 2) m
    JOIN used u USING (queue, key) CROSS JOIN LATERAL generate_series(1, m.slots) AS s (slot)
    WHERE s.slot <> ALL (u.slots)
)
UPDATE outgrow.job j SET state = 0, place = nextval('outgrow.place'), key_slot = free.slot
FROM first JOIN free USING (queue, key, n) JOIN used USING (queue, key)
WHERE j.number = first.number AND used.n + first.n <= first.key_slots
"""
_END = """
INSERT INTO outgrow.job_done (id, kind, queue, state, attempt, key, enqueued_ms, started_ms,
    finished_ms, result, failure)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""
_DONE = f"""
WITH said AS (
    SELECT * FROM unnest($3::uuid[], $4::int[], $5::bytea[]) AS s (id, attempt, result)
), mine AS (
    SELECT j.number, said.result FROM said JOIN outgrow.job j ON j.id = said.id
    WHERE j.state = 1 AND j.worker = $1 AND j.epoch = $2 AND j.attempt = said.attempt
    ORDER BY j.number FOR UPDATE OF j
), gone AS (
    DELETE FROM outgrow.job j USING mine WHERE j.number = mine.number
    RETURNING {ENDING}, mine.result
), kept AS (
    INSERT INTO outgrow.job_done (id, kind, queue, state, attempt, key, enqueued_ms, started_ms,
        finished_ms, result, failure)
    SELECT id, kind, queue, CASE WHEN is_cancelled THEN 'cancelled' ELSE 'done' END, attempt, key,
        enqueued_ms, started_ms, $6, CASE WHEN NOT is_cancelled THEN result END, failure FROM gone
)
SELECT id, queue, key, key_slot, has_steps FROM gone
"""


async def admit(db: Connection, keys: Iterable[tuple[str, str]]) -> None:
    """Let jobs start that wait for these keys, as far as their slots are free."""
    wanted = sorted(set(keys))
    if wanted:
        columns = [queue for queue, _ in wanted], [key for _, key in wanted]
        await db.execute(_LOCK_KEYS, *columns)
        await db.execute(_ADMIT, *columns)


async def lock_keys(db: Connection, jobs: Iterable[Row]) -> None:
    """Have the keys of these jobs to ourselves until the commit."""
    wanted = sorted({(job["queue"], job["key"]) for job in jobs if job["key_slots"] is not None})
    if wanted:
        await db.execute(_LOCK_KEYS, [queue for queue, _ in wanted], [key for _, key in wanted])


async def finish(
    db: Connection, lease: Lease, outcomes: Sequence[JobOutcome], now_ms: int
) -> set[UUID]:
    """Move jobs that are done into history; which ones were still the worker's."""
    rows = await db.fetch(
        _DONE,
        *(lease.worker, lease.epoch),
        [one.id for one in outcomes],
        [one.attempt for one in outcomes],
        [one.result for one in outcomes],
        now_ms,
    )
    steps = [row["id"] for row in rows if row["has_steps"]]
    if steps:
        await db.execute("DELETE FROM outgrow.step WHERE id = ANY($1::uuid[])", steps)
    await admit(db, _freed(rows))
    return {UUID(bytes=row["id"].bytes) for row in rows}


async def settle_job(db: Connection, lease: Lease, outcome: JobOutcome, now_ms: int) -> bool:
    """Bring a running job to what its attempt came to; False where it is not the worker's."""
    asked = (
        f"SELECT {ENDING} FROM outgrow.job j WHERE id = $1 AND state = 1 "
        "AND worker = $2 AND epoch = $3 AND attempt = $4 FOR UPDATE"
    )
    job = await db.fetchrow(asked, outcome.id, lease.worker, lease.epoch, outcome.attempt)
    if job is None:
        return False
    attempt, failure = job["attempt"], outcome.failure or NO_REASON
    if job["is_cancelled"]:
        await end_job(db, job, "cancelled", now_ms)
    elif outcome.how == "done":
        await end_job(db, job, "done", now_ms, outcome.result)
    elif outcome.how == "returned":
        if outcome.retry_after_ms is None:
            await requeue(db, job, attempt - 1, job["failure"])
        else:
            await _postpone(db, job, attempt - 1, now_ms + outcome.retry_after_ms, failure)
    elif outcome.retry_after_ms is None or attempt >= job["attempts_max"]:
        await bury_job(db, job, failure, now_ms)
    else:
        await _postpone(db, job, attempt, now_ms + outcome.retry_after_ms, failure)
    return True


async def start_now(db: Connection, id: UUID) -> bool:
    """Let a job start that waits for its time; False where it does not."""
    asked = f"SELECT {ENDING} FROM outgrow.job j WHERE id = $1 AND state = 3"
    found = await db.fetch(asked, id)
    await lock_keys(db, found)
    job = await db.fetchrow(f"{asked} FOR UPDATE", id)
    if job is not None:
        await requeue(db, job, job["attempt"], job["failure"])
    return job is not None


async def end_job(
    db: Connection, job: Row, state: str, now_ms: int, result: bytes | None = None
) -> None:
    """Move a job into history."""
    await db.execute(
        _END,
        *(job["id"], job["kind"], job["queue"], state, job["attempt"], job["key"]),
        *(job["enqueued_ms"], job["started_ms"], now_ms, result, job["failure"]),
    )
    await _remove(db, job)


async def bury_job(db: Connection, job: Row, failure: Failure | None, now_ms: int) -> None:
    """Move a job to the dead letters."""
    copy = NewJob(
        id=UUID(bytes=job["id"].bytes),
        kind=job["kind"],
        queue=job["queue"],
        body=job["body"],
        headers=headers_of(job["headers"]),
        schema=job["schema"],
        priority=-job["rank"],
        attempts_max=job["attempts_max"],
        unique=job["unique_key"],
        key=job["key"],
        key_slots=job["key_slots"],
        timeout_ms=job["timeout_ms"],
    )
    what = ("job", copy.id, copy.queue, copy.kind)
    await bury(db, what, job["attempt"], now_ms, failure, packed(copy) or b"")
    await _remove(db, job)


async def requeue(db: Connection, job: Row, attempt: int, failure: bytes | None) -> None:
    """Let a job start again, after those that wait already."""
    await db.execute(
        "UPDATE outgrow.job SET state = $2, attempt = $3, failure = $4, worker = NULL, "
        "epoch = NULL, key_slot = NULL, queue_slot = NULL, place = nextval('outgrow.place') "
        "WHERE number = $1",
        *(job["number"], 0 if job["key_slots"] is None else 2, attempt, failure),
    )
    if job["key_slots"] is not None:
        await admit(db, [(job["queue"], job["key"])])


async def seize_jobs(db: Connection, lease: Lease, now_ms: int, *, is_counted: bool) -> Freed:
    """Take all jobs from a worker."""
    asked = (
        f"SELECT {ENDING} FROM outgrow.job j WHERE state = 1 AND worker = $1 AND epoch = $2 "
        "ORDER BY number FOR UPDATE"
    )
    again = dead = 0
    jobs = await db.fetch(asked, lease.worker, lease.epoch)
    await lock_keys(db, jobs)
    for job in jobs:
        if job["is_cancelled"]:
            await end_job(db, job, "cancelled", now_ms)
        elif is_counted and job["attempt"] >= job["attempts_max"]:
            await bury_job(db, job, WORKER_DIED, now_ms)
            dead += 1
        else:
            failure = packed(WORKER_DIED) if is_counted else job["failure"]
            await requeue(db, job, job["attempt"] - (not is_counted), failure)
            again += 1
    return Freed(again, dead)


async def sweep_due(db: Connection, now_ms: int) -> int:
    """Let some jobs start whose time has come."""
    rows = await db.fetch(
        "WITH due AS (SELECT number FROM outgrow.job WHERE state = 3 AND run_at_ms <= $1 "
        f"ORDER BY run_at_ms LIMIT {SWEEP_COUNT_MAX} FOR UPDATE SKIP LOCKED) "
        "UPDATE outgrow.job j SET state = CASE WHEN key_slots IS NULL THEN 0 ELSE 2 END, "
        "place = nextval('outgrow.place') FROM due WHERE j.number = due.number "
        "RETURNING j.queue, j.key, j.key_slots",
        now_ms,
    )
    await admit(db, [(row["queue"], row["key"]) for row in rows if row["key_slots"] is not None])
    return len(rows)


async def sweep_expired(db: Connection, now_ms: int) -> int:
    """End some jobs that were not started in time."""
    condition = "expires_at_ms <= $1 AND state <> 1"
    asked = f"SELECT {ENDING} FROM outgrow.job j WHERE {condition}"
    found = await db.fetch(f"{asked} LIMIT {SWEEP_COUNT_MAX}", now_ms)
    await lock_keys(db, found)
    numbers = [job["number"] for job in found]
    locked = f"{asked} AND number = ANY($2::bigint[]) ORDER BY number FOR UPDATE SKIP LOCKED"
    expired = await db.fetch(locked, now_ms, numbers)
    for job in expired:
        await end_job(db, job, "expired", now_ms)
    return len(expired)


async def _postpone(
    db: Connection, job: Row, attempt: int, run_at_ms: int, failure: Failure
) -> None:
    await db.execute(
        "UPDATE outgrow.job SET state = 3, attempt = $4, run_at_ms = $2, failure = $3, "
        "worker = NULL, epoch = NULL, key_slot = NULL, queue_slot = NULL WHERE number = $1",
        *(job["number"], run_at_ms, packed(failure), attempt),
    )
    await admit(db, _freed([job]))


async def _remove(db: Connection, job: Row) -> None:
    await db.execute("DELETE FROM outgrow.job WHERE number = $1", job["number"])
    if job["has_steps"]:
        await db.execute("DELETE FROM outgrow.step WHERE id = $1", job["id"])
    await admit(db, _freed([job]))


def _freed(jobs: Iterable[Row]) -> list[tuple[str, str]]:
    return [(job["queue"], job["key"]) for job in jobs if job["key_slot"] is not None]


def reason_of(job: Row) -> Failure | None:
    """What the last attempt failed with."""
    return failure_in(job["failure"])
