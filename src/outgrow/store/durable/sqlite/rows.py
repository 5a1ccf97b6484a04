"""How values stand in the columns of an SQLite file."""

from __future__ import annotations

import sqlite3
from typing import Any
from uuid import UUID

from outgrow.store.durable.errors import LeaseLostError
from outgrow.store.durable.moving.mark import Mark
from outgrow.store.durable.records import Lease

Row = tuple[Any, ...]

PLACES_COUNT = 10_000


class WriterConnection(sqlite3.Connection):
    """The one connection that writes, with what it alone has to know.

    Attributes:
        place: The last place in a queue that was given out.
        places_end: The last one that may be, before more are reserved in the file.
        queues: Names of queues that are in the table.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.place = 0
        self.places_end = 0
        self.queues: set[str] = set()

    def forget(self) -> None:
        """Take nothing for certain that may just have been undone."""
        self.places_end = 0
        self.queues.clear()


def lease_in(worker: bytes | None, epoch: int | None) -> Lease | None:
    """The lease that two columns name."""
    return None if worker is None or epoch is None else Lease(UUID(bytes=worker), epoch)


def check_lease(db: WriterConnection, lease: Lease) -> None:
    """Refuse a worker that was buried.

    Raises:
        LeaseLostError: It was.
    """
    asked = "SELECT 1 FROM worker WHERE id = ? AND epoch = ?"
    if db.execute(asked, (lease.worker.bytes, lease.epoch)).fetchone() is None:
        raise LeaseLostError(f"the worker {lease.worker} has no lease {lease.epoch} any more")


def next_place(db: WriterConnection) -> int:
    """A place behind all others, also those of a process before us."""
    if db.place >= db.places_end:
        asked = (
            "INSERT INTO counter VALUES ('place', ?) ON CONFLICT (name) "
            "DO UPDATE SET value = max(value, ?) + ? RETURNING value"
        )
        values = (PLACES_COUNT, db.place, PLACES_COUNT)
        db.places_end = db.execute(asked, values).fetchall()[0][0]
        db.place = max(db.place, db.places_end - PLACES_COUNT)
    db.place += 1
    return db.place


def next_epoch(db: WriterConnection) -> int:
    """A number that no worker had."""
    asked = (
        "INSERT INTO counter VALUES ('epoch', 1) "
        "ON CONFLICT (name) DO UPDATE SET value = value + 1 RETURNING value"
    )
    return db.execute(asked).fetchall()[0][0]


def marks(count: int) -> str:
    """Placeholders for so many values."""
    return ",".join("?" * count)


def move_in(db: sqlite3.Connection) -> Mark | None:
    """The move from a file to another place, if there is or was one."""
    if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'moving'").fetchone():
        return None  # of an earlier version
    found = db.execute("SELECT id, state, other FROM moving").fetchone()
    return Mark(UUID(bytes=found[0]), found[1], found[2]) if found else None
