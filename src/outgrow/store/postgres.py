"""A database on a PostgreSQL server."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import NullPool, event, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine

from outgrow.errors import (
    DatabaseUnreachableError,
    DatabaseUrlError,
    PackageMissingError,
    WriteTurnError,
)
from outgrow.store.address import WRITE_SO
from outgrow.store.sessions import Session, all_in_use, cannot_write, refuse_unwritten
from outgrow.store.turns import Turns, not_nested

try:
    import asyncpg  # pyright: ignore[reportMissingTypeStubs]
except ModuleNotFoundError:
    raise PackageMissingError(
        "a database on PostgreSQL needs the package asyncpg, which is not installed",
        hint="Install it: `pip install 'outgrow[postgres]'`",
    ) from None

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sqlalchemy import ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncEngine

    from outgrow.store.address import Address
    from outgrow.store.limits import Limits
    from outgrow.store.turns import Place, Turn

CONNECT_SECONDS_MAX = 10.0
START_SECONDS_MAX = 60.0
ASK_AGAIN_SECONDS = 0.1
# Of the advisory lock; any number will do that others are unlikely to take.
_START_LOCK = int.from_bytes(b"outgrow!", "big") >> 1
_READ_ONLY = "25006"  # SQLSTATE read_only_sql_transaction


class PostgresStore:
    """One database on a PostgreSQL server, open for one event loop."""

    def __init__(self, address: Address, limits: Limits) -> None:
        self.address = address
        self._limits = limits
        self._engine: AsyncEngine | None = None

    async def open(self) -> None:
        """Make sure that the server can be reached."""
        await (await _connect(self.address)).close()
        self._turns = Turns(self._limits.connections_max, f"sessions {self.address.shown}")
        self._engine = create_async_engine(
            "postgresql+asyncpg://",  # only its kind counts: we connect ourselves
            async_creator=partial(_connect, self.address),
            pool_size=self._limits.connections_max,
            max_overflow=0,
            pool_timeout=CONNECT_SECONDS_MAX,
            pool_pre_ping=True,  # the server may have been restarted
        )
        event.listen(self._engine.sync_engine, "handle_error", _explain, retval=True)
        self._reader = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._engine is not None:
            await self._engine.dispose()

    @asynccontextmanager
    async def begin(self, place: Place) -> AsyncGenerator[Session]:
        """A session in one transaction."""
        # On SQLite this would wait for itself; what works on one shall work on the other.
        with not_nested(self, place, self.address.shown):
            turn = await self._turn(place)
            try:
                session = Session(self._engine, expire_on_commit=False)
                async with session, session.begin():
                    yield session
            finally:
                self._turns.give_back(turn)

    @asynccontextmanager
    async def read(self, place: Place) -> AsyncGenerator[AsyncSession]:
        """A session that sees one moment and cannot write."""
        turn = await self._turn(place)
        try:
            async with AsyncSession(self._reader, expire_on_commit=False) as session:
                yield session
                refuse_unwritten(session)
        finally:
            self._turns.give_back(turn)

    @asynccontextmanager
    async def alone(self) -> AsyncGenerator[AsyncConnection]:
        """A connection to change tables with, while no other process does."""
        async with alone(self.address) as connection:
            yield connection

    async def _turn(self, place: Place) -> Turn:
        until = self._turns.loop.time() + self._limits.turn_seconds_max
        try:
            return await self._turns.take(place, until)
        except TimeoutError:
            raise all_in_use(self.address, self._limits, self._turns) from None


@asynccontextmanager
async def alone(address: Address) -> AsyncGenerator[AsyncConnection]:
    """A connection to change tables with, while no other process does.

    It is asked for again and again: who waits inside the server would keep a snapshot open, for
    which CREATE INDEX CONCURRENTLY waits.
    """
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=partial(_connect, address), poolclass=NullPool
    )
    loop = asyncio.get_running_loop()
    end = loop.time() + START_SECONDS_MAX
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.dispose)
        # Closing the connection gives the lock back, however we leave.
        connection = await stack.enter_async_context(engine.connect())
        while not await _locked(connection):
            if loop.time() >= end:
                raise WriteTurnError(
                    f"cannot change the tables of {address.shown}: another process has been "
                    f"changing them for {START_SECONDS_MAX:g} s",
                    hint="Look for it in pg_locks, locktype advisory",
                )
            await asyncio.sleep(ASK_AGAIN_SECONDS)
        yield connection
        await connection.commit()


async def _locked(connection: AsyncConnection) -> bool:
    asked = text("SELECT pg_try_advisory_lock(:key)")
    got = await connection.scalar(asked, {"key": _START_LOCK})
    await connection.commit()
    return bool(got)


async def _connect(address: Address) -> Any:
    """A connection of asyncpg, which understands URLs as PostgreSQL's own programs do."""
    # What users of SQLAlchemy know as `ssl` has PostgreSQL's own name in a URL.
    url = re.sub(r"([?&])ssl=", r"\1sslmode=", address.target)
    connect: Any = asyncpg.connect  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    try:
        return await connect(url, timeout=CONNECT_SECONDS_MAX)
    except ValueError:
        # Its text may repeat a part of the password.
        raise DatabaseUrlError(f"{address.shown} cannot be understood", hint=WRITE_SO) from None
    except asyncpg.InvalidCatalogNameError as problem:
        hint = f"Make it (`createdb`), or {address.correct_it}"
        raise _unreachable(address, problem, hint) from None
    except asyncpg.InvalidAuthorizationSpecificationError as problem:
        hint = f"Mend user or password: {address.correct_it}"
        raise _unreachable(address, problem, hint) from None
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as problem:
        hint = f"Start PostgreSQL there, or {address.correct_it}"
        raise _unreachable(address, problem, hint) from None


def _unreachable(address: Address, problem: Exception, hint: str) -> DatabaseUnreachableError:
    shown = str(problem) or f"no answer within {CONNECT_SECONDS_MAX:g} s"
    return DatabaseUnreachableError(f"cannot reach {address.shown}: {shown}", hint=hint)


def _explain(context: ExceptionContext) -> BaseException | None:
    is_read_only = getattr(context.original_exception, "sqlstate", None) == _READ_ONLY
    if not is_read_only or context.connection is None:
        return None
    # A server that only follows another refuses begin() so, too.
    if not context.connection.get_execution_options().get("postgresql_readonly"):
        return None
    return cannot_write(context)
