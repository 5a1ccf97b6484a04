"""Dead letters in an SQLite file: jobs and events that used up their attempts."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from outgrow.store.durable.failures import NO_REASON
from outgrow.store.durable.packing import failure_in
from outgrow.store.durable.protocol import PAGE_MAX
from outgrow.store.durable.records import DeadGroup, DeadLetter
from outgrow.store.durable.sqlite.rows import marks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from outgrow.store.durable.ids import Clock
    from outgrow.store.durable.sqlite.reader import Reader
    from outgrow.store.durable.sqlite.rows import Row, WriterConnection
    from outgrow.store.durable.sqlite.writer import Writer

    # Puts a letter back among the living, by its kind, source and copy; False where it cannot be.
    Revive = Callable[[WriterConnection, str, str, bytes, int], bool]

_COLUMNS = "number, kind, id, source, name, attempts, died_ms, failure"


class SqliteDead:
    """The dead letters of one file."""

    def __init__(self, writer: Writer, reader: Reader, clock: Clock, revive: Revive) -> None:
        self._writer = writer
        self._reader = reader
        self._clock = clock
        self._revive = revive

    async def letters(
        self, *, fingerprint: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[DeadLetter]:
        """A page of them, the last first."""
        chosen, values = _chosen(fingerprint, ())
        asked = f"SELECT {_COLUMNS} FROM dead WHERE {chosen} AND number < ? "
        asked += "ORDER BY number DESC LIMIT ?"
        last = before if before is not None else 1 << 62
        page = min(limit, PAGE_MAX)
        rows = await self._reader.rows(asked, (*values, last, page))
        return [_letter(row) for row in rows]

    async def groups(self, *, limit: int = 100) -> list[DeadGroup]:
        """Them by fingerprint."""
        asked = (
            "SELECT fingerprint, count(*), min(died_ms), max(died_ms), max(number) FROM dead "
            "GROUP BY fingerprint ORDER BY 2 DESC, 1 LIMIT ?"
        )
        found: list[DeadGroup] = []
        for fingerprint, count, first_ms, last_ms, number in await self._reader.rows(
            asked, (min(limit, PAGE_MAX),)
        ):
            one = f"SELECT {_COLUMNS} FROM dead WHERE number = ?"
            found += [
                DeadGroup(
                    fingerprint=fingerprint,
                    count=count,
                    first_ms=first_ms,
                    last_ms=last_ms,
                    sample=_letter(row),
                )
                for row in await self._reader.rows(one, (number,))
            ]
        return found

    async def replay(
        self, *, fingerprint: str | None = None, numbers: Collection[int] = (), limit: int = 1000
    ) -> int:
        """Try some again."""
        chosen, values = _chosen(fingerprint, numbers)

        def again(db: WriterConnection) -> int:
            asked = f"SELECT number, kind, source, copy FROM dead WHERE {chosen} "
            rows = db.execute(asked + "ORDER BY number LIMIT ?", (*values, limit)).fetchall()
            now_ms = self._clock()
            alive = [
                (number,)
                for number, kind, source, copy in rows
                if self._revive(db, kind, source, copy, now_ms)
            ]
            db.executemany("DELETE FROM dead WHERE number = ?", alive)
            return len(alive)

        return await self._writer.run(again)

    async def discard(
        self, *, fingerprint: str | None = None, numbers: Collection[int] = (), limit: int = 1000
    ) -> int:
        """Forget some."""
        chosen, values = _chosen(fingerprint, numbers)
        asked = f"SELECT number FROM dead WHERE {chosen} ORDER BY number LIMIT ?"
        forget = f"DELETE FROM dead WHERE number IN ({asked})"
        return await self._writer.run(lambda db: db.execute(forget, (*values, limit)).rowcount)


def bury(
    db: WriterConnection,
    what: tuple[str, bytes, str, str],
    died: tuple[int, int, bytes],
    copy: bytes,
) -> None:
    """Keep a dead letter.

    Args:
        db: Where.
        what: Its kind, id, source and name.
        died: Attempts, time and packed failure.
        copy: What brings it back.
    """
    attempts, now_ms, failure = died
    fingerprint = (failure_in(failure) or NO_REASON).fingerprint
    db.execute(
        "INSERT INTO dead VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*what, attempts, now_ms, fingerprint, failure, copy),
    )


def _chosen(fingerprint: str | None, numbers: Collection[int]) -> tuple[str, tuple[object, ...]]:
    conditions, values = ["TRUE"], list[object]()
    if fingerprint is not None:
        conditions.append("fingerprint = ?")
        values.append(fingerprint)
    if numbers:
        conditions.append(f"number IN ({marks(len(numbers))})")
        values += numbers
    return " AND ".join(conditions), tuple(values)


def _letter(row: Row) -> DeadLetter:
    number, kind, id, source, name, attempts, died_ms, failure = row
    return DeadLetter(
        number=number,
        kind=kind,
        id=UUID(bytes=id),
        source=source,
        name=name,
        attempts=attempts,
        died_ms=died_ms,
        failure=failure_in(failure) or NO_REASON,
    )
