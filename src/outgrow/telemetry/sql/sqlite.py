"""Statements of sqlite3 and aiosqlite where an app uses them itself, without an ORM.

The classes of sqlite3 cannot be changed, so `sqlite3.connect` gives connections of a class derived
from it. SQLAlchemy and Django take `sqlite3.dbapi2.connect`, and are seen by themselves. What is
timed is `execute`: SQLite finds further rows while they are fetched.
"""

from __future__ import annotations

import sqlite3
from contextvars import copy_context
from functools import wraps
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, TypeVar

from outgrow.telemetry.sql.book import statements
from outgrow.telemetry.sql.databases import file_name
from outgrow.telemetry.sql.owned import is_owned

if TYPE_CHECKING:
    from collections.abc import Callable

R = TypeVar("R")
_FACTORY_PLACE = 5  # among the arguments of `connect`


class SeenConnection(sqlite3.Connection):
    """A connection whose cursors count what they execute.

    Attributes:
        outgrow_database: Where its statements go.
    """

    def __init__(self, database: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(database, *args, **kwargs)
        self.outgrow_database = statements.database(file_name(database), "sqlite")

    def cursor(self, factory: Any = None) -> Any:
        """As it is there, but of a class that is seen too."""
        return super().cursor(SeenCursor if factory is None else factory)

    # Of its own these make a cursor too, but not of our class.

    def execute(self, sql: str, *args: Any) -> Any:
        """As it is there."""
        return self.cursor().execute(sql, *args)

    def executemany(self, sql: str, *args: Any) -> Any:
        """As it is there."""
        return self.cursor().executemany(sql, *args)

    def executescript(self, sql_script: str) -> Any:
        """As it is there."""
        return self.cursor().executescript(sql_script)


class SeenCursor(sqlite3.Cursor):
    """A cursor of such a connection."""

    def execute(self, sql: str, *args: Any) -> Any:
        """As it is there, counted."""
        return self._seen(super().execute, sql, *args)

    def executemany(self, sql: str, *args: Any) -> Any:
        """As it is there, counted as one."""
        return self._seen(super().executemany, sql, *args)

    def executescript(self, sql_script: str) -> Any:
        """As it is there, counted as one."""
        return self._seen(super().executescript, sql_script)

    def _seen(self, execute: Callable[..., R], sql: str, *args: Any) -> R:
        connection = self.connection
        if not isinstance(connection, SeenConnection) or is_owned(connection):
            return execute(sql, *args)
        begun_ns = monotonic_ns()
        try:
            result = execute(sql, *args)
        except BaseException as error:
            ended_ns, kind = monotonic_ns(), type(error).__name__
            statements.ran(connection.outgrow_database, str(sql), begun_ns, ended_ns, error=kind)
            raise
        ended_ns = monotonic_ns()
        statements.ran(connection.outgrow_database, sql, begun_ns, ended_ns, self.rowcount)
        return result


def watch_sqlite(module: Any) -> None:
    """See the statements of connections that `sqlite3.connect` makes from now on.

    Args:
        module: `sqlite3`, imported.
    """
    connect: Any = module.connect

    @wraps(connect)
    def connect_seen(*args: Any, **kwargs: Any) -> Any:
        if len(args) <= _FACTORY_PLACE and "factory" not in kwargs:
            kwargs["factory"] = SeenConnection
        return connect(*args, **kwargs)

    module.connect = connect_seen


def watch_aiosqlite(aiosqlite: Any) -> None:
    """Have the thread of an aiosqlite connection run in the context of whoever asks it.

    Args:
        aiosqlite: The module, imported; its statements are those of sqlite3.
    """
    cls = aiosqlite.core.Connection
    execute: Any = cls._execute

    @wraps(execute)
    async def execute_here(self: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
        if is_owned(self):
            return await execute(self, function, *args, **kwargs)
        return await execute(self, copy_context().run, function, *args, **kwargs)

    cls._execute = execute_here
