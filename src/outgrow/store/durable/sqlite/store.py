"""Durable work in one SQLite file, for one process that has it open."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from outgrow.store.durable.ids import first_id_of, wall_clock
from outgrow.store.durable.packing import event_of, job_of
from outgrow.store.durable.protocol import COUNT_MAX
from outgrow.store.durable.records import KindCount
from outgrow.store.durable.sqlite.crew import SqliteCrew
from outgrow.store.durable.sqlite.dead import SqliteDead
from outgrow.store.durable.sqlite.jobs import (
    SWEEP_COUNT_MAX,
    insert_job,
    sweep_due,
    sweep_expired,
)
from outgrow.store.durable.sqlite.log import SqliteLog, keep_again
from outgrow.store.durable.sqlite.parked import revive
from outgrow.store.durable.sqlite.queue import SqliteQueue
from outgrow.store.durable.sqlite.reader import Reader
from outgrow.store.durable.sqlite.schema import VERSIONS
from outgrow.store.durable.sqlite.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from outgrow.store.durable.ids import Clock
    from outgrow.store.durable.sqlite.rows import WriterConnection

PRUNE_COUNT_MAX = 2_000
# How long an id is known that was sent once; who sends again does so at once, or after a crash.
RECEIVED_MS = 7 * 86_400_000
ROUNDS_MAX = 200


class SqliteDurable:
    """A log and queues in one file.

    Args:
        path: The file; `PATH-owner` beside it says who has it open.
        clock: The time by which jobs start and expire.
        is_fast: Not to wait for the disk: a power failure may take the last moments.
        versions: What brings the tables forwards.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock = wall_clock,
        is_fast: bool = False,
        versions: Sequence[str] = VERSIONS,
    ) -> None:
        self._clock = clock
        self._writer = Writer(path, is_fast=is_fast, versions=versions)
        self._reader = Reader(path)
        self.log = SqliteLog(self._writer, clock)
        self.queue = SqliteQueue(self._writer, self._reader, clock)
        self.dead = SqliteDead(self._writer, self._reader, clock, _revive)
        self.crew = SqliteCrew(self._writer, self._reader, clock)

    async def start(self) -> None:
        """Open it, and bring its tables forwards."""
        await self._writer.start()

    async def stop(self) -> None:
        """Close it, after what was asked for before."""
        await self._writer.stop()

    async def sweep(self) -> int:
        """Let jobs start whose time has come, and end those that expired."""
        moved = 0
        for sweep in (sweep_expired, sweep_due):
            for _ in range(ROUNDS_MAX):
                count = await self._writer.run(lambda db, sweep=sweep: sweep(db, self._clock()))
                moved += count
                if count < SWEEP_COUNT_MAX:
                    break
        return moved

    async def prune(self, *, keep_ms: int) -> int:
        """Remove what is old."""
        before_ms = self._clock() - keep_ms
        received = first_id_of(self._clock() - max(keep_ms, RECEIVED_MS)).bytes
        removed = 0
        for table, key, condition, value in (
            ("job_done", "id", "finished_ms < ?", before_ms),
            ("unique_mark", "unique_key", "until_ms < ?", self._clock()),
            ("received", "id", "id < ?", received),
            ("message", "number", _READ_BY_ALL, before_ms),
        ):
            asked = f"SELECT {key} FROM {table} WHERE {condition} LIMIT {PRUNE_COUNT_MAX}"
            removed += await self._remove(f"DELETE FROM {table} WHERE {key} IN ({asked})", value)
        return removed

    async def waiting(self, name: str, schema: str) -> int:
        """How much waits that has a body of this schema."""
        asked = (
            f"SELECT (SELECT count(*) FROM (SELECT 1 FROM job WHERE kind = ? AND schema = ? "
            f"LIMIT {COUNT_MAX})) + (SELECT count(*) FROM (SELECT 1 FROM message m "
            "JOIN subscription s ON s.topic = m.topic "
            "JOIN cursor c ON c.subscription = s.name AND c.partition = m.partition "
            "WHERE m.topic = ? AND m.schema = ? AND (m.offset > c.offset OR EXISTS ("
            "SELECT 1 FROM parked p WHERE p.subscription = s.name AND p.partition = m.partition "
            f"AND p.offset = m.offset)) LIMIT {COUNT_MAX}))"
        )
        rows = await self._reader.rows(asked, (name, schema, name, schema))
        return min(rows[0][0], COUNT_MAX)

    async def unfinished(self, kinds: Collection[str]) -> list[KindCount]:
        """How many jobs of these kinds have not ended."""
        asked = (
            "SELECT kind, queue, count(*) FROM (SELECT kind, queue FROM job WHERE kind IN "
            f"(SELECT value FROM json_each(?)) LIMIT {COUNT_MAX}) GROUP BY 1, 2 ORDER BY 1, 2"
        )
        rows = await self._reader.rows(asked, (json.dumps(list(kinds)),))
        return [KindCount(*row) for row in rows]

    async def schemas(self) -> dict[tuple[str, str], bytes]:
        """The schemas that were declared."""
        rows = await self._reader.rows("SELECT name, schema, described FROM shape")
        return {(name, schema): described for name, schema, described in rows}

    async def declare(self, name: str, schema: str, described: bytes) -> None:
        """Keep what a fingerprint stands for."""
        asked = "INSERT OR REPLACE INTO shape VALUES (?, ?, ?)"
        await self._writer.run(lambda db: db.execute(asked, (name, schema, described)).rowcount)

    async def _remove(self, asked: str, value: object) -> int:
        removed = 0
        for _ in range(ROUNDS_MAX):
            count = await self._writer.run(lambda db: db.execute(asked, (value,)).rowcount)
            removed += count
            if count < PRUNE_COUNT_MAX:
                break
        return removed


_READ_BY_ALL = (
    "appended_ms < ? AND NOT EXISTS (SELECT 1 FROM subscription s JOIN cursor c "
    "ON c.subscription = s.name AND c.partition = message.partition "
    "WHERE s.topic = message.topic AND (c.offset < message.offset OR EXISTS ("
    "SELECT 1 FROM parked p WHERE p.subscription = s.name "
    "AND p.partition = message.partition AND p.offset = message.offset)))"
)


def _revive(db: WriterConnection, kind: str, source: str, copy: bytes, now_ms: int) -> bool:
    if kind == "event":
        number, offset, event = event_of(copy)
        keep_again(db, number, offset, event, now_ms)
        return revive(db, source, number, offset, event.key, now_ms)
    job = job_of(copy)
    taken = "SELECT 1 FROM job WHERE id = ? OR unique_key = ?"
    if db.execute(taken, (job.id.bytes, job.unique)).fetchone() is not None:
        return False
    insert_job(db, job, now_ms)
    return True
