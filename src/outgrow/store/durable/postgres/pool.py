"""Connections to the server: short transactions, and nothing that outlives one.

So it works through PgBouncer in transaction mode: no session locks, no LISTEN, no setting of a
session; with `is_pooled` no prepared statement either.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from outgrow.errors import OutgrowError, PackageMissingError
from outgrow.store.address import address_of
from outgrow.store.durable.errors import StoreLostError, StoreVersionError
from outgrow.store.durable.moving.mark import Mark, check_here
from outgrow.store.durable.postgres.schema import VERSIONS

try:
    import asyncpg  # pyright: ignore[reportMissingTypeStubs]
except ModuleNotFoundError:
    raise PackageMissingError(
        "durable work on PostgreSQL needs the package asyncpg, which is not installed",
        hint="Install it: `pip install 'outgrow[postgres]'`",
    ) from None

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence

    from outgrow.store.durable.ids import Clock

T = TypeVar("T")

CONNECTIONS_MAX = 8
CONNECT_SECONDS_MAX = 10.0
CLOSE_SECONDS_MAX = 10.0
COMMAND_SECONDS_MAX = 30.0
TRIES_MAX = 5
TRY_AGAIN_SECONDS = 0.02
CLOCK_SECONDS = 30.0
DAY_MS = 86_400_000
# Of the advisory lock that is held while tables are made; ends with its transaction.
_TABLES_LOCK = int.from_bytes(b"durable!", "big") >> 1

# Broken off by the server: nothing of the transaction is there.
_AGAIN: tuple[type[Exception], ...] = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)
_LOST: tuple[type[Exception], ...] = (
    *(OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError),
    *(asyncpg.OperatorInterventionError, asyncpg.InsufficientResourcesError),
    *(asyncpg.ConnectionDoesNotExistError, asyncpg.InternalClientError),
    # We were frozen, or the server only follows another now.
    *(asyncpg.IdleInTransactionSessionTimeoutError, asyncpg.ReadOnlySQLTransactionError),
)
# The session that a pooler gave this transaction knows other statements than the last one did.
_POOLED: tuple[type[Exception], ...] = (
    asyncpg.InvalidSQLStatementNameError,
    asyncpg.DuplicatePreparedStatementError,
)
_NO_PARTITION: type[Exception] = asyncpg.CheckViolationError

# A process that is frozen within a transaction has rows locked; the server ends it soon.
_BEGIN = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 5000;"

Connection = Any
"""One of asyncpg, which has no types of its own."""


class Pool:
    """Connections to one database.

    Args:
        url: As PostgreSQL's own programs understand it.
        clock: The time; the server's where None.
        is_pooled: Whether PgBouncer stands between.
        versions: What brings the tables forwards.
        is_moving: Whether it is opened by who moves another store there.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        is_pooled: bool = False,
        is_fast: bool = False,
        connections_max: int = CONNECTIONS_MAX,
        versions: Sequence[str] = VERSIONS,
        is_moving: bool = False,
    ) -> None:
        self._url = url
        self._is_moving = is_moving
        self._clock = clock
        self._is_pooled = is_pooled
        self._begin_so = _BEGIN + ("SET LOCAL synchronous_commit = off;" if is_fast else "")
        self._connections_max = connections_max
        self._versions = versions
        self._pool: Any = None
        self._ahead_ms = 0.0
        self._asked_at = float("-inf")
        self._days: set[int] = set()
        self._is_ready = False

    async def start(self) -> None:
        """Connect, and bring the tables forwards.

        Raises:
            StoreLostError: The server cannot be reached.
            StoreVersionError: Its tables are newer than we are.
            StoreMovedError: Another store moves there, and not all of it has come.
        """
        await self.connect()
        try:
            await self.run(self._bring_forwards)
        except BaseException:
            await self.stop()
            raise
        self._is_ready = True

    async def connect(self) -> None:
        """Connect, and leave all as it is.

        Raises:
            StoreLostError: The server cannot be reached.
        """
        create_pool: Any = asyncpg.create_pool  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        self._pool = create_pool(
            self._url,
            min_size=1,
            max_size=self._connections_max,
            timeout=CONNECT_SECONDS_MAX,
            command_timeout=COMMAND_SECONDS_MAX,
            reset=_nothing_to_reset,
            # Tells which sessions are of one process; the server shows it in pg_stat_activity.
            server_settings={"application_name": f"outgrow-{secrets.token_hex(8)}"},
            # PgBouncer gives each transaction another session, which knows no statement of ours.
            **({"statement_cache_size": 0} if self._is_pooled else {}),
        )
        try:
            await self._pool
        except _LOST as problem:
            raise _lost(problem, may_be_kept=False) from None

    async def stop(self) -> None:
        """Close all connections."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            await asyncio.wait_for(pool.close(), CLOSE_SECONDS_MAX)
        except TimeoutError:  # a server that does not answer must not keep a process from ending
            pool.terminate()

    def now_ms(self) -> int:
        """The store's time.

        The server's, as it was asked for a while ago, gone on with a clock that is never set.
        """
        if self._clock is not None:
            return self._clock()
        return int(time.monotonic() * 1000 + self._ahead_ms)

    async def run(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What the work returns, in one transaction; done again where the server broke it off.

        Raises:
            StoreLostError: The connection was lost; whether it committed is not known. Or there is
                a pooler of which we were not told.
        """
        number = 0
        while True:
            try:
                await self._have_today()
                async with self._begin() as connection:
                    return await work(connection)
            except (*_AGAIN, _NO_PARTITION, _StaleError) as problem:
                number += 1
                if number > TRIES_MAX + self._connections_max:
                    raise _lost(problem, may_be_kept=False) from None
                if isinstance(problem, _NO_PARTITION):
                    # Of a day that nobody made yet; or a real violation, which then comes again.
                    if number > 1:
                        raise
                    self._days.clear()
            except _POOLED:
                raise StoreLostError(
                    "a pooler such as PgBouncer stands before PostgreSQL, in transaction mode",
                    hint="Say so in the URL of events and jobs: `?pgbouncer=true`",
                    may_be_kept=False,
                ) from None
            except _LOST as problem:
                raise _lost(problem, may_be_kept=True) from None
            await asyncio.sleep(TRY_AGAIN_SECONDS * random.random() * number)

    def forget_days(self, days: Iterable[int]) -> None:
        """Say that partitions were dropped."""
        self._days.difference_update(days)

    @asynccontextmanager
    async def _begin(self) -> AsyncGenerator[Connection]:
        """A connection in one transaction."""
        async with self._connected() as connection:
            try:
                await self._look_at_clock(connection)
                await connection.execute(self._begin_so)
            except _LOST as problem:
                connection.terminate()
                raise _StaleError(str(problem)) from None
            except BaseException:
                # Given back in the midst of a statement, some were never free again.
                connection.terminate()
                raise
            try:
                yield connection
                await connection.execute("COMMIT")
            except asyncpg.PostgresError as problem:
                await _roll_back(connection, problem)
                raise
            except BaseException as problem:
                if not isinstance(problem, OutgrowError):
                    # Whatever state it is in, nobody shall have it after us; the server rolls back.
                    connection.terminate()
                else:
                    await _roll_back(connection, problem)
                raise

    @asynccontextmanager
    async def _connected(self) -> AsyncGenerator[Connection]:
        pool = self._pool  # to which it is given back, also once this is closing
        if pool is None:
            raise StoreLostError("the store is closed", may_be_kept=False)
        try:
            connection = await pool.acquire(timeout=CONNECT_SECONDS_MAX)
        except _LOST as problem:
            raise _lost(problem, may_be_kept=False) from None
        try:
            yield connection
        finally:
            with contextlib.suppress(*_LOST):
                await pool.release(connection)

    async def _have_today(self) -> None:
        if self._is_ready and self.now_ms() // DAY_MS not in self._days:
            async with self._begin() as connection:
                await self._make_days(connection)

    async def _make_days(self, connection: Connection) -> None:
        """Have partitions for what is finished today and tomorrow."""
        today = self.now_ms() // DAY_MS
        await make_days(connection, (today - 1, today, today + 1))
        self._days.update((today, today + 1))

    async def _look_at_clock(self, connection: Connection) -> None:
        if self._clock is not None or time.monotonic() - self._asked_at < CLOCK_SECONDS:
            return
        began = time.monotonic()
        async with connection.transaction():
            server = await connection.fetchval(
                "SELECT extract(epoch FROM clock_timestamp())::float8"
            )
        ended = time.monotonic()
        self._ahead_ms = server * 1000 - (began + ended) / 2 * 1000
        self._asked_at = ended

    async def _bring_forwards(self, connection: Connection) -> None:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _TABLES_LOCK)
        await connection.execute("CREATE SCHEMA IF NOT EXISTS outgrow")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS outgrow.version (number integer NOT NULL)"
        )
        found = await connection.fetchval("SELECT max(number) FROM outgrow.version") or 0
        known = len(self._versions)
        if found > known:
            raise StoreVersionError(
                f"the schema outgrow has tables of version {found}, and we know them up to {known}"
            )
        for number in range(found + 1, known + 1):
            await connection.execute(self._versions[number - 1])
            await connection.execute("INSERT INTO outgrow.version VALUES ($1)", number)
        if not self._is_moving:
            check_here(address_of(self._url).shown, await move_in(connection))
        await self._make_days(connection)


async def make_days(connection: Connection, days: Iterable[int]) -> None:
    """Have partitions for what was or is finished on these days, counted since 1970."""
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _TABLES_LOCK)
    for day in days:
        await connection.execute(
            f"CREATE TABLE IF NOT EXISTS outgrow.job_done_{day} "
            f"PARTITION OF outgrow.job_done FOR VALUES FROM ({day * DAY_MS}) "
            f"TO ({(day + 1) * DAY_MS})"
        )


async def move_in(connection: Connection) -> Mark | None:
    """The move to this database that is not over, if there is one."""
    if await connection.fetchval("SELECT to_regclass('outgrow.moving')") is None:
        return None  # of an earlier version, or nothing at all
    found = await connection.fetchrow("SELECT id, state, other FROM outgrow.moving")
    return Mark(UUID(bytes=found["id"].bytes), found["state"], found["other"]) if found else None


class _StaleError(Exception):
    """A connection that was lost while nobody used it: nothing was sent on it."""


async def _roll_back(connection: Connection, problem: BaseException) -> None:
    if isinstance(problem, _LOST):
        connection.terminate()
        return
    try:
        await connection.execute("ROLLBACK")
    except BaseException:
        connection.terminate()
        raise


async def _nothing_to_reset(_: Connection) -> None:
    """Our transactions leave nothing behind in a session, so that a round trip is spared."""


def _lost(problem: Exception, *, may_be_kept: bool) -> StoreLostError:
    shown = str(problem) or type(problem).__name__
    return StoreLostError(
        f"the connection to PostgreSQL was lost: {shown}",
        hint="Look whether the server runs; what was sent can be sent again with the same ids",
        may_be_kept=may_be_kept,
    )
