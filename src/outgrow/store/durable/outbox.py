"""Events and jobs that are written in a service's own transaction, and moved to the store after it.

They stand as rows in the service's database, so that they exist if and only if the transaction
commits. Who moves them sends them with their ids, which the store keeps once, and then deletes the
rows; broken off anywhere, it is done again. So any number may move at once.

Write them as the last thing of a transaction. On PostgreSQL it locks each key until the commit, in
the order of the keys, so that events of one key stand in the order of their commits and nobody
waits in a circle.

The inbox beside it holds the ids of messages that were handled, written in the same transaction as
what handling them changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

from outgrow.store.durable.checks import check_job, check_publication
from outgrow.store.durable.records import NewJob, Publication

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from outgrow.store.database import Database

Dialect = Literal["sqlite", "postgresql"]
Message = Publication | NewJob
Statement = tuple[str, dict[str, object]]

MOVE_COUNT_MAX = 500
MOVED_BYTES_MAX = 8 * 1024 * 1024
HANDLED_MS = 30 * 86_400_000

_TABLES: dict[Dialect, tuple[str, ...]] = {
    "sqlite": (
        "CREATE TABLE IF NOT EXISTS outgrow_outbox ("
        "seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, body BLOB NOT NULL)",
        "CREATE TABLE IF NOT EXISTS outgrow_inbox (id TEXT NOT NULL, handler TEXT NOT NULL, "
        "handled_ms INTEGER NOT NULL, PRIMARY KEY (id, handler)) WITHOUT ROWID",
    ),
    "postgresql": (
        "SELECT pg_advisory_xact_lock(8388083286604806258)",
        "CREATE TABLE IF NOT EXISTS outgrow_outbox (seq bigint GENERATED ALWAYS AS IDENTITY "
        "PRIMARY KEY, kind text NOT NULL, body bytea NOT NULL)",
        "CREATE TABLE IF NOT EXISTS outgrow_inbox (id text NOT NULL, handler text NOT NULL, "
        "handled_ms bigint NOT NULL, PRIMARY KEY (id, handler))",
    ),
}
OUTBOX = "outgrow_outbox"
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended(:name, 7008))"
_WRITE = "INSERT INTO {table} (kind, body) VALUES (:kind, :body)"
_READ = "SELECT seq, kind, body FROM {table} ORDER BY seq LIMIT :count"
_DELETE = "DELETE FROM {table} WHERE seq = :seq"
_MARK = (
    "INSERT INTO outgrow_inbox (id, handler, handled_ms) VALUES (:id, :handler, :handled_ms) "
    "ON CONFLICT DO NOTHING"
)
_FORGET = "DELETE FROM outgrow_inbox WHERE handled_ms < :before_ms"

_encoder = msgspec.msgpack.Encoder()
_decoders: dict[str, Callable[[bytes], Message]] = {
    "event": msgspec.msgpack.Decoder(Publication).decode,
    "job": msgspec.msgpack.Decoder(NewJob).decode,
}


def tables_of_outbox(dialect: Dialect) -> tuple[str, ...]:
    """The statements that make the tables of outbox and inbox where they are missing."""
    return _TABLES[dialect]


def statements_for(
    dialect: Dialect, messages: Sequence[Message], *, table: str = OUTBOX
) -> list[Statement]:
    """What to execute, last in a transaction, to have these published or enqueued with it.

    Names are written as `:name`. It works with whatever has the transaction: SQLAlchemy's sessions
    of both kinds, Django's cursor, or a plain connection.

    Args:
        dialect: Of the database.
        messages: In their order.
        table: The outbox.

    Raises:
        MessageSizeError: One cannot be held.
    """
    found: list[Statement] = []
    if dialect == "postgresql":
        keyed = [one for one in messages if isinstance(one, Publication)]
        names = sorted({f"{one.topic}\n{one.key}" for one in keyed if one.key is not None})
        locks: list[Statement] = [(_LOCK, {"name": name}) for name in names]
        found += locks
    for one in messages:
        if isinstance(one, Publication):
            check_publication(one)
        else:
            check_job(one)
        kind = "event" if isinstance(one, Publication) else "job"
        found.append((_WRITE.format(table=table), {"kind": kind, "body": _encoder.encode(one)}))
    return found


def read_statement(table: str = OUTBOX) -> str:
    """Reads the first `:count` rows of an outbox: number, kind and body."""
    return _READ.format(table=table)


def delete_statement(table: str = OUTBOX) -> str:
    """Deletes the row `:seq` of an outbox."""
    return _DELETE.format(table=table)


async def write_to_outbox(
    session: AsyncSession, messages: Sequence[Message], *, makes_tables: bool = False
) -> None:
    """Have these published or enqueued if the session commits; call it last.

    Args:
        session: Of the service's own database.
        messages: In their order.
        makes_tables: Whether the tables may be missing.

    Raises:
        MessageSizeError: One cannot be held.
    """
    from sqlalchemy import text

    dialect: Dialect = "sqlite" if session.get_bind().dialect.name == "sqlite" else "postgresql"
    if makes_tables:
        await session.flush()
        for statement in tables_of_outbox(dialect):
            await session.execute(text(statement))
    for statement, values in statements_for(dialect, messages):
        await session.execute(text(statement), values)


async def mark_handled(session: AsyncSession, handler: str, id: UUID, now_ms: int) -> bool:
    """Keep that a handler has handled a message, if the session commits; False where it had.

    Two who handle the same at once meet here: the second waits until the first has committed.
    """
    from sqlalchemy import CursorResult, text

    values = {"id": str(id), "handler": handler, "handled_ms": now_ms}
    result = await session.execute(text(_MARK), values)
    assert isinstance(result, CursorResult)
    return result.rowcount > 0


class Taking(Protocol):
    """Takes what is moved, and returns once it is kept."""

    async def append(self, events: Sequence[Publication]) -> object:
        """Keep events."""
        ...

    async def enqueue(self, jobs: Sequence[NewJob]) -> object:
        """Keep jobs."""
        ...


Row = tuple[int, str, bytes]


class Rows(Protocol):
    """The rows of one outbox."""

    async def first(self, count: int) -> Sequence[Row]:
        """Number, kind and body of so many, in their order."""
        ...

    async def remove(self, numbers: Sequence[int]) -> None:
        """Delete those with these numbers."""
        ...


async def move_rows(rows: Rows, taker: Taking) -> int:
    """Move the first that wait in an outbox; how many, 0 where none do.

    Raises:
        StoreLostError: The store is away; they stay, and are moved by the next call.
    """
    chosen: list[tuple[int, Message]] = []
    size_bytes = 0
    for seq, kind, body in await rows.first(MOVE_COUNT_MAX):
        size_bytes += len(body)
        if chosen and size_bytes > MOVED_BYTES_MAX:
            break
        chosen.append((seq, _decoders[kind](bytes(body))))
    if not chosen:
        return 0
    events = [one for _, one in chosen if isinstance(one, Publication)]
    jobs = [one for _, one in chosen if isinstance(one, NewJob)]
    if events:
        await taker.append(events)
    if jobs:
        await taker.enqueue(jobs)
    await rows.remove([seq for seq, _ in chosen])
    return len(chosen)


class Mover:
    """Moves what stands in a service's outbox to where it is taken.

    Args:
        database: The service's own, started.
        taker: Where events and jobs go.
    """

    def __init__(self, database: Database, taker: Taking) -> None:
        self._database = database
        self._taker = taker

    async def prepare(self) -> None:
        """Make the tables where they are missing."""
        from sqlalchemy import text

        async with self._database.begin() as session:
            for statement in tables_of_outbox(self._database.dialect):
                await session.execute(text(statement))

    async def has_waiting(self) -> bool:
        """Whether something was left in the outbox; the tables may be missing."""
        from sqlalchemy import inspect, text

        async with self._database.read() as session:
            connection = await session.connection()
            has_table = await connection.run_sync(
                lambda plain: inspect(plain).has_table("outgrow_outbox")
            )
            if not has_table:
                return False
            rows = (await session.execute(text(read_statement()), {"count": 1})).all()
        return bool(rows)

    async def move(self) -> int:
        """Move the first that wait; how many, 0 where none do.

        Raises:
            StoreLostError: The store is away; they stay, and are moved by the next call.
        """
        return await move_rows(self, self._taker)

    async def first(self, count: int) -> Sequence[Row]:
        """The first rows of the outbox."""
        from sqlalchemy import text

        async with self._database.read() as session:
            found = (await session.execute(text(read_statement()), {"count": count})).all()
        return [(seq, kind, body) for seq, kind, body in found]

    async def remove(self, numbers: Sequence[int]) -> None:
        """Delete rows of the outbox."""
        from sqlalchemy import text

        async with self._database.begin() as session:
            await session.execute(text(delete_statement()), [{"seq": seq} for seq in numbers])

    async def forget_handled(self, now_ms: int, *, keep_ms: int = HANDLED_MS) -> None:
        """Remove ids from the inbox that are older than a repeat can be."""
        from sqlalchemy import text

        async with self._database.begin() as session:
            await session.execute(text(_FORGET), {"before_ms": now_ms - keep_ms})
