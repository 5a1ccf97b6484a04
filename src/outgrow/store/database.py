"""A service's own database: sessions that write, sessions that read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Self

from outgrow.errors import DatabaseUnreachableError
from outgrow.store.address import address_of, url_of_service
from outgrow.store.blocks import carrying
from outgrow.store.limits import Limits
from outgrow.store.migrations import upgrade
from outgrow.store.options import CONNECTIONS_MAX, DatabaseOptions
from outgrow.store.turns import place_of_caller

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from types import TracebackType

    from sqlalchemy import MetaData
    from sqlalchemy.ext.asyncio import AsyncSession

    from outgrow.store.address import Address
    from outgrow.store.blocks import Outbox
    from outgrow.store.durable.outbox import Dialect
    from outgrow.store.postgres import PostgresStore
    from outgrow.store.sessions import Session
    from outgrow.store.sqlite import SqliteStore

TURN_SECONDS_MAX = 15.0
HELD_SECONDS_WARN = 5.0


class Database:
    """One database, for one event loop; opened by `start()`.

    A service gets its own by a field `db: Database`, and need not start or stop it.

    Args:
        url: `sqlite:///FILE`, `postgresql://USER:PASSWORD@HOST/NAME`, or `sqlite://` for one that
            lasts from start to stop.
        name: Of the service whose it is.
        tables: Tables that are made at start where they are missing.
        migrations: Alembic's folder, brought to its newest version at start; `tables` is not used
            beside it.
        connections_max: Connections of this process; on SQLite those that read, beside the one
            that writes.
        turn_seconds_max: How long `begin()` and `read()` wait to begin.
        held_seconds_warn: Who writes to SQLite longer than this is named in the log.
        variable: The environment variable that holds the URL, for the texts of errors.

    Attributes:
        outbox: Where what its transactions publish goes; None where they cannot.

    Raises:
        DatabaseUrlError: The URL is not understood.
    """

    __outgrow_resource__: ClassVar[bool] = True

    def __init__(
        self,
        url: str,
        *,
        name: str = "",
        tables: MetaData | None = None,
        migrations: str | Path | None = None,
        connections_max: int = CONNECTIONS_MAX,
        turn_seconds_max: float = TURN_SECONDS_MAX,
        held_seconds_warn: float = HELD_SECONDS_WARN,
        variable: str = "",
    ) -> None:
        self.name = name
        self._address = address_of(url, variable=variable)
        self._tables = tables
        self._migrations = migrations
        self._limits = Limits(
            connections_max=connections_max,
            turn_seconds_max=turn_seconds_max,
            held_seconds_warn=held_seconds_warn,
        )
        self.outbox: Outbox | None = None
        self._store: SqliteStore | PostgresStore | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @classmethod
    def of_service(
        cls, service: str, options: DatabaseOptions | None, environment: Mapping[str, str]
    ) -> Self:
        """The database of a service, not yet started.

        It is where the variable `SERVICE_DATABASE_URL` says, else where the options do, else where
        `DATABASE_URL` says, else in the file `.outgrow/SERVICE.db`.
        """
        options = options or DatabaseOptions()
        url, variable = url_of_service(service, options.url, environment)
        return cls(
            url,
            name=service,
            tables=options.tables,
            migrations=options.migrations,
            connections_max=options.connections_max,
            variable=variable,
        )

    def __repr__(self) -> str:
        return f"<Database {self.name} at {self.shown_url}>".replace("  ", " ")

    @property
    def shown_url(self) -> str:
        """Where it is, without a password."""
        return self._address.shown

    @property
    def dialect(self) -> Dialect:
        """Which of the two it is."""
        return "sqlite" if self._address.kind == "sqlite" else "postgresql"

    async def start(self) -> None:
        """Open it, and bring its tables to what the code needs; safe from many processes at once.

        Raises:
            DatabaseUnreachableError: It cannot be opened; names the URL, without password.
            DatabaseUrlError: The URL is not understood.
            MigrationError: A migration failed; all of them are undone.
        """
        if self._store is not None:
            return
        store = _store_at(self._address, self._limits)
        try:
            await store.open()
            if self._migrations is not None:
                await asyncio.to_thread(upgrade, self._migrations, self.name, store.address)
            elif self._tables is not None:
                async with store.alone() as connection:
                    await connection.run_sync(self._tables.create_all)
        except BaseException:
            await store.close()
            raise
        self._store, self._loop = store, asyncio.get_running_loop()

    async def stop(self) -> None:
        """Close it; nothing happens where it is not open."""
        store, self._store = self._store, None
        if store is not None:
            await store.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def begin(self) -> AbstractAsyncContextManager[Session]:
        """A session in one transaction: committed at the end, rolled back on an error.

        What is published or enqueued in it exists if and only if it commits. In a subscription or a
        job it may be begun once, and notes that the message is handled; on a repeat it ends the
        attempt.

        On SQLite one session writes at a time: it waits for its turn, first come, first served.
        Keep the block short, and call nobody else in it.

        Raises:
            WriteTurnError: Its turn did not come in time, or its task has begun already.
            DatabaseUnreachableError: No connection was free in time.
            HandledBeforeError: The message that is handled here was handled before.
            SecondBlockError: It is the second one in handling a message.
        """
        begun = self._opened().begin(place_of_caller())
        return begun if self.outbox is None else carrying(begun, self.outbox, self.name)

    def read(self) -> AbstractAsyncContextManager[AsyncSession]:
        """A session that sees one moment of the database, waits for no writer and cannot write.

        Raises:
            ReadOnlyError: It was asked to write.
            DatabaseUnreachableError: No connection was free in time.
        """
        return self._opened().read(place_of_caller())

    def _opened(self) -> SqliteStore | PostgresStore:
        if self._store is None:
            raise DatabaseUnreachableError(
                f"{self!r} is not open", hint="Call `await db.start()` first"
            )
        if self._loop is not asyncio.get_running_loop():
            raise DatabaseUnreachableError(
                f"{self!r} was opened in another event loop", hint="Make one for each event loop"
            )
        return self._store


def _store_at(address: Address, limits: Limits) -> SqliteStore | PostgresStore:
    # SQLAlchemy and the drivers take a while to import, and nobody may need them.
    if address.kind == "sqlite":
        from outgrow.store.sqlite import SqliteStore

        return SqliteStore(address, limits)
    from outgrow.store.postgres import PostgresStore

    return PostgresStore(address, limits)
