"""How jobs of an SQLite file go from one state to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from outgrow.store.durable.failures import NO_REASON, WORKER_DIED
from outgrow.store.durable.packing import headers_of, packed
from outgrow.store.durable.records import Freed, NewJob, Placed
from outgrow.store.durable.sqlite.dead import bury
from outgrow.store.durable.sqlite.rows import next_place

if TYPE_CHECKING:
    from outgrow.store.durable.records import JobOutcome, Lease
    from outgrow.store.durable.sqlite.rows import Row, WriterConnection

READY, RUNNING, HELD, LATER = 0, 1, 2, 3
SWEEP_COUNT_MAX = 500

# What every ending needs to know of a job.
ENDING = (
    "number, id, kind, queue, key, key_slots, key_slot, attempt, attempts_max, is_cancelled, "
    "enqueued_ms, started_ms, failure, rank, unique_key, timeout_ms, schema, body, headers"
)


def place_job(db: WriterConnection, one: NewJob, now_ms: int) -> Placed:
    """Enqueue one job, unless it was before or must be unique."""
    if one.unique is not None:
        known = _unique_holder(db, one, now_ms)
        if known is not None:
            return Placed(UUID(bytes=known), False)
    if not db.execute("INSERT OR IGNORE INTO received VALUES (?)", (one.id.bytes,)).rowcount:
        return Placed(one.id, False)
    insert_job(db, one, now_ms)
    if one.unique is not None and one.unique_for_ms:
        db.execute(
            "INSERT OR REPLACE INTO unique_mark VALUES (?, ?, ?)",
            (one.unique, one.id.bytes, now_ms + one.unique_for_ms),
        )
    return Placed(one.id, True)


def insert_job(db: WriterConnection, one: NewJob, now_ms: int) -> None:
    """Write a job where it belongs: to start, to wait for its key, or for its time."""
    run_at_ms = now_ms + one.delay_ms if one.run_at_ms is None else one.run_at_ms
    expires = one.expires_after_ms
    slots = one.key_slots if one.key is not None else None
    state = LATER if run_at_ms > now_ms else READY if slots is None else HELD
    db.execute(
        "INSERT INTO job VALUES (NULL, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, NULL, ?, ?, ?, ?, NULL, "
        "NULL, NULL, NULL, 0, ?, ?, ?, NULL, NULL)",
        (
            one.id.bytes,
            one.kind,
            one.queue,
            -one.priority,
            next_place(db),
            state,
            one.attempts_max,
            now_ms,
            run_at_ms,
            None if expires is None else now_ms + expires,
            one.timeout_ms,
            one.unique,
            one.key,
            slots,
            one.schema,
            one.body,
            packed(one.headers),
        ),
    )
    if state == HELD:
        admit(db, one.queue, one.key)


def _unique_holder(db: WriterConnection, one: NewJob, now_ms: int) -> bytes | None:
    for asked in (
        "SELECT id FROM job WHERE unique_key = ?",
        f"SELECT id FROM unique_mark WHERE unique_key = ? AND until_ms > {now_ms}",
    ):
        found = db.execute(asked, (one.unique,)).fetchone()
        if found is not None:
            return found[0]
    return None


def admit(db: WriterConnection, queue: str, key: str | None) -> None:
    """Let jobs start that wait for their key, as far as its slots are free."""
    asked = "SELECT key_slot FROM job WHERE queue = ? AND key = ? AND key_slot IS NOT NULL"
    used = {row[0] for row in db.execute(asked, (queue, key)).fetchall()}
    asked = (
        "SELECT number, key_slots FROM job WHERE queue = ? AND key = ? AND state = 2 "
        "ORDER BY rank, place LIMIT 1"
    )
    while (found := db.execute(asked, (queue, key)).fetchone()) and len(used) < found[1]:
        slot = next(slot for slot in range(1, found[1] + 1) if slot not in used)
        used.add(slot)
        db.execute(
            "UPDATE job SET state = 0, place = ?, key_slot = ? WHERE number = ?",
            (next_place(db), slot, found[0]),
        )


def held_by(db: WriterConnection, lease: Lease, outcome: JobOutcome) -> Row | None:
    """The job that an outcome is about, if this attempt is still the worker's."""
    return db.execute(
        f"SELECT {ENDING} FROM job WHERE id = ? "
        "AND state = 1 AND worker = ? AND epoch = ? AND attempt = ?",
        (outcome.id.bytes, lease.worker.bytes, lease.epoch, outcome.attempt),
    ).fetchone()


def settle_job(db: WriterConnection, job: Row, outcome: JobOutcome, now_ms: int) -> None:
    """Bring a running job to what its attempt came to."""
    attempt, attempts_max, is_cancelled = job[7:10]
    failure = packed(outcome.failure or NO_REASON)
    if is_cancelled:
        end_job(db, job, "cancelled", now_ms)
    elif outcome.how == "done":
        end_job(db, job, "done", now_ms, outcome.result)
    elif outcome.how == "returned":
        if outcome.retry_after_ms is None:
            requeue(db, job, attempt - 1, job[12])
        else:
            postpone(db, job, attempt - 1, now_ms + outcome.retry_after_ms, failure)
    elif outcome.retry_after_ms is None or attempt >= attempts_max:
        bury_job(db, job, failure, now_ms)
    else:
        postpone(db, job, attempt, now_ms + outcome.retry_after_ms, failure)


def end_job(
    db: WriterConnection, job: Row, state: str, now_ms: int, result: bytes | None = None
) -> None:
    """Move a job into history."""
    _remove(db, job)
    _, id, kind, queue, key, _, _, attempt, _, _, enqueued_ms, started_ms, failure, *_ = job
    db.execute(
        "INSERT OR REPLACE INTO job_done VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (id, kind, queue, state, attempt, key, enqueued_ms, started_ms, now_ms, result, failure),
    )


def bury_job(db: WriterConnection, job: Row, failure: bytes | None, now_ms: int) -> None:
    """Move a job to the dead letters."""
    _remove(db, job)
    (_, id, kind, queue, key, key_slots, _, attempt, attempts_max, _, _, _, _), rest = (
        job[:13],
        job[13:],
    )
    rank, unique, timeout_ms, schema, body, headers = rest
    copy = NewJob(
        id=UUID(bytes=id),
        kind=kind,
        queue=queue,
        body=body,
        headers=headers_of(headers),
        schema=schema,
        priority=-rank,
        attempts_max=attempts_max,
        unique=unique,
        key=key,
        key_slots=key_slots,
        timeout_ms=timeout_ms,
    )
    bury(db, ("job", id, queue, kind), (attempt, now_ms, failure or b""), packed(copy) or b"")


def postpone(
    db: WriterConnection, job: Row, attempt: int, run_at_ms: int, failure: bytes | None
) -> None:
    """Have a job wait for its time; its slots are free meanwhile."""
    db.execute(
        "UPDATE job SET state = 3, attempt = ?, run_at_ms = ?, failure = ?, worker = NULL, "
        "epoch = NULL, key_slot = NULL, queue_slot = NULL WHERE number = ?",
        (attempt, run_at_ms, failure, job[0]),
    )
    if job[6] is not None:
        admit(db, job[3], job[4])


def requeue(db: WriterConnection, job: Row, attempt: int, failure: bytes | None) -> None:
    """Let a job start again, after those that wait already."""
    number, queue, key, key_slots = job[0], job[3], job[4], job[5]
    db.execute(
        "UPDATE job SET state = ?, attempt = ?, place = ?, failure = ?, worker = NULL, "
        "epoch = NULL, key_slot = NULL, queue_slot = NULL WHERE number = ?",
        (READY if key_slots is None else HELD, attempt, next_place(db), failure, number),
    )
    if key_slots is not None:
        admit(db, queue, key)


def seize_jobs(db: WriterConnection, lease: Lease, now_ms: int, *, is_counted: bool) -> Freed:
    """Take all jobs from a worker."""
    asked = f"SELECT {ENDING} FROM job WHERE state = 1 AND worker = ? AND epoch = ?"
    again = dead = 0
    failure = packed(WORKER_DIED)
    for job in db.execute(asked, (lease.worker.bytes, lease.epoch)).fetchall():
        attempt, attempts_max, is_cancelled = job[7:10]
        if is_cancelled:
            end_job(db, job, "cancelled", now_ms)
        elif not is_counted:
            requeue(db, job, attempt - 1, job[12])
            again += 1
        elif attempt >= attempts_max:
            bury_job(db, job, failure, now_ms)
            dead += 1
        else:
            requeue(db, job, attempt, failure)
            again += 1
    return Freed(again, dead)


def sweep_due(db: WriterConnection, now_ms: int) -> int:
    """Let some jobs start whose time has come."""
    asked = (
        f"SELECT {ENDING} FROM job WHERE state = 3 AND run_at_ms <= ? ORDER BY run_at_ms LIMIT ?"
    )
    due = db.execute(asked, (now_ms, SWEEP_COUNT_MAX)).fetchall()
    for job in due:
        requeue(db, job, job[7], job[12])
    return len(due)


def sweep_expired(db: WriterConnection, now_ms: int) -> int:
    """End some jobs that were not started in time."""
    asked = f"SELECT {ENDING} FROM job WHERE expires_at_ms <= ? AND state <> 1 LIMIT ?"
    expired = db.execute(asked, (now_ms, SWEEP_COUNT_MAX)).fetchall()
    for job in expired:
        end_job(db, job, "expired", now_ms)
    return len(expired)


def _remove(db: WriterConnection, job: Row) -> None:
    db.execute("DELETE FROM job WHERE number = ?", (job[0],))
    db.execute("DELETE FROM step WHERE id = ?", (job[1],))
    if job[6] is not None:
        admit(db, job[3], job[4])
