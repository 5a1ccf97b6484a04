"""Reads what people look at, beside the writer and without holding it up."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from outgrow.store.durable.errors import StoreLostError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from outgrow.store.durable.sqlite.rows import Row

READS_MAX = 4


class Reader:
    """Short reads of one file, each on a connection of its own, so that no WAL is held for long."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turns = asyncio.Semaphore(READS_MAX)

    async def rows(self, asked: str, values: Sequence[object] = ()) -> list[Row]:
        """All rows of a query."""
        async with self._turns:
            return await asyncio.to_thread(self._read, asked, values)

    def _read(self, asked: str, values: Sequence[object]) -> list[Row]:
        address = f"{self._path.absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(address, uri=True, timeout=5.0)) as db:
                return db.execute(asked, tuple(values)).fetchall()
        except sqlite3.OperationalError as problem:
            raise StoreLostError(
                f"{self._path.name} could not be read: {problem}", may_be_kept=False
            ) from None
