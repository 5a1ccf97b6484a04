"""The workers that use one PostgreSQL database."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

from outgrow.store.durable.checks import check_name
from outgrow.store.durable.ids import new_id
from outgrow.store.durable.postgres.jobs import seize_jobs
from outgrow.store.durable.postgres.parked import seize
from outgrow.store.durable.records import Freed, Lease, Pulse, Sighting

if TYPE_CHECKING:
    from outgrow.store.durable.postgres.pool import Connection, Pool


LOOK_SECONDS = 1.0
# A process that froze while it was sending a statement, or while it was sent rows, stays `active`,
# and no time limit of the server ends it; it may hold what its burial waits for. Once one session
# of a process stood still for so long, all are ended that it has: else each that gets what
# another held would have a time limit of its own, one after another.
_END_FROZEN = """
WITH frozen AS (
    SELECT holder.pid, holder.application_name
    FROM pg_stat_activity waiting
    CROSS JOIN LATERAL unnest(pg_blocking_pids(waiting.pid)) AS blocking (pid)
    JOIN pg_stat_activity holder ON holder.pid = blocking.pid
    WHERE waiting.datname = current_database() AND waiting.wait_event_type = 'Lock'
        AND holder.usename = current_user AND holder.state IN ('active', 'idle in transaction')
        AND holder.wait_event IN ('ClientRead', 'ClientWrite') AND holder.query LIKE '%outgrow.%'
        AND clock_timestamp() - holder.state_change > interval '3 seconds'
)
SELECT count(pg_terminate_backend(pid))
FROM pg_stat_activity
WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
    AND (pid IN (SELECT pid FROM frozen) OR application_name LIKE 'outgrow-%'
        AND application_name IN (SELECT application_name FROM frozen))
"""


class PostgresCrew:
    """The workers of one database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def register(self, name: str) -> Lease:
        """A lease for a worker that starts."""
        check_name("worker", name)
        worker = new_id(self._pool.now_ms())
        asked = (
            "INSERT INTO outgrow.worker VALUES ($1, nextval('outgrow.epoch'), $2, 0) "
            "RETURNING epoch"
        )
        return Lease(worker, await self._pool.run(lambda db: db.fetchval(asked, worker, name)))

    async def beat(self, lease: Lease) -> Pulse:
        """Give a sign of life."""
        asked = "UPDATE outgrow.worker SET beat = beat + 1 WHERE id = $1 AND epoch = $2 RETURNING 1"

        async def beat(db: Connection) -> Pulse:
            if await db.fetchval(asked, lease.worker, lease.epoch) is None:
                return Pulse(False)
            told = "SELECT id FROM outgrow.job WHERE worker = $1 AND epoch = $2 AND is_cancelled"
            rows = await db.fetch(told, lease.worker, lease.epoch)
            return Pulse(True, tuple(UUID(bytes=row["id"].bytes) for row in rows))

        return await self._pool.run(beat)

    async def sightings(self) -> list[Sighting]:
        """All workers that have a lease."""
        asked = "SELECT * FROM outgrow.worker ORDER BY id"
        return [
            Sighting(Lease(UUID(bytes=row["id"].bytes), row["epoch"]), row["name"], row["beat"])
            for row in await self._pool.run(lambda db: db.fetch(asked))
        ]

    async def bury(self, lease: Lease, beat: int | None = None) -> Freed | None:
        """Take a worker for dead."""
        dismissing = asyncio.ensure_future(
            self._pool.run(lambda db: self._dismiss(db, lease, beat, is_counted=True))
        )
        try:
            while not (await asyncio.wait({dismissing}, timeout=LOOK_SECONDS))[0]:
                await self._pool.run(lambda db: db.fetchval(_END_FROZEN))
            return await dismissing
        finally:
            dismissing.cancel()

    async def leave(self, lease: Lease) -> Freed | None:
        """Give back all that a worker holds."""
        return await self._pool.run(lambda db: self._dismiss(db, lease, None, is_counted=False))

    async def _dismiss(
        self, db: Connection, lease: Lease, beat: int | None, *, is_counted: bool
    ) -> Freed | None:
        # Waits for claims of this worker that are on their way, whose jobs the next statements see.
        asked = (
            "DELETE FROM outgrow.worker WHERE id = $1 AND epoch = $2 "
            "AND beat = coalesce($3, beat) RETURNING 1"
        )
        if await db.fetchval(asked, lease.worker, lease.epoch, beat) is None:
            return None
        now_ms = self._pool.now_ms()
        events = await seize(db, lease, now_ms, is_counted=is_counted)
        jobs = await seize_jobs(db, lease, now_ms, is_counted=is_counted)
        return Freed(jobs.again_count + events.again_count, jobs.dead_count + events.dead_count)
