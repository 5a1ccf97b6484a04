"""The PostgreSQL database that a store moves to: filled page by page, each with how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from outgrow.store.durable.errors import StoreMoveError
from outgrow.store.durable.moving.tables import TABLES
from outgrow.store.durable.postgres.pool import DAY_MS, Pool, make_days, move_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.store.durable.moving.mark import Mark
    from outgrow.store.durable.moving.tables import Row, Table
    from outgrow.store.durable.opening import DurablePlace
    from outgrow.store.durable.postgres.pool import Connection

CONNECTIONS_MAX = 2
_NUMBERED = ("job", "dead")
_LAST = "SELECT setval({}, greatest(1, $1::bigint), $1::bigint > 0)"


class Target:
    """A database in which nobody works yet.

    Args:
        place: Of the database.
    """

    def __init__(self, place: DurablePlace) -> None:
        self.shown = place.address.shown
        self._pool = Pool(
            place.address.target,
            is_pooled=place.is_pooled,
            connections_max=CONNECTIONS_MAX,
            is_moving=True,
        )

    async def look(self) -> None:
        """Connect, and change nothing."""
        await self._pool.connect()

    async def start(self) -> None:
        """Connect, and have the tables."""
        await self._pool.start()

    async def stop(self) -> None:
        """Close all connections."""
        await self._pool.stop()

    async def mark(self) -> Mark | None:
        """The move that fills it."""
        return await self._pool.run(move_in)

    async def check_empty(self) -> None:
        """Refuse a database that has something of events and jobs already.

        Raises:
            StoreMoveError: Names what it has.
        """
        await self._pool.run(lambda db: _check_empty(db, self.shown))

    async def begin(self, mark: Mark, *, over: Mark | None) -> None:
        """Let nobody else open it from now on.

        Args:
            mark: Of the move that begins.
            over: Of one that began before, and whose rows count for nothing.

        Raises:
            StoreMoveError: There is something in it.
        """

        async def say(db: Connection) -> None:
            if over is not None:
                names = ", ".join(f"outgrow.{table.name}" for table in TABLES)
                await db.execute(f"TRUNCATE {names}, outgrow.moving")
            await _check_empty(db, self.shown)
            asked = "INSERT INTO outgrow.moving (id, state, other) VALUES ($1, $2, $3)"
            await db.execute(asked, mark.id, mark.state, mark.other)

        await self._pool.run(say)

    async def reached(self) -> tuple[str, Row | None]:
        """The table that was filled last, and the key of its last row."""
        asked = "SELECT reached, after FROM outgrow.moving"
        row = await self._pool.run(lambda db: db.fetchrow(asked))
        return row["reached"], None if row["after"] is None else tuple(_key(row["after"]))

    async def add(self, table: Table, rows: Sequence[Row]) -> None:
        """Keep these rows, and that they are there: all of it or nothing."""
        after = msgspec.msgpack.encode(table.key_of(rows[-1]))

        async def add(db: Connection) -> None:
            if table.name == "job_done":
                place = table.columns.index("finished_ms")
                await make_days(db, sorted({row[place] // DAY_MS for row in rows}))
            await db.copy_records_to_table(
                table.name,
                records=[table.for_postgres(row) for row in rows],
                columns=table.postgres_columns,
                schema_name="outgrow",
            )
            await db.execute(
                "UPDATE outgrow.moving SET reached = $1, after = $2", table.name, after
            )

        await self._pool.run(add)

    async def counts(self) -> dict[str, int]:
        """How many rows each table has."""

        async def count(db: Connection) -> dict[str, int]:
            return {
                table.name: await db.fetchval(f"SELECT count(*) FROM outgrow.{table.name}")
                for table in TABLES
            }

        return await self._pool.run(count)

    async def count_on(self, epoch: int) -> None:
        """Have numbers go on after those that came, and the planner know what is there.

        Args:
            epoch: The highest that a worker had.
        """

        async def count_on(db: Connection) -> None:
            last = await db.fetchval("SELECT coalesce(max(place), 0) FROM outgrow.job")
            await db.execute(_LAST.format("'outgrow.place'"), last)
            await db.execute(_LAST.format("'outgrow.epoch'"), epoch)
            for name in _NUMBERED:
                last = await db.fetchval(f"SELECT coalesce(max(number), 0) FROM outgrow.{name}")
                own = f"pg_get_serial_sequence('outgrow.{name}', 'number')"
                await db.execute(_LAST.format(own), last)
            for table in TABLES:
                await db.execute(f"ANALYZE outgrow.{table.name}")

        await self._pool.run(count_on)

    async def end(self) -> None:
        """Let others open it: all is there."""
        await self._pool.run(lambda db: db.execute("DELETE FROM outgrow.moving"))


async def _check_empty(db: Connection, shown: str) -> None:
    if await db.fetchval("SELECT to_regclass('outgrow.job')") is None:
        return
    for name, what in (*((one.name, one.what) for one in TABLES), ("worker", "workers")):
        if await db.fetchval(f"SELECT EXISTS (SELECT 1 FROM outgrow.{name})"):
            raise StoreMoveError(
                f"{shown} has {what} already",
                hint="Name an empty database; or, if nothing in it counts: DROP SCHEMA outgrow "
                "CASCADE",
            )


def _key(encoded: bytes) -> list[Any]:
    return msgspec.msgpack.decode(encoded)
