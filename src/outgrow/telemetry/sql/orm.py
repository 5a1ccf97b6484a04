"""Django's statements, of its ORM and of its cursors, by its own execution wrapper."""

from __future__ import annotations

from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from outgrow.telemetry.sql.book import Database, statements
from outgrow.telemetry.sql.databases import file_name, server_name
from outgrow.telemetry.sql.owned import own

if TYPE_CHECKING:
    from collections.abc import Callable


def watch_django(signals: Any) -> None:
    """See the statements of every connection that Django makes from now on.

    Args:
        signals: The module `django.db.backends.signals`, imported.
    """
    signals.connection_created.connect(_connected, weak=False, dispatch_uid="outgrow")


def _connected(connection: Any, **_: Any) -> None:
    own(connection.connection)
    wrappers: list[Any] = connection.execute_wrappers
    if not any(isinstance(each, _Watch) for each in wrappers):
        wrappers.insert(0, _Watch(_database_of(connection)))  # the innermost


class _Watch:
    """Counts what one connection executes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __call__(
        self, execute: Callable[..., Any], text: Any, values: Any, many: bool, context: Any
    ) -> Any:
        begun_ns = monotonic_ns()
        try:
            result = execute(text, values, many, context)
        except BaseException as error:
            ended_ns, kind = monotonic_ns(), type(error).__name__
            statements.ran(self._database, str(text), begun_ns, ended_ns, error=kind)
            raise
        ended_ns = monotonic_ns()
        rows = getattr(context["cursor"], "rowcount", -1)
        statements.ran(self._database, str(text), begun_ns, ended_ns, rows)
        return result


def _database_of(connection: Any) -> Database:
    settings: dict[str, Any] = connection.settings_dict
    system: str = connection.vendor
    if system == "sqlite":
        name = file_name(settings.get("NAME"))
    else:
        host, port = settings.get("HOST"), settings.get("PORT")
        name = server_name(system, host, port, settings.get("NAME"))
    return statements.database(name, system)
