"""Dead letters in PostgreSQL: jobs and events that used up their attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from outgrow.store.durable.failures import NO_REASON
from outgrow.store.durable.packing import event_of, failure_in, job_of, packed
from outgrow.store.durable.postgres.enqueueing import insert_jobs
from outgrow.store.durable.postgres.parked import revive
from outgrow.store.durable.postgres.rows import changed
from outgrow.store.durable.protocol import PAGE_MAX
from outgrow.store.durable.records import DeadGroup, DeadLetter

if TYPE_CHECKING:
    from collections.abc import Collection

    from outgrow.store.durable.postgres.pool import Connection, Pool
    from outgrow.store.durable.postgres.rows import Row

_CHOSEN = "($1::text IS NULL OR fingerprint = $1) AND ($2::bigint[] IS NULL OR number = ANY($2))"
_AGAIN = """
INSERT INTO outgrow.message (topic, partition, seq, id, key, schema, appended_ms, body, headers)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING
"""


class PostgresDead:
    """The dead letters of one database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def letters(
        self, *, fingerprint: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[DeadLetter]:
        """A page of them, the last first."""
        condition = "fingerprint = $3" if fingerprint is not None else "$3::text IS NULL"
        asked = (
            f"SELECT * FROM outgrow.dead WHERE number < $1 AND {condition} "
            "ORDER BY number DESC LIMIT $2"
        )
        last = before if before is not None else 1 << 62
        page = min(limit, PAGE_MAX)
        rows = await self._pool.run(lambda db: db.fetch(asked, last, page, fingerprint))
        return [_letter(row) for row in rows]

    async def groups(self, *, limit: int = 100) -> list[DeadGroup]:
        """Them by fingerprint."""
        asked = """
            SELECT g.*, d.* FROM (
                SELECT fingerprint AS of_group, count(*) AS size, min(died_ms) AS first_ms,
                    max(died_ms) AS last_ms, max(number) AS last
                FROM outgrow.dead GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT $1
            ) g JOIN outgrow.dead d ON d.number = g.last ORDER BY g.size DESC, g.of_group"""
        return [
            DeadGroup(
                fingerprint=row["of_group"],
                count=row["size"],
                first_ms=row["first_ms"],
                last_ms=row["last_ms"],
                sample=_letter(row),
            )
            for row in await self._pool.run(lambda db: db.fetch(asked, min(limit, PAGE_MAX)))
        ]

    async def replay(
        self, *, fingerprint: str | None = None, numbers: Collection[int] = (), limit: int = 1000
    ) -> int:
        """Try some again."""
        chosen = (fingerprint, list(numbers) or None, limit)
        asked = (
            f"SELECT number, kind, source, copy FROM outgrow.dead WHERE {_CHOSEN} "
            "ORDER BY number LIMIT $3 FOR UPDATE SKIP LOCKED"
        )

        async def again(db: Connection) -> int:
            now_ms = self._pool.now_ms()
            alive = [
                row["number"]
                for row in await db.fetch(asked, *chosen)
                if await _revive(db, row, now_ms)
            ]
            await db.execute("DELETE FROM outgrow.dead WHERE number = ANY($1::bigint[])", alive)
            return len(alive)

        return await self._pool.run(again)

    async def discard(
        self, *, fingerprint: str | None = None, numbers: Collection[int] = (), limit: int = 1000
    ) -> int:
        """Forget some."""
        asked = (
            "DELETE FROM outgrow.dead WHERE number IN (SELECT number FROM outgrow.dead "
            f"WHERE {_CHOSEN} ORDER BY number LIMIT $3 FOR UPDATE SKIP LOCKED)"
        )
        chosen = (fingerprint, list(numbers) or None, limit)
        return changed(await self._pool.run(lambda db: db.execute(asked, *chosen)))


async def _revive(db: Connection, row: Row, now_ms: int) -> bool:
    if row["kind"] == "job":
        job = job_of(row["copy"])
        if await db.fetchval("SELECT 1 FROM outgrow.job WHERE id = $1", job.id):
            return False
        return bool(await insert_jobs(db, [job], now_ms))
    number, offset, event = event_of(row["copy"])
    # Where it stood, though its time in the log may be over.
    await db.execute(
        _AGAIN,
        *(event.topic, number, offset, event.id, event.key, event.schema, now_ms),
        *(event.body, packed(event.headers)),
    )
    return await revive(db, row["source"], number, offset, event.key, now_ms)


def _letter(row: Row) -> DeadLetter:
    return DeadLetter(
        number=row["number"],
        kind=row["kind"],
        id=UUID(bytes=row["id"].bytes),
        source=row["source"],
        name=row["name"],
        attempts=row["attempts"],
        died_ms=row["died_ms"],
        failure=failure_in(row["failure"]) or NO_REASON,
    )
