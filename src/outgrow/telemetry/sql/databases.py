"""The name of a database: where it is, without who asks it."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433, "oracle": 1521}
_NAME_MAX = 200
DATABASE = "_outgrow_database"  # what a dialect of SQLAlchemy is given as soon as it is known


def server_name(system: str, host: str | None, port: int | str | None, database: str | None) -> str:
    """Such as `postgresql://db.example/shop`; the port only where it is not the usual one.

    Args:
        system: Such as `postgresql`.
        host: None, or a path, for a socket on this computer.
        port: None where it is not known.
        database: Its name there.
    """
    if not host or host.startswith("/"):
        host = "localhost"
    if ":" in host:
        host = f"[{host}]"
    shown = f":{port}" if port and str(port) != str(_PORTS.get(system)) else ""
    return f"{system}://{host}{shown}/{database or ''}"[:_NAME_MAX]


def file_name(path: object) -> str:
    """Such as `sqlite:orders.db`; `sqlite::memory:` for one without a file."""
    text = path.decode(errors="replace") if isinstance(path, bytes) else str(path or "")
    if text.startswith("file:"):
        text, _, options = text.removeprefix("file:").partition("?")
        if "mode=memory" in options:
            text = ""
    return f"sqlite:{PurePath(text).name or ':memory:'}"[:_NAME_MAX]


def asyncpg_name(connection: Any) -> str:
    """The name of the database that a connection of asyncpg goes to."""
    address: Any = getattr(connection, "_addr", None)
    host: str | None = None
    if isinstance(address, str):
        port = address.rpartition(".")[2]  # as in /run/postgresql/.s.PGSQL.5432
    else:
        host, port = address[:2] if address else (None, None)
    parameters = getattr(connection, "_params", None)
    return server_name("postgresql", host, port, getattr(parameters, "database", None))
