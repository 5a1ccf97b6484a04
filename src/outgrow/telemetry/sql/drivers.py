"""Statements of asyncpg and psycopg where an app uses them itself, without an ORM."""

from __future__ import annotations

import re
from functools import wraps
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, cast

from outgrow.telemetry.sql.book import Database, statements
from outgrow.telemetry.sql.databases import asyncpg_name, server_name
from outgrow.telemetry.sql.owned import is_owned

if TYPE_CHECKING:
    from collections.abc import Callable

_COUNT = re.compile(r"(?:SELECT|UPDATE|DELETE|MERGE|INSERT \d+) (\d+)")
_asyncpg_names: dict[tuple[Any, ...], Database] = {}
_PLACES_MAX = 256


def watch_asyncpg(asyncpg: Any) -> None:
    """See what connections and prepared statements of asyncpg do.

    Args:
        asyncpg: The module, imported.
    """
    connection = asyncpg.connection.Connection
    # What `fetch`, `fetchrow`, `fetchval` and `execute` with values come down to.
    _wrap_asyncpg(connection, "_execute", _rows_of_result)
    _wrap_asyncpg(connection, "_executemany", _no_rows)
    _wrap_asyncpg(connection, "execute", _rows_of_status, is_plain=True)
    statement = asyncpg.prepared_stmt.PreparedStatement
    for name in ("fetch", "fetchval", "fetchrow", "fetchmany", "executemany"):
        if hasattr(statement, name):
            _wrap_prepared(statement, name)


def _wrap_asyncpg(
    cls: Any, name: str, count: Callable[[Any], int], *, is_plain: bool = False
) -> None:
    execute: Any = getattr(cls, name)

    @wraps(execute)
    async def watched(self: Any, query: str, *args: Any, **kwargs: Any) -> Any:
        # With values `execute` calls `_execute`, which is seen by itself.
        if (is_plain and args) or is_owned(self):
            return await execute(self, query, *args, **kwargs)
        begun_ns = monotonic_ns()
        try:
            result = await execute(self, query, *args, **kwargs)
        except BaseException as error:
            ended_ns, kind = monotonic_ns(), type(error).__name__
            statements.ran(_asyncpg_database(self), query, begun_ns, ended_ns, error=kind)
            raise
        ended_ns = monotonic_ns()
        statements.ran(_asyncpg_database(self), query, begun_ns, ended_ns, count(result))
        return result

    setattr(cls, name, watched)


def _wrap_prepared(cls: Any, name: str) -> None:
    execute: Any = getattr(cls, name)

    @wraps(execute)
    async def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        connection = self._connection
        if is_owned(connection):
            return await execute(self, *args, **kwargs)
        begun_ns, query = monotonic_ns(), self.get_query()
        try:
            result = await execute(self, *args, **kwargs)
        except BaseException as error:
            ended_ns, kind = monotonic_ns(), type(error).__name__
            statements.ran(_asyncpg_database(connection), query, begun_ns, ended_ns, error=kind)
            raise
        ended_ns = monotonic_ns()
        is_list = name in ("fetch", "fetchmany")  # of the others the result may be a list itself
        rows = _rows_of_result(result) if is_list else int(result is not None)
        statements.ran(_asyncpg_database(connection), query, begun_ns, ended_ns, rows)
        return result

    setattr(cls, name, watched)


def _rows_of_result(result: Any) -> int:
    # Of `execute` it is rows, status and whether it is complete; and a row itself is no tuple.
    if type(result) is tuple:
        return _rows_of_status(cast("tuple[Any, ...]", result)[1])
    return len(cast("list[Any]", result)) if isinstance(result, list) else 0


def _rows_of_status(status: Any) -> int:
    text = status.decode() if isinstance(status, bytes) else str(status)
    found = _COUNT.fullmatch(text)
    return int(found[1]) if found else 0


def _no_rows(_result: Any) -> int:
    return 0


def _asyncpg_database(connection: Any) -> Database:
    parameters = getattr(connection, "_params", None)
    key = (getattr(connection, "_addr", None), getattr(parameters, "database", None))
    found = _asyncpg_names.get(key)
    if found is None:
        found = statements.database(asyncpg_name(connection), "postgresql")
        if len(_asyncpg_names) < _PLACES_MAX:
            _asyncpg_names[key] = found
    return found


def watch_psycopg(psycopg: Any) -> None:
    """See what cursors of psycopg 3 execute.

    Args:
        psycopg: The module, imported.
    """
    for name in ("execute", "executemany"):
        _wrap_psycopg(psycopg.Cursor, name)
        _wrap_psycopg_async(psycopg.AsyncCursor, name)


def _wrap_psycopg(cls: Any, name: str) -> None:
    execute: Any = getattr(cls, name)

    @wraps(execute)
    def watched(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        if is_owned(self.connection):
            return execute(self, query, *args, **kwargs)
        begun_ns = monotonic_ns()
        try:
            result = execute(self, query, *args, **kwargs)
        except BaseException as error:
            _psycopg_ran(self, query, begun_ns, type(error).__name__)
            raise
        _psycopg_ran(self, query, begun_ns, "")
        return result

    setattr(cls, name, watched)


def _wrap_psycopg_async(cls: Any, name: str) -> None:
    execute: Any = getattr(cls, name)

    @wraps(execute)
    async def watched(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        if is_owned(self.connection):
            return await execute(self, query, *args, **kwargs)
        begun_ns = monotonic_ns()
        try:
            result = await execute(self, query, *args, **kwargs)
        except BaseException as error:
            _psycopg_ran(self, query, begun_ns, type(error).__name__)
            raise
        _psycopg_ran(self, query, begun_ns, "")
        return result

    setattr(cls, name, watched)


def _psycopg_ran(cursor: Any, query: Any, begun_ns: int, error: str) -> None:
    ended_ns, connection = monotonic_ns(), cursor.connection
    found: Database | None = connection.__dict__.get("_outgrow_database")
    if found is None:
        info = connection.info
        name = server_name("postgresql", info.host, info.port, info.dbname)
        found = connection._outgrow_database = statements.database(name, "postgresql")
    if isinstance(query, bytes):
        text = query.decode(errors="replace")
    else:
        text = query if isinstance(query, str) else query.as_string(connection)
    rows = 0 if error else cursor.rowcount
    statements.ran(found, text, begun_ns, ended_ns, rows, error)
