"""The shop's SQLite file: how it is opened, read and written.

Several workers share one file. WAL lets them read while one writes; BEGIN IMMEDIATE takes the
write lock before the first statement, so a transaction that reads and then writes waits for its
turn and is never refused half way ("database is locked").
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from examples.shop.seed import plant

CONNECTIONS_MAX = 8
LOCK_WAIT_SECONDS = 15
DEFAULT_PATH = Path(".outgrow/shop.db")


class Database:
    """Sessions on one SQLite file, for one event loop."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine = create_async_engine(
            f"sqlite+aiosqlite:///{path}",
            pool_size=CONNECTIONS_MAX,
            max_overflow=0,
            connect_args={"timeout": LOCK_WAIT_SECONDS},
        )
        self._writer = self._engine.execution_options(begin="BEGIN IMMEDIATE")
        # SQLite's lock is the safety; this turn is only for fairness: SQLite lets waiting
        # connections of one process race for it, and a loser may starve.
        self._turn = asyncio.Lock()
        event.listen(self._engine.sync_engine, "connect", _leave_transactions_to_us)
        event.listen(self._engine.sync_engine, "begin", _begin)

    @classmethod
    def of_environment(cls) -> Self:
        """The file named by SHOP_DATABASE, filled with products if it does not exist yet."""
        path = Path(os.environ.get("SHOP_DATABASE") or DEFAULT_PATH)
        plant(path)
        return cls(path)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncSession]:
        """A session that sees one moment of the file and waits for nobody."""
        async with AsyncSession(self._engine, expire_on_commit=False) as session:
            yield session

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncSession]:
        """A session that alone writes; commits at the end, rolls back on an error."""
        session = AsyncSession(self._writer, expire_on_commit=False)
        async with self._turn, session, session.begin():
            yield session

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def _leave_transactions_to_us(connection: DBAPIConnection, _record: Any) -> None:
    # The driver would begin a transaction by itself, and a deferred one.
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
