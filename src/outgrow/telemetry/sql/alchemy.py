"""SQLAlchemy's statements, sync and async, of all engines, by its own events.

The events of cursors would do too, but with them SQLAlchemy goes other ways, which cost twice as
much as those of dialects.
"""

from __future__ import annotations

from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from outgrow.telemetry.sql.book import Database, statements
from outgrow.telemetry.sql.databases import DATABASE, asyncpg_name, file_name, server_name
from outgrow.telemetry.sql.owned import own

if TYPE_CHECKING:
    from collections.abc import Callable


def watch_sqlalchemy(sqlalchemy: Any) -> None:
    """See the statements of every engine, those that exist included.

    Args:
        sqlalchemy: The module, imported.
    """
    engine = sqlalchemy.engine.Engine
    for name in ("do_execute", "do_executemany", "do_execute_no_params"):
        sqlalchemy.event.listen(engine, name, _executing(name))
    sqlalchemy.event.listen(sqlalchemy.pool.Pool, "connect", _connected)


def _executing(name: str) -> Callable[..., bool]:
    """What executes a statement in the place of SQLAlchemy, as that does, and counts it."""

    def execute(cursor: Any, text: str, *arguments: Any) -> bool:
        context = arguments[-1]
        dialect = context.dialect
        begun_ns = monotonic_ns()
        try:
            others = getattr(dialect.dispatch, name)
            if len(others) == 1 or not _is_done_by(others, execute, cursor, text, arguments):
                getattr(dialect, name)(cursor, text, *arguments)
        except BaseException as error:
            ended_ns, kind = monotonic_ns(), type(error).__name__
            database = dialect.__dict__.get(DATABASE) or _meet(context)
            statements.ran(database, text, begun_ns, ended_ns, error=kind)
            raise
        ended_ns = monotonic_ns()
        rows = getattr(cursor, "rowcount", -1)
        if not isinstance(rows, int) or rows < 0:
            rows = len(getattr(cursor, "_rows", ()))  # what drivers of asyncio have read already
        database = dialect.__dict__.get(DATABASE) or _meet(context)
        statements.ran(database, text, begun_ns, ended_ns, rows)
        return True

    return execute


def _is_done_by(others: Any, own_one: Any, cursor: Any, text: str, arguments: Any) -> bool:
    """Whether the app has a listener that executes the statement itself."""
    return any(each is not own_one and each(cursor, text, *arguments) for each in others)


def _connected(connection: Any, _record: Any) -> None:
    """Leave the statements of a driver's connection to the events, which see them too."""
    own(getattr(connection, "driver_connection", connection))


def _meet(context: Any) -> Database:
    """The database that an engine goes to, told by its URL or else by its connection."""
    connection = context.root_connection
    url = connection.engine.url
    system: str = url.get_backend_name()
    driver: Any = None
    if not connection.closed and not connection.invalidated:
        driver = getattr(connection.connection, "driver_connection", None)
    if system == "sqlite":
        # aiosqlite has the connection of sqlite3 in itself, which we made: see `sqlite`.
        inner = getattr(driver, "_connection", None) or getattr(driver, "_conn", None)
        known = getattr(inner or driver, "outgrow_database", None)
        name = known.name if known is not None else file_name(url.database)
    elif type(driver).__module__.startswith("asyncpg."):
        name = asyncpg_name(driver)
    else:
        query_host = url.query.get("host")
        host = url.host or (query_host if isinstance(query_host, str) else None)
        name = server_name(system, host, url.port, url.database)
    found = statements.database(name, system)
    context.dialect.__dict__[DATABASE] = found
    return found
