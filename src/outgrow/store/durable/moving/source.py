"""The file that is moved: read page by page, by nobody but us."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from outgrow.store.durable.errors import StoreMoveError, StoreOwnedError
from outgrow.store.durable.ids import wall_clock
from outgrow.store.durable.moving.tables import TABLES
from outgrow.store.durable.sqlite.crew import SqliteCrew
from outgrow.store.durable.sqlite.reader import Reader
from outgrow.store.durable.sqlite.rows import move_in
from outgrow.store.durable.sqlite.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from outgrow.store.durable.moving.mark import Mark
    from outgrow.store.durable.moving.tables import Row, Table
    from outgrow.store.durable.records import Sighting
    from outgrow.store.durable.sqlite.rows import WriterConnection

PAGE_COUNT = 5_000
PAGE_BYTES = 8 * 1024 * 1024
_HAS_STEPS = "EXISTS (SELECT 1 FROM step WHERE step.id = job.id)"


def mark_of(path: Path) -> Mark | None:
    """The move that a file says it is in; None where that cannot be read."""
    address = f"{path.absolute().as_uri()}?mode=ro"
    with suppress(sqlite3.Error), closing(sqlite3.connect(address, uri=True)) as db:
        return move_in(db)
    return None


class Source:
    """A file of events and jobs that moves elsewhere.

    Args:
        path: The file.

    Raises:
        StoreMoveError: There is none.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise StoreMoveError(f"there is no file {path}", hint="Name the one that is to move")
        self._path = path
        self._writer = Writer(path, is_moving=True)
        self._reader = Reader(path)
        self._crew = SqliteCrew(self._writer, self._reader, wall_clock)

    async def start(self) -> None:
        """Have it to ourselves.

        Raises:
            StoreMoveError: Somebody works with it.
            StoreVersionError: Its tables are newer than we are.
        """
        try:
            await self._writer.start()
        except StoreOwnedError:
            raise StoreMoveError(
                f"another process works with {self._path}",
                hint="Stop the app, then give the same command again",
            ) from None

    async def stop(self) -> None:
        """Let it go."""
        await self._writer.stop()

    async def counts(self) -> dict[str, int]:
        """How many rows each table has; also while others work with the file."""
        found: dict[str, int] = {}
        for table in TABLES:
            rows = await self._reader.rows(f"SELECT count(*) FROM {table.name}")
            found[table.name] = rows[0][0]
        return found

    async def workers(self) -> list[Sighting]:
        """Those that have a lease, alive or dead."""
        return await self._crew.sightings()

    async def bury(self, workers: list[Sighting]) -> None:
        """Take back what these held; the attempts stay spent."""
        for one in workers:
            await self._crew.bury(one.lease)

    async def mark(self) -> Mark | None:
        """The move that it says it is in."""
        return await self._writer.run(move_in)

    async def set_mark(self, mark: Mark | None) -> None:
        """Say that it is in this move, or in none."""

        def say(db: WriterConnection) -> None:
            db.execute("DELETE FROM moving")
            if mark is not None:
                values = (mark.id.bytes, mark.state, mark.other)
                db.execute("INSERT INTO moving VALUES (?, ?, ?)", values)

        await self._writer.run(say)

    async def page(self, table: Table, after: Row | None) -> list[Row]:
        """The next rows of a table, in the order of its key; none at its end."""
        return await self._writer.run(_reading(table, after))

    async def epoch(self) -> int:
        """The highest that a worker had."""
        asked = "SELECT coalesce(max(value), 0) FROM counter WHERE name = 'epoch'"
        return (await self._reader.rows(asked))[0][0]


def _reading(table: Table, after: Row | None) -> Callable[[WriterConnection], list[Row]]:
    columns = ", ".join(_HAS_STEPS if one == "has_steps" else one for one in table.columns)
    key = ", ".join(table.key)
    later = f"WHERE ({key}) > ({', '.join('?' * len(table.key))})" if after else ""
    asked = f"SELECT {columns} FROM {table.name} {later} ORDER BY {key} LIMIT {PAGE_COUNT}"

    def read(db: WriterConnection) -> list[Row]:
        rows: list[Row] = []
        size_bytes = 0
        for row in db.execute(asked, after or ()):
            rows.append(row)
            size_bytes += sum(len(value) for value in row if isinstance(value, bytes))
            if size_bytes >= PAGE_BYTES:
                break
        return rows

    return read
