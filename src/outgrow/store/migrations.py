"""Tables that change: Alembic's migrations, run at start and by `alembic` in the same way.

Both run the folder's `env.py`, which calls `run_migrations`. It finds the database, keeps other
processes out, and undoes everything where one step fails.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from outgrow.errors import MigrationError, OutgrowError, PackageMissingError
from outgrow.store.address import Address, address_of, url_of_service

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from alembic.config import Config
    from sqlalchemy import Connection, MetaData
    from sqlalchemy.ext.asyncio import AsyncConnection

_logger = logging.getLogger("outgrow.store")

# Alembic keeps what it works on in globals of its modules.
_one_at_a_time = threading.Lock()


class MigrationContext(Protocol):
    """What `from alembic import context` gives."""

    @property
    def config(self) -> Config:
        """Its settings."""
        ...

    @property
    def configure(self) -> Callable[..., None]:
        """Say what to run on."""
        ...

    @property
    def is_offline_mode(self) -> Callable[[], bool]:
        """Whether only SQL is to be printed."""
        ...

    @property
    def begin_transaction(self) -> Callable[[], Any]:
        """The transaction to run in."""
        ...

    @property
    def run_migrations(self) -> Callable[[], None]:
        """Run what the command asks for."""
        ...


def upgrade(folder: str | Path, service: str, address: Address) -> None:
    """Bring a database to the newest version that a folder of migrations has; blocks.

    Where the database is newer than the folder, because newer code has been there, it stays as it
    is: workers of the old version must be able to start until the last of them is replaced.

    Raises:
        MigrationError: A migration failed, and all of them are undone; or the folder is none.
    """
    command, config_of, problems = _alembic()
    shown = f"the database of `{service}`" if service else address.shown
    if ":" not in str(folder) and not (Path(folder) / "env.py").is_file():
        raise MigrationError(
            f"{shown} has no migrations in {folder}: there is no env.py",
            hint="Make it with `outgrow.store.write_migrations(...)`, or name the right one",
        )
    config: Config = config_of()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["outgrow"] = (service, address)
    try:
        with _one_at_a_time:
            command.upgrade(config, "head")
    except OutgrowError:
        raise
    except problems.CommandError as problem:
        if isinstance(problem.__cause__, _resolution_error()):
            _logger.warning("%s is newer than this code: %s", shown, problem)
            return
        raise MigrationError(f"{shown} cannot be migrated: {problem}") from problem
    except Exception as problem:
        where = _step_in(problem)
        text = f"{shown} cannot be migrated{where}: {problem}"
        raise MigrationError(text, hint="Mend it, and start again") from problem


def run_migrations(
    context: MigrationContext, metadata: MetaData | None, *, service: str | None = None
) -> None:
    """Run what `alembic` or a service's start asks for; the one call in an `env.py`.

    The database is the one that is started; on the command line the one that `-x url=...`, or
    `sqlalchemy.url` in the ini file, or the environment says, as for the service itself.

    Args:
        context: `from alembic import context`.
        metadata: The tables, for `alembic revision --autogenerate`.
        service: Whose database it is; `alembic_version_SERVICE` keeps its version. Without it only
            a service that starts can run them, and the command line cannot.

    Raises:
        MigrationError: Nobody says whose database it is.
    """
    config = context.config
    started, address = config.attributes.get("outgrow") or (None, None)
    name: str | None = started if service is None else service
    if name is None:
        raise MigrationError(
            "env.py does not say which service's database to migrate",
            hint='Write `run_migrations(context, metadata, service="NAME")`',
        )
    version_table = "alembic_version_" + re.sub(r"\W", "_", name)
    options: dict[str, Any] = {
        "target_metadata": metadata,
        "version_table": version_table.rstrip("_"),
        "include_object": _is_ours,
    }
    if address is None:
        address = _address_on_command_line(config, name)
    if context.is_offline_mode():
        context.configure(dialect_name=address.kind, literal_binds=True, **options)
        with context.begin_transaction():
            context.run_migrations()
        return

    def run(connection: Connection) -> None:
        _run_on(connection, context, options)

    _complete(_run_alone(address, run))


def _run_on(connection: Connection, context: MigrationContext, options: dict[str, Any]) -> None:
    applied: list[object] = []

    def note(**facts: object) -> None:
        applied.append(facts["step"])

    # SQLite alters few things; in batch mode Alembic makes the table anew for the rest. Always, so
    # that what was generated on PostgreSQL runs on SQLite, too.
    context.configure(connection=connection, render_as_batch=True, on_version_apply=note, **options)
    with context.begin_transaction():
        context.run_migrations()
    if applied and connection.dialect.name == "sqlite":
        _check_foreign_keys(connection)


def _check_foreign_keys(connection: Connection) -> None:
    found = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if found is not None:
        raise MigrationError(
            f"after the migrations, row {found[1]} of `{found[0]}` points to a row of "
            f"`{found[2]}` that is not there; they were undone",
            hint="Have a migration mend or delete such rows",
        )


async def _run_alone(address: Address, run: Callable[[Connection], None]) -> None:
    async with _alone(address) as connection:
        await connection.run_sync(run)


def _alone(address: Address) -> AbstractAsyncContextManager[AsyncConnection]:
    if address.kind == "sqlite":
        from outgrow.store import files, sqlite

        files.prepare(address)
        return sqlite.alone(address)
    from outgrow.store import postgres

    return postgres.alone(address)


def _complete(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, also where this thread runs an event loop already."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


def _address_on_command_line(config: Config, service: str) -> Address:
    arguments: list[str] = getattr(config.cmd_opts, "x", None) or []
    said = [text.partition("=")[2] for text in arguments if text.startswith("url=")]
    given: str | None = said[-1] if said else config.get_main_option("sqlalchemy.url")
    if given:
        return address_of(given)
    url, variable = url_of_service(service, None, os.environ)
    return address_of(url, variable=variable)


def _is_ours(_thing: object, _name: str, kind: str, reflected: bool, twin: object) -> bool:
    # Several services may share one server: what none of our tables matches is another's, and
    # `--autogenerate` must not drop it.
    return not (kind == "table" and reflected and twin is None)


def _step_in(problem: BaseException) -> str:
    """Where in the folder of migrations the problem arose."""
    for frame in reversed(traceback.extract_tb(problem.__traceback__)):
        path = Path(frame.filename)
        if path.parent.name == "versions":
            return f", versions/{path.name}:{frame.lineno} failed"
        if path.name == "env.py":
            return f", env.py:{frame.lineno} failed"
    return ""


def _alembic() -> tuple[Any, Any, Any]:
    try:
        from alembic import command, util
        from alembic.config import Config
    except ModuleNotFoundError:
        raise PackageMissingError(
            "migrations need the package alembic, which is not installed",
            hint="Install it: `pip install alembic`",
        ) from None
    return command, Config, util


def _resolution_error() -> type[BaseException]:
    from alembic.script.revision import ResolutionError

    return ResolutionError
