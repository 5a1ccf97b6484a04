"""The queues in an SQLite file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from uuid import UUID

from outgrow.store.durable.checks import check_jobs, check_name
from outgrow.store.durable.failures import is_death
from outgrow.store.durable.handing import handed_over
from outgrow.store.durable.packing import failure_in, headers_of
from outgrow.store.durable.protocol import TAKE_MAX
from outgrow.store.durable.rates import refilled
from outgrow.store.durable.records import (
    ClaimedJob,
    JobOutcome,
    JobState,
    JobView,
    NewJob,
    Placed,
    QueueLimits,
    QueueView,
)
from outgrow.store.durable.sqlite import views
from outgrow.store.durable.sqlite.jobs import (
    ENDING,
    LATER,
    RUNNING,
    end_job,
    held_by,
    place_job,
    requeue,
    settle_job,
)
from outgrow.store.durable.sqlite.rows import check_lease

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from outgrow.store.durable.ids import Clock
    from outgrow.store.durable.records import Lease
    from outgrow.store.durable.sqlite.reader import Reader
    from outgrow.store.durable.sqlite.rows import Row, WriterConnection
    from outgrow.store.durable.sqlite.writer import Writer

_KNOWN = "INSERT INTO queue (name) VALUES (?) ON CONFLICT DO NOTHING"
_CLAIMED = (
    "id, kind, queue, body, headers, schema, attempt, attempts_max, key, timeout_ms, enqueued_ms, "
    "failure, run_at_ms, rank, place, number"
)
_HELD = "state = 1 AND worker = ? AND epoch = ?"


class SqliteQueue:
    """The jobs of one file."""

    def __init__(self, writer: Writer, reader: Reader, clock: Clock) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[Placed]:
        """Keep jobs."""
        check_jobs(jobs)
        return await self._writer.run(lambda db: _enqueue(db, jobs, self._clock()))

    async def claim(self, lease: Lease, queue: str, *, limit: int = 10) -> list[ClaimedJob]:
        """Jobs to run now."""
        at_most = max(1, min(limit, TAKE_MAX))
        return await handed_over(
            self._writer.run(lambda db: _claim(db, lease, queue, at_most, self._clock())),
            lambda jobs: self.settle(lease, [one.returned() for one in jobs]),
        )

    async def settle(self, lease: Lease, outcomes: Sequence[JobOutcome]) -> list[bool]:
        """Say how attempts ended."""

        def settle(db: WriterConnection) -> list[bool]:
            now_ms = self._clock()
            answers: list[bool] = []
            for outcome in outcomes:
                job = held_by(db, lease, outcome)
                answers.append(job is not None)
                if job is not None:
                    settle_job(db, job, outcome, now_ms)
            return answers

        return await self._writer.run(settle)

    async def strays(self, lease: Lease, known: Collection[UUID]) -> int:
        """Take back jobs that the worker does not know of."""

        def take_back(db: WriterConnection) -> int:
            asked = f"SELECT {ENDING} FROM job WHERE {_HELD}"
            held = db.execute(asked, (lease.worker.bytes, lease.epoch)).fetchall()
            lost = [job for job in held if UUID(bytes=job[1]) not in known]
            for job in lost:
                requeue(db, job, job[7] - 1, job[12])
            return len(lost)

        return await self._writer.run(take_back)

    async def progress(self, lease: Lease, id: UUID, attempt: int, value: bytes) -> bool:
        """Keep how far a job is."""
        asked = f"UPDATE job SET progress = ? WHERE id = ? AND attempt = ? AND {_HELD}"
        values = (value, id.bytes, attempt, lease.worker.bytes, lease.epoch)
        return await self._writer.run(lambda db: db.execute(asked, values).rowcount > 0)

    async def keep_step(
        self, lease: Lease, id: UUID, attempt: int, name: str, result: bytes
    ) -> bool:
        """Keep the result of a step."""
        check_name("step", name)
        asked = (
            "INSERT OR REPLACE INTO step SELECT id, ?, ? FROM job "
            f"WHERE id = ? AND attempt = ? AND {_HELD}"
        )
        values = (name, result, id.bytes, attempt, lease.worker.bytes, lease.epoch)
        return await self._writer.run(lambda db: db.execute(asked, values).rowcount > 0)

    async def steps(self, id: UUID) -> dict[str, bytes]:
        """Results of the steps."""
        asked = "SELECT name, result FROM step WHERE id = ?"
        return dict(await self._reader.rows(asked, (id.bytes,)))

    async def cancel(self, id: UUID) -> Literal["cancelled", "asked", "finished"]:
        """End a job that waits, or ask one that runs to stop."""
        return await self._writer.run(lambda db: _cancel(db, id, self._clock()))

    async def start_now(self, id: UUID) -> bool:
        """Have a job wait no longer for its time."""

        def start(db: WriterConnection) -> bool:
            asked = f"SELECT {ENDING} FROM job WHERE id = ? AND state = {LATER}"
            job = db.execute(asked, (id.bytes,)).fetchone()
            if job is not None:
                requeue(db, job, job[7], job[12])
            return job is not None

        return await self._writer.run(start)

    async def pause_queue(self, queue: str, *, paused: bool) -> None:
        """Start nothing more, or go on."""
        check_name("queue", queue)

        def pause(db: WriterConnection) -> None:
            db.execute(_KNOWN, (queue,))
            db.execute("UPDATE queue SET is_paused = ? WHERE name = ?", (paused, queue))

        await self._writer.run(pause)

    async def limit_queue(self, queue: str, limits: QueueLimits) -> None:
        """Set what bounds a queue."""
        check_name("queue", queue)
        await self._writer.run(lambda db: _limit(db, queue, limits, self._clock()))

    async def find(self, id: UUID) -> JobView | None:
        """One job."""
        return await views.find(self._reader, id)

    async def jobs(
        self,
        state: JobState,
        *,
        queue: str | None = None,
        after: UUID | None = None,
        limit: int = 100,
    ) -> list[JobView]:
        """A page of jobs."""
        return await views.jobs(self._reader, state, queue, after, limit)

    async def queues(self) -> list[QueueView]:
        """All that have a job or a limit."""
        return await views.queues(self._reader)

    async def tick(self, schedule: str, tick_ms: int, jobs: Sequence[NewJob]) -> bool:
        """Enqueue the jobs of a tick, once."""
        check_name("schedule", schedule)
        check_jobs(jobs)
        asked = (
            "INSERT INTO schedule VALUES (?, ?) ON CONFLICT (name) DO UPDATE "
            "SET last_tick_ms = excluded.last_tick_ms "
            "WHERE last_tick_ms < excluded.last_tick_ms"
        )

        def tick(db: WriterConnection) -> bool:
            if not db.execute(asked, (schedule, tick_ms)).rowcount:
                return False
            _enqueue(db, jobs, self._clock())
            return True

        return await self._writer.run(tick)

    async def last_tick(self, schedule: str) -> int | None:
        """The last tick that was enqueued."""
        asked = "SELECT last_tick_ms FROM schedule WHERE name = ?"
        rows = await self._reader.rows(asked, (schedule,))
        return rows[0][0] if rows else None


def _enqueue(db: WriterConnection, jobs: Sequence[NewJob], now_ms: int) -> list[Placed]:
    for queue in {one.queue for one in jobs}:
        if queue not in db.queues:
            db.execute(_KNOWN, (queue,))
            db.queues.add(queue)
    return [place_job(db, one, now_ms) for one in jobs]


def _claim(
    db: WriterConnection, lease: Lease, queue: str, limit: int, now_ms: int
) -> list[ClaimedJob]:
    check_lease(db, lease)
    asked = (
        "SELECT is_paused, slots, rate_count, rate_per_ms, rate_burst, tokens, refilled_ms "
        "FROM queue WHERE name = ?"
    )
    found = db.execute(asked, (queue,)).fetchone()
    if found is None or found[0]:
        return []
    slots = _free_slots(db, queue, found[1], limit) if found[1] is not None else None
    at_most = limit if slots is None else len(slots)
    tokens = refilled(found[2:], now_ms) if found[2] is not None else None
    if tokens is not None:
        at_most = min(at_most, int(tokens))
    if at_most <= 0:
        return []
    rows = _start(db, lease, queue, at_most, now_ms)
    if slots is not None:
        numbered = [(slot, row[-1]) for slot, row in zip(slots, rows, strict=False)]
        db.executemany("UPDATE job SET queue_slot = ? WHERE number = ?", numbered)
    if tokens is not None:
        asked = "UPDATE queue SET tokens = ?, refilled_ms = ? WHERE name = ?"
        db.execute(asked, (tokens - len(rows), now_ms, queue))
    return [_claimed(row, now_ms) for row in rows]


def _start(db: WriterConnection, lease: Lease, queue: str, limit: int, now_ms: int) -> list[Row]:
    asked = (
        "UPDATE job SET state = 1, attempt = attempt + 1, worker = ?, epoch = ?, started_ms = ? "
        "WHERE number IN (SELECT number FROM job WHERE queue = ? AND state = 0 "
        "AND (expires_at_ms IS NULL OR expires_at_ms > ?) ORDER BY rank, place LIMIT ?) "
        f"RETURNING {_CLAIMED}"
    )
    values = (lease.worker.bytes, lease.epoch, now_ms, queue, now_ms, limit)
    # They come in the order of their numbers.
    return sorted(db.execute(asked, values).fetchall(), key=lambda row: row[-3:-1])


def _free_slots(db: WriterConnection, queue: str, slots: int, limit: int) -> list[int]:
    asked = "SELECT queue_slot FROM job WHERE queue = ? AND queue_slot IS NOT NULL"
    used = {row[0] for row in db.execute(asked, (queue,)).fetchall()}
    free = [slot for slot in range(1, slots + 1) if slot not in used]
    return free[: max(0, min(limit, slots - len(used)))]


def _limit(db: WriterConnection, queue: str, limits: QueueLimits, now_ms: int) -> None:
    rate = limits.rate
    db.execute(_KNOWN, (queue,))
    db.execute(
        "UPDATE queue SET slots = ?, rate_count = ?, rate_per_ms = ?, rate_burst = ?, tokens = ?, "
        "refilled_ms = ? WHERE name = ?",
        (limits.slots,)
        + ((rate.count, rate.per_ms, rate.burst_count) if rate else (None, None, None))
        + (float(rate.burst_count) if rate else 0.0, now_ms, queue),
    )
    # What runs already counts, though nobody gave it a slot.
    asked = "SELECT number FROM job WHERE queue = ? AND state = 1 AND queue_slot IS NULL"
    used = "SELECT coalesce(max(queue_slot), 0) FROM job WHERE queue = ? AND queue_slot IS NOT NULL"
    last = db.execute(used, (queue,)).fetchone()[0]
    running = db.execute(asked, (queue,)).fetchall() if limits.slots is not None else []
    for slot, (number,) in enumerate(running, start=last + 1):
        db.execute("UPDATE job SET queue_slot = ? WHERE number = ?", (slot, number))


def _cancel(
    db: WriterConnection, id: UUID, now_ms: int
) -> Literal["cancelled", "asked", "finished"]:
    asked = f"SELECT state, {ENDING} FROM job WHERE id = ?"
    found = db.execute(asked, (id.bytes,)).fetchone()
    if found is None:
        return "finished"
    state, job = found[0], found[1:]
    if state != RUNNING:
        end_job(db, job, "cancelled", now_ms)
        return "cancelled"
    db.execute("UPDATE job SET is_cancelled = 1 WHERE number = ?", (job[0],))
    return "asked"


def _claimed(row: Row, now_ms: int) -> ClaimedJob:
    id, kind, queue, body, headers, schema, attempt, attempts_max, key, timeout_ms, at_ms = row[:11]
    return ClaimedJob(
        id=UUID(bytes=id),
        kind=kind,
        queue=queue,
        body=body,
        headers=headers_of(headers),
        schema=schema,
        attempt=attempt,
        attempts_max=attempts_max,
        key=key,
        timeout_ms=timeout_ms,
        enqueued_ms=at_ms,
        is_suspect=is_death(failure_in(row[11])),
        waited_ms=max(0, now_ms - max(at_ms, row[12])),
    )
