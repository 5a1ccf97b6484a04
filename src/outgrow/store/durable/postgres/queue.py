"""The queues in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal
from uuid import UUID

from outgrow.store.durable.batcher import Batcher
from outgrow.store.durable.checks import check_jobs, check_name
from outgrow.store.durable.failures import is_death
from outgrow.store.durable.handing import handed_over
from outgrow.store.durable.packing import failure_in, headers_of
from outgrow.store.durable.postgres import views
from outgrow.store.durable.postgres.enqueueing import place_jobs
from outgrow.store.durable.postgres.jobs import (
    ENDING,
    end_job,
    finish,
    lock_keys,
    requeue,
    settle_job,
    start_now,
)
from outgrow.store.durable.postgres.marks import Marks
from outgrow.store.durable.postgres.rows import changed, no_lease
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

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from outgrow.store.durable.postgres.pool import Connection, Pool
    from outgrow.store.durable.postgres.rows import Row
    from outgrow.store.durable.records import Lease

_KNOWN = "INSERT INTO outgrow.queue (name) VALUES ($1) ON CONFLICT DO NOTHING"
# The worker's row is locked, so that who buries it now waits until what it claims can be seen.
_BOUNDS = """
SELECT q.is_paused, q.slots, q.rate_count, q.rate_per_ms, q.rate_burst, q.tokens, q.refilled_ms
FROM outgrow.worker w LEFT JOIN outgrow.queue q ON q.name = $3
WHERE w.id = $1 AND w.epoch = $2 FOR KEY SHARE OF w
"""
# Of each priority in turn, and of the next only as many as the one before left room for.
_CLAIM = """
WITH chosen AS MATERIALIZED (
    SELECT j.number FROM unnest($4::int[], $5::bigint[]) AS w (rank, mark)
    CROSS JOIN LATERAL (
        SELECT number FROM outgrow.job j
        WHERE j.queue = $3 AND j.state = 0 AND j.rank = w.rank AND j.place > w.mark
        AND (j.expires_at_ms IS NULL OR j.expires_at_ms > $6)
        ORDER BY j.place LIMIT $7 FOR UPDATE SKIP LOCKED
    ) j LIMIT $7
)
UPDATE outgrow.job j SET state = 1, attempt = attempt + 1, worker = $1, epoch = $2, started_ms = $6
WHERE j.number = ANY (ARRAY(SELECT number FROM chosen))
RETURNING j.id, j.kind, j.queue, j.body, j.headers, j.schema, j.attempt, j.attempts_max, j.key,
    j.timeout_ms, j.enqueued_ms, j.run_at_ms, j.started_ms, j.failure, j.rank, j.place, j.number
"""
_MINE = "id = $1 AND attempt = $2 AND state = 1 AND worker = $3 AND epoch = $4"


class PostgresQueue:
    """The jobs of one database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._marks = Marks(pool)
        self._enqueues: Batcher[Sequence[NewJob], list[Placed]] = Batcher(self._enqueue, size=len)
        self._settles: Batcher[tuple[Lease, Sequence[JobOutcome]], list[bool]] = Batcher(
            self._settle, size=lambda asked: len(asked[1])
        )

    async def close(self) -> None:
        """Send what waits."""
        await self._enqueues.close()
        await self._settles.close()

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[Placed]:
        """Keep jobs."""
        check_jobs(jobs)
        return await self._enqueues.put(jobs)

    async def claim(self, lease: Lease, queue: str, *, limit: int = 10) -> list[ClaimedJob]:
        """Jobs to run now."""
        at_most = max(1, min(limit, TAKE_MAX))
        ranks, places = await self._marks.of(queue)
        return await handed_over(
            self._pool.run(lambda db: self._claim(db, lease, queue, at_most, (ranks, places))),
            lambda jobs: self.settle(lease, [one.returned() for one in jobs]),
        )

    async def settle(self, lease: Lease, outcomes: Sequence[JobOutcome]) -> list[bool]:
        """Say how attempts ended."""
        return await self._settles.put((lease, outcomes))

    async def strays(self, lease: Lease, known: Collection[UUID]) -> int:
        """Take back jobs that the worker does not know of."""
        asked = (
            f"SELECT {ENDING} FROM outgrow.job j WHERE state = 1 AND worker = $1 AND epoch = $2 "
            "AND id <> ALL($3::uuid[]) ORDER BY number FOR UPDATE"
        )

        async def take_back(db: Connection) -> int:
            jobs = await db.fetch(asked, lease.worker, lease.epoch, list(known))
            await lock_keys(db, jobs)
            for job in jobs:
                await requeue(db, job, job["attempt"] - 1, job["failure"])
            return len(jobs)

        return await self._pool.run(take_back)

    async def progress(self, lease: Lease, id: UUID, attempt: int, value: bytes) -> bool:
        """Keep how far a job is."""
        asked = f"UPDATE outgrow.job SET progress = $5 WHERE {_MINE}"
        mine = (id, attempt, lease.worker, lease.epoch)
        return bool(changed(await self._pool.run(lambda db: db.execute(asked, *mine, value))))

    async def keep_step(
        self, lease: Lease, id: UUID, attempt: int, name: str, result: bytes
    ) -> bool:
        """Keep the result of a step."""
        check_name("step", name)
        mine = (id, attempt, lease.worker, lease.epoch)

        async def keep(db: Connection) -> bool:
            asked = f"UPDATE outgrow.job SET has_steps = true WHERE {_MINE}"
            if not changed(await db.execute(asked, *mine)):
                return False
            await db.execute(
                "INSERT INTO outgrow.step VALUES ($1, $2, $3) "
                "ON CONFLICT (id, name) DO UPDATE SET result = excluded.result",
                *(id, name, result),
            )
            return True

        return await self._pool.run(keep)

    async def steps(self, id: UUID) -> dict[str, bytes]:
        """Results of the steps."""
        asked = "SELECT name, result FROM outgrow.step WHERE id = $1"
        return dict(await self._pool.run(lambda db: db.fetch(asked, id)))

    async def cancel(self, id: UUID) -> Literal["cancelled", "asked", "finished"]:
        """End a job that waits, or ask one that runs to stop."""
        return await self._pool.run(lambda db: _cancel(db, id, self._pool.now_ms()))

    async def start_now(self, id: UUID) -> bool:
        """Have a job wait no longer for its time."""
        return await self._pool.run(lambda db: start_now(db, id))

    async def pause_queue(self, queue: str, *, paused: bool) -> None:
        """Start nothing more, or go on."""
        check_name("queue", queue)

        async def pause(db: Connection) -> None:
            await db.execute(_KNOWN, queue)
            asked = "UPDATE outgrow.queue SET is_paused = $2 WHERE name = $1"
            await db.execute(asked, queue, paused)

        await self._pool.run(pause)

    async def limit_queue(self, queue: str, limits: QueueLimits) -> None:
        """Set what bounds a queue."""
        check_name("queue", queue)
        rate = limits.rate

        async def limit(db: Connection) -> None:
            await db.execute(_KNOWN, queue)
            await db.execute(
                "UPDATE outgrow.queue SET slots = $2, rate_count = $3, rate_per_ms = $4, "
                "rate_burst = $5, tokens = $6, refilled_ms = $7 WHERE name = $1",
                *(queue, limits.slots),
                *((rate.count, rate.per_ms, rate.burst_count) if rate else (None, None, None)),
                *(float(rate.burst_count) if rate else 0.0, self._pool.now_ms()),
            )

        await self._pool.run(limit)

    async def find(self, id: UUID) -> JobView | None:
        """One job."""
        return await views.find(self._pool, id)

    async def jobs(
        self,
        state: JobState,
        *,
        queue: str | None = None,
        after: UUID | None = None,
        limit: int = 100,
    ) -> list[JobView]:
        """A page of jobs."""
        return await views.jobs(self._pool, state, queue, after, limit)

    async def queues(self) -> list[QueueView]:
        """All that have a job or a limit."""
        return await views.queues(self._pool)

    async def tick(self, schedule: str, tick_ms: int, jobs: Sequence[NewJob]) -> bool:
        """Enqueue the jobs of a tick, once."""
        check_name("schedule", schedule)
        check_jobs(jobs)
        asked = (
            "INSERT INTO outgrow.schedule AS s VALUES ($1, $2) ON CONFLICT (name) DO UPDATE "
            "SET last_tick_ms = excluded.last_tick_ms "
            "WHERE s.last_tick_ms < excluded.last_tick_ms RETURNING 1"
        )

        async def tick(db: Connection) -> bool:
            if await db.fetchval(asked, schedule, tick_ms) is None:
                return False
            await place_jobs(db, jobs, self._pool.now_ms())
            return True

        return await self._pool.run(tick)

    async def last_tick(self, schedule: str) -> int | None:
        """The last tick that was enqueued."""
        asked = "SELECT last_tick_ms FROM outgrow.schedule WHERE name = $1"
        return await self._pool.run(lambda db: db.fetchval(asked, schedule))

    async def _enqueue(self, batch: Sequence[Sequence[NewJob]]) -> list[list[Placed]]:
        jobs = [one for jobs in batch for one in jobs]
        now_ms = self._pool.now_ms()
        placed = iter(await self._pool.run(lambda db: place_jobs(db, jobs, now_ms)))
        return [[next(placed) for _ in jobs] for jobs in batch]

    async def _claim(
        self,
        db: Connection,
        lease: Lease,
        queue: str,
        limit: int,
        marks: tuple[list[int], list[int]],
    ) -> list[ClaimedJob]:
        holder, now_ms = (lease.worker, lease.epoch), self._pool.now_ms()
        bounds = await db.fetchrow(_BOUNDS, *holder, queue)
        if bounds is None:
            raise no_lease(lease)
        if bounds["is_paused"] is not False:
            return []  # or nobody knows the queue yet
        if bounds["slots"] is None and bounds["rate_count"] is None:
            return _in_order(await db.fetch(_CLAIM, *holder, queue, *marks, now_ms, limit))
        return await self._claim_bounded(db, lease, queue, limit, marks)

    async def _claim_bounded(
        self,
        db: Connection,
        lease: Lease,
        queue: str,
        limit: int,
        marks: tuple[list[int], list[int]],
    ) -> list[ClaimedJob]:
        """Claim where others must not claim at the same time, because we count."""
        now_ms, at_most = self._pool.now_ms(), limit
        asked = "SELECT * FROM outgrow.queue WHERE name = $1 FOR UPDATE"
        bounds = await db.fetchrow(asked, queue)
        slots = await _free_slots(db, queue, bounds["slots"]) if bounds["slots"] else None
        if slots is not None:
            at_most = min(at_most, len(slots))
        tokens = None
        if bounds["rate_count"] is not None:
            tokens = refilled([bounds[name] for name in _BUCKET], now_ms)
            at_most = min(at_most, int(tokens))
        if at_most <= 0:
            return []
        rows = await db.fetch(_CLAIM, *(lease.worker, lease.epoch), queue, *marks, now_ms, at_most)
        if slots is not None and rows:
            await db.execute(
                "UPDATE outgrow.job j SET queue_slot = w.slot "
                "FROM unnest($1::bigint[], $2::int[]) AS w (number, slot) "
                "WHERE j.number = w.number",
                [row["number"] for row in rows],
                slots[: len(rows)],
            )
        if tokens is not None:
            asked = "UPDATE outgrow.queue SET tokens = $2, refilled_ms = $3 WHERE name = $1"
            await db.execute(asked, queue, tokens - len(rows), now_ms)
        return _in_order(rows)

    async def _settle(
        self, batch: Sequence[tuple[Lease, Sequence[JobOutcome]]]
    ) -> list[list[bool]]:
        by_lease: dict[Lease, list[JobOutcome]] = {}
        for lease, outcomes in batch:
            by_lease.setdefault(lease, []).extend(outcomes)

        async def settle(db: Connection) -> dict[Lease, dict[tuple[UUID, int], bool]]:
            now_ms = self._pool.now_ms()
            return {
                lease: await _settle_all(db, lease, outcomes, now_ms)
                for lease, outcomes in by_lease.items()
            }

        said = await self._pool.run(settle)
        return [[said[lease][one.id, one.attempt] for one in outcomes] for lease, outcomes in batch]


_BUCKET = ("rate_count", "rate_per_ms", "rate_burst", "tokens", "refilled_ms")


async def _settle_all(
    db: Connection, lease: Lease, outcomes: Sequence[JobOutcome], now_ms: int
) -> dict[tuple[UUID, int], bool]:
    done = [one for one in outcomes if one.how == "done"]
    gone = await finish(db, lease, done, now_ms) if done else set[UUID]()
    answers = {(one.id, one.attempt): one.id in gone for one in done}
    others = sorted((one for one in outcomes if one.how != "done"), key=lambda one: one.id)
    for one in others:
        answers[one.id, one.attempt] = await settle_job(db, lease, one, now_ms)
    return answers


async def _free_slots(db: Connection, queue: str, slots: int) -> list[int]:
    """Slots that may be given out; those that run without one count as well."""
    asked = "SELECT queue_slot FROM outgrow.job WHERE queue = $1 AND state = 1"
    used = [row["queue_slot"] for row in await db.fetch(asked, queue)]
    free = [slot for slot in range(1, slots + 1) if slot not in set(used)]
    return free[: max(0, slots - len(used))]


async def _cancel(
    db: Connection, id: UUID, now_ms: int
) -> Literal["cancelled", "asked", "finished"]:
    asked = f"SELECT {ENDING} FROM outgrow.job j WHERE id = $1"
    job = await db.fetchrow(asked, id)
    if job is None:
        return "finished"
    await lock_keys(db, [job])
    job = await db.fetchrow(f"{asked} FOR UPDATE", id)
    if job is None:
        return "finished"
    if job["state"] != 1:
        await end_job(db, job, "cancelled", now_ms)
        return "cancelled"
    await db.execute("UPDATE outgrow.job SET is_cancelled = true WHERE id = $1", id)
    return "asked"


def _in_order(rows: Sequence[Row]) -> list[ClaimedJob]:
    return [
        ClaimedJob(
            id=UUID(bytes=row["id"].bytes),
            kind=row["kind"],
            queue=row["queue"],
            body=row["body"],
            headers=headers_of(row["headers"]),
            schema=row["schema"],
            attempt=row["attempt"],
            attempts_max=row["attempts_max"],
            key=row["key"],
            timeout_ms=row["timeout_ms"],
            enqueued_ms=row["enqueued_ms"],
            is_suspect=is_death(failure_in(row["failure"])),
            waited_ms=max(0, row["started_ms"] - max(row["enqueued_ms"], row["run_at_ms"])),
        )
        for row in sorted(rows, key=lambda row: (row["rank"], row["place"]))
    ]
