"""The workers that use an SQLite file."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from outgrow.store.durable.checks import check_name
from outgrow.store.durable.ids import new_id
from outgrow.store.durable.records import Freed, Lease, Pulse, Sighting
from outgrow.store.durable.sqlite.jobs import seize_jobs
from outgrow.store.durable.sqlite.parked import seize
from outgrow.store.durable.sqlite.rows import next_epoch

if TYPE_CHECKING:
    from outgrow.store.durable.ids import Clock
    from outgrow.store.durable.sqlite.reader import Reader
    from outgrow.store.durable.sqlite.rows import WriterConnection
    from outgrow.store.durable.sqlite.writer import Writer


class SqliteCrew:
    """The workers of one file."""

    def __init__(self, writer: Writer, reader: Reader, clock: Clock) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock

    async def register(self, name: str) -> Lease:
        """A lease for a worker that starts."""
        check_name("worker", name)
        worker = new_id(self._clock())

        def register(db: WriterConnection) -> Lease:
            epoch = next_epoch(db)
            db.execute("INSERT INTO worker VALUES (?, ?, ?, 0)", (worker.bytes, epoch, name))
            return Lease(worker, epoch)

        return await self._writer.run(register)

    async def beat(self, lease: Lease) -> Pulse:
        """Give a sign of life."""
        holder = (lease.worker.bytes, lease.epoch)

        def beat(db: WriterConnection) -> Pulse:
            asked = "UPDATE worker SET beat = beat + 1 WHERE id = ? AND epoch = ?"
            if not db.execute(asked, holder).rowcount:
                return Pulse(False)
            asked = (
                "SELECT id FROM job WHERE state = 1 AND worker = ? AND epoch = ? AND is_cancelled"
            )
            cancelled = db.execute(asked, holder).fetchall()
            return Pulse(True, tuple(UUID(bytes=id) for (id,) in cancelled))

        return await self._writer.run(beat)

    async def sightings(self) -> list[Sighting]:
        """All workers that have a lease."""
        rows = await self._reader.rows("SELECT id, epoch, name, beat FROM worker ORDER BY id")
        return [
            Sighting(Lease(UUID(bytes=id), epoch), name, beat) for id, epoch, name, beat in rows
        ]

    async def bury(self, lease: Lease, beat: int | None = None) -> Freed | None:
        """Take a worker for dead."""
        return await self._writer.run(
            lambda db: _dismiss(db, lease, beat, self._clock(), is_counted=True)
        )

    async def leave(self, lease: Lease) -> Freed | None:
        """Give back all that a worker holds."""
        return await self._writer.run(
            lambda db: _dismiss(db, lease, None, self._clock(), is_counted=False)
        )


def _dismiss(
    db: WriterConnection, lease: Lease, beat: int | None, now_ms: int, *, is_counted: bool
) -> Freed | None:
    asked = "DELETE FROM worker WHERE id = ? AND epoch = ? AND beat = coalesce(?, beat)"
    if not db.execute(asked, (lease.worker.bytes, lease.epoch, beat)).rowcount:
        return None
    jobs = seize_jobs(db, lease, now_ms, is_counted=is_counted)
    events = seize(db, lease, now_ms, is_counted=is_counted)
    return Freed(jobs.again_count + events.again_count, jobs.dead_count + events.dead_count)
