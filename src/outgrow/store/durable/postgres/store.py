"""Durable work in one PostgreSQL database, for any number of processes at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.store.durable.ids import first_id_of
from outgrow.store.durable.postgres.crew import PostgresCrew
from outgrow.store.durable.postgres.dead import PostgresDead
from outgrow.store.durable.postgres.jobs import SWEEP_COUNT_MAX, sweep_due, sweep_expired
from outgrow.store.durable.postgres.log import PostgresLog
from outgrow.store.durable.postgres.pool import CONNECTIONS_MAX, DAY_MS, Pool
from outgrow.store.durable.postgres.queue import PostgresQueue
from outgrow.store.durable.postgres.rows import changed
from outgrow.store.durable.postgres.schema import VERSIONS
from outgrow.store.durable.protocol import COUNT_MAX
from outgrow.store.durable.records import KindCount

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from outgrow.store.durable.ids import Clock
    from outgrow.store.durable.postgres.pool import Connection

PRUNE_COUNT_MAX = 5_000
# How long an id is known that was sent once; who sends again does so at once, or after a crash.
RECEIVED_MS = 7 * DAY_MS
ROUNDS_MAX = 200

_READ_BY_ALL = """
appended_ms < $1 AND NOT EXISTS (
    SELECT 1 FROM outgrow.subscription s JOIN outgrow.cursor c
    ON c.subscription = s.name AND c.partition = m.partition
    WHERE s.topic = m.topic AND (c.seq < m.seq OR EXISTS (
        SELECT 1 FROM outgrow.parked p
        WHERE p.subscription = s.name AND p.partition = m.partition AND p.seq = m.seq)))
"""
_WAITING = f"""
SELECT (SELECT count(*) FROM (
    SELECT 1 FROM outgrow.job WHERE kind = $1 AND schema = $2 LIMIT {COUNT_MAX}) j
) + (SELECT count(*) FROM (
    SELECT 1 FROM outgrow.message m JOIN outgrow.subscription s ON s.topic = m.topic
    JOIN outgrow.cursor c ON c.subscription = s.name AND c.partition = m.partition
    WHERE m.topic = $1 AND m.schema = $2 AND (m.seq > c.seq OR EXISTS (
        SELECT 1 FROM outgrow.parked p
        WHERE p.subscription = s.name AND p.partition = m.partition AND p.seq = m.seq))
    LIMIT {COUNT_MAX}) e)
"""


class PostgresDurable:
    """A log and queues in one database, in the schema `outgrow`.

    Args:
        url: As PostgreSQL's own programs understand it.
        clock: The time by which jobs start and expire; the server's where None.
        is_pooled: Whether PgBouncer stands between, in transaction mode.
        is_fast: Not to wait for the disk: a power failure may take the last moments.
        connections_max: Connections of this process.
        versions: What brings the tables forwards.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        is_pooled: bool = False,
        is_fast: bool = False,
        connections_max: int = CONNECTIONS_MAX,
        versions: Sequence[str] = VERSIONS,
    ) -> None:
        self._pool = Pool(
            url,
            clock=clock,
            is_pooled=is_pooled,
            is_fast=is_fast,
            connections_max=connections_max,
            versions=versions,
        )
        self.log = PostgresLog(self._pool)
        self.queue = PostgresQueue(self._pool)
        self.dead = PostgresDead(self._pool)
        self.crew = PostgresCrew(self._pool)

    async def start(self) -> None:
        """Open it, and bring its tables forwards."""
        await self._pool.start()

    async def stop(self) -> None:
        """Close it, after what was asked for before."""
        await self.log.close()
        await self.queue.close()
        await self._pool.stop()

    async def sweep(self) -> int:
        """Let jobs start whose time has come, and end those that expired."""
        moved = 0
        for sweep in (sweep_expired, sweep_due):
            for _ in range(ROUNDS_MAX):
                now_ms = self._pool.now_ms()
                count = await self._pool.run(lambda db, sweep=sweep, at=now_ms: sweep(db, at))
                moved += count
                if count < SWEEP_COUNT_MAX:
                    break
        return moved

    async def prune(self, *, keep_ms: int) -> int:
        """Remove what is old."""
        now_ms = self._pool.now_ms()
        before_ms = now_ms - keep_ms
        received = first_id_of(now_ms - max(keep_ms, RECEIVED_MS))
        removed = await self._pool.run(lambda db: self._drop_days(db, before_ms))
        for table, condition, value in (
            ("unique_mark", "until_ms < $1", now_ms),
            ("received", "id < $1", received),
            ("message m", _READ_BY_ALL, before_ms),
        ):
            chosen = f"SELECT ctid FROM outgrow.{table} WHERE {condition} LIMIT {PRUNE_COUNT_MAX}"
            asked = f"DELETE FROM outgrow.{table} WHERE ctid = ANY(ARRAY({chosen}))"
            removed += await self._remove(asked, value)
        return removed

    async def waiting(self, name: str, schema: str) -> int:
        """How much waits that has a body of this schema."""
        found = await self._pool.run(lambda db: db.fetchval(_WAITING, name, schema))
        return min(found, COUNT_MAX)

    async def unfinished(self, kinds: Collection[str]) -> list[KindCount]:
        """How many jobs of these kinds have not ended."""
        asked = (
            "SELECT kind, queue, count(*) FROM (SELECT kind, queue FROM outgrow.job "
            f"WHERE kind = ANY($1::text[]) LIMIT {COUNT_MAX}) j GROUP BY 1, 2 ORDER BY 1, 2"
        )
        rows = await self._pool.run(lambda db: db.fetch(asked, list(kinds)))
        return [KindCount(*row) for row in rows]

    async def schemas(self) -> dict[tuple[str, str], bytes]:
        """The schemas that were declared."""
        asked = "SELECT name, schema, described FROM outgrow.shape"
        rows = await self._pool.run(lambda db: db.fetch(asked))
        return {(row["name"], row["schema"]): row["described"] for row in rows}

    async def declare(self, name: str, schema: str, described: bytes) -> None:
        """Keep what a fingerprint stands for."""
        asked = (
            "INSERT INTO outgrow.shape VALUES ($1, $2, $3) "
            "ON CONFLICT (name, schema) DO UPDATE SET described = excluded.described"
        )
        await self._pool.run(lambda db: db.execute(asked, name, schema, described))

    async def _drop_days(self, db: Connection, before_ms: int) -> int:
        """Drop the history of days that are wholly over; returns how many jobs that were."""
        asked = (
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            "WHERE i.inhparent = 'outgrow.job_done'::regclass"
        )
        names = [row["relname"] for row in await db.fetch(asked)]
        days = [int(name.rpartition("_")[2]) for name in names]
        over = [day for day in days if (day + 1) * DAY_MS <= before_ms]
        dropped = 0
        for day in over:
            dropped += await db.fetchval(f"SELECT count(*) FROM outgrow.job_done_{day}")
            await db.execute(f"DROP TABLE outgrow.job_done_{day}")
        self._pool.forget_days(over)
        return dropped

    async def _remove(self, asked: str, value: object) -> int:
        removed = 0
        for _ in range(ROUNDS_MAX):
            count = changed(await self._pool.run(lambda db: db.execute(asked, value)))
            removed += count
            if count < PRUNE_COUNT_MAX:
                break
        return removed
