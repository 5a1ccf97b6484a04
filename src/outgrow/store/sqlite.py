"""A database in an SQLite file: one connection that writes, some that read.

WAL lets any number read while one writes, also from other processes. BEGIN IMMEDIATE takes the
write lock before the first statement: a transaction that reads and then writes would otherwise
lose updates, or be refused half way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import sqlite3
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, NullPool, event
from sqlalchemy.ext.asyncio import AsyncSession

from outgrow.errors import WriteTurnError
from outgrow.store.files import (
    LOCK_SECONDS_MAX,
    begin_immediate,
    driver_of,
    engine_at,
    prepare,
    unreachable,
)
from outgrow.store.locks import writer_of
from outgrow.store.sessions import Session, all_in_use, cannot_write, refuse_unwritten
from outgrow.store.settle import SettledStack, settle
from outgrow.store.turns import Turns, not_nested, turns_of_file

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

    from sqlalchemy import ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from outgrow.store.address import Address
    from outgrow.store.limits import Limits
    from outgrow.store.turns import Place, Turn

START_SECONDS_MAX = 60.0

_logger = logging.getLogger("outgrow.store")


class SqliteStore:
    """One SQLite file, open for one event loop.

    Without a path it is a file of its own in the temporary folder, removed when it is closed: a
    database in memory would let nobody read while one writes.
    """

    def __init__(self, address: Address, limits: Limits) -> None:
        self.address = address
        self._limits = limits
        self._folder: str | None = None
        self._engines: list[AsyncEngine] = []

    async def open(self) -> None:
        """Open the file, made if missing."""
        if not self.address.target:
            self._folder = tempfile.mkdtemp(prefix="outgrow-")
            self.address = replace(self.address, target=str(Path(self._folder) / "db"))
        path = self.address.target
        self._loop = asyncio.get_running_loop()
        await settle(asyncio.to_thread(prepare, self.address))
        # What may be lost with the computer needs no waiting for its disk.
        pragmas = ["foreign_keys=ON", "synchronous=OFF" if self._folder else "synchronous=FULL"]
        self._writes = turns_of_file(path)
        self._reads = Turns(self._limits.connections_max, f"readers {Path(path).name}")
        # Turns bound the connections, so that nothing ever waits for a pool.
        self._writer = engine_at(path, pragmas, lock_seconds=0, pool_size=1, max_overflow=-1)
        event.listen(self._writer.sync_engine, "begin", _begin_to_write)
        self._reader = engine_at(
            path,
            [*pragmas, "query_only=ON"],
            lock_seconds=LOCK_SECONDS_MAX,
            pool_size=self._limits.connections_max,
            max_overflow=-1,
        )
        event.listen(self._reader.sync_engine, "begin", _begin_to_read)
        event.listen(self._reader.sync_engine, "handle_error", _explain, retval=True)
        self._engines = [self._reader, self._writer]

    async def close(self) -> None:
        """Close all connections."""
        for engine in self._engines:
            await settle(engine.dispose())
        if self._folder is not None:
            await settle(asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True))

    @asynccontextmanager
    async def begin(self, place: Place) -> AsyncGenerator[Session]:
        """A session that alone writes."""
        until = self._loop.time() + self._limits.turn_seconds_max
        with not_nested(self.address.target, place, self.address.shown):
            turn = await self._turn_to_write(place, until)
            try:
                async with SettledStack() as stack:
                    connection = await stack.enter_async_context(self._writer.connect())
                    await self._lock(connection, until)
                    stack.enter_context(self._watched(turn))
                    session = Session(connection, expire_on_commit=False)
                    await stack.enter_async_context(session)
                    await stack.enter_async_context(session.begin())
                    yield session
            finally:
                self._writes.give_back(turn)

    @asynccontextmanager
    async def read(self, place: Place) -> AsyncGenerator[AsyncSession]:
        """A session that sees one moment and cannot write."""
        until = self._loop.time() + self._limits.turn_seconds_max
        try:
            turn = await self._reads.take(place, until)
        except TimeoutError:
            raise all_in_use(self.address, self._limits, self._reads) from None
        try:
            async with SettledStack() as stack:
                session = AsyncSession(self._reader, expire_on_commit=False)
                yield await stack.enter_async_context(session)
                refuse_unwritten(session)
        finally:
            self._reads.give_back(turn)

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction to change tables in, while no other process does."""
        async with alone(self.address) as connection:
            yield connection

    async def _turn_to_write(self, place: Place, until: float) -> Turn:
        try:
            return await self._writes.take(place, until)
        except TimeoutError:
            raise WriteTurnError(
                f"{place} got no turn to write to {self.address.shown} within "
                f"{self._limits.turn_seconds_max:g} s: {self._writes.why_none()}"
            ) from None

    async def _lock(self, connection: AsyncConnection, until: float) -> None:
        """Begin, as soon as no other process writes."""
        try:
            if await begin_immediate(connection, until):
                return
        except sqlite3.Error as problem:
            raise unreachable(self.address, str(problem)) from None
        process = writer_of(self.address.target)
        holder = f"process {process}" if process else "another process"
        raise WriteTurnError(
            f"no turn to write to {self.address.shown} within "
            f"{self._limits.turn_seconds_max:g} s: {holder} holds the file's write lock"
        )

    @contextlib.contextmanager
    def _watched(self, turn: Turn) -> Generator[None]:
        """Name who writes for long."""
        seconds = self._limits.held_seconds_warn
        alarm = self._loop.call_later(seconds, self._warn, turn.place, seconds)
        try:
            yield
        finally:
            alarm.cancel()

    def _warn(self, place: Place, seconds: float) -> None:
        _logger.warning(
            "%s has been writing to %s for %g s; %d wait for their turn",
            place,
            self.address.shown,
            seconds,
            self._writes.waiting_count,
        )


@asynccontextmanager
async def alone(address: Address) -> AsyncGenerator[AsyncConnection]:
    """A transaction to change tables in, while no other process does; commits at the end.

    Foreign keys are not enforced in it: to change a column Alembic makes the table anew, and
    dropping the old one would delete what points to it.
    """
    pragmas = ["foreign_keys=OFF", "synchronous=FULL"]
    engine = engine_at(address.target, pragmas, lock_seconds=0, poolclass=NullPool)
    event.listen(engine.sync_engine, "begin", _begin_to_write)
    until = asyncio.get_running_loop().time() + START_SECONDS_MAX
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.dispose)
        connection = await stack.enter_async_context(engine.connect())
        if not await begin_immediate(connection, until):
            raise WriteTurnError(
                f"cannot change the tables of {address.shown}: another process has been "
                f"writing for {START_SECONDS_MAX:g} s"
            )
        async with connection.begin():
            yield connection


def _begin_to_write(connection: Connection) -> None:
    # Begun by us before the session was; anew only where its user has ended that by hand.
    if not driver_of(connection.connection).in_transaction:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_to_read(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _explain(context: ExceptionContext) -> BaseException | None:
    code = getattr(context.original_exception, "sqlite_errorcode", 0) & 0xFF
    return cannot_write(context) if code == sqlite3.SQLITE_READONLY else None
