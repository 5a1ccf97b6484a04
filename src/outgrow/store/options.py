"""What a service says about the database that it wants, before there is one."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

if TYPE_CHECKING:
    from sqlalchemy import MetaData

    from outgrow.store.database import Database

CONNECTIONS_MAX = 8


@dataclass(frozen=True, eq=False)
class DatabaseOptions:
    """What `database(...)` was given; without arguments, what a plain `db: Database` means.

    Attributes:
        tables: Tables that are made at start where they are missing; not used beside `migrations`.
        migrations: Alembic's folder, or `package:folder`; brought to its newest version at start.
        url: Where the database is, unless the environment says otherwise.
        connections_max: Connections of one process.
    """

    __outgrow_option__: ClassVar[bool] = True

    tables: MetaData | None = None
    migrations: str | Path | None = None
    url: str | None = None
    connections_max: int = CONNECTIONS_MAX


def database(
    *,
    tables: MetaData | None = None,
    migrations: str | Path | None = None,
    url: str | None = None,
    connections_max: int = CONNECTIONS_MAX,
) -> Database:
    """Say what a service's field `db: Database` shall be.

    Args:
        tables: Tables that are made at start where they are missing.
        migrations: Alembic's folder, for tables that change; `tables` is not used beside it. A
            relative path is meant from the folder of the file that says it.
        url: Where the database is, unless `SERVICE_DATABASE_URL` is set.
        connections_max: Connections of one process; on SQLite those that read.
    """
    if migrations is not None and ":" not in str(migrations):
        here = sys._getframe(1).f_globals.get("__file__")  # pyright: ignore[reportPrivateUsage]
        migrations = Path(here).absolute().parent / migrations if here else Path(migrations)
    options = DatabaseOptions(tables, migrations, url, connections_max)
    return cast("Any", options)
