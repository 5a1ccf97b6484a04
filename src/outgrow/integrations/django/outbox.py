"""The outbox in a database of Django: written in its transactions, read by its connections.

Django has no moment before a commit, so that what is published is written where it is published.
A savepoint that is rolled back takes it along.
"""

from __future__ import annotations

import re
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from outgrow.host import committed
from outgrow.store import OutboxError, delete_statement, read_statement, statements_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from outgrow.store import Message

TABLE = "outgrow_django_outbox"
VENDORS = ("sqlite", "postgresql")
_NAME = re.compile(r":(\w+)")
_django: Any = import_module("django.db")
_transaction: Any = import_module("django.db.transaction")


class DjangoRows:
    """The outbox of one database, by a connection of the thread that asks.

    Args:
        alias: Of the database, such as `default`.
    """

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self._has_table = False

    def __repr__(self) -> str:
        return f"Django's database `{self.alias}`"

    def first(self, count: int) -> list[tuple[int, str, bytes]]:
        """The first rows; none where the migration has not run."""
        connection = self._connection()
        if not self._has_table:
            self._has_table = TABLE in connection.introspection.table_names()
            if not self._has_table:
                return []
        with connection.cursor() as cursor:
            cursor.execute(_as_django(read_statement(TABLE)), {"count": count})
            return [(seq, kind, bytes(body)) for seq, kind, body in cursor.fetchall()]

    def remove(self, numbers: Sequence[int]) -> None:
        """Delete these."""
        statement = _as_django(delete_statement(TABLE))
        with _transaction.atomic(using=self.alias), self._connection().cursor() as cursor:
            for number in numbers:
                cursor.execute(statement, {"seq": number})

    def let_go(self) -> None:
        """Close this thread's connection."""
        self._connection().close()

    def write(self, messages: Sequence[Message]) -> None:
        """Write these in the transaction that this thread has open.

        Raises:
            OutboxError: The database cannot have them.
        """
        connection = self._connection()
        statements = statements_for(connection.vendor, messages, table=TABLE)
        try:
            with connection.cursor() as cursor:
                for statement, values in statements:
                    cursor.execute(_as_django(statement), values)
        except (_django.ProgrammingError, _django.OperationalError) as problem:
            if TABLE not in str(problem):
                raise
            raise OutboxError(
                f"{self!r} has no outbox: {str(problem).splitlines()[0]}",
                hint="Run `python manage.py migrate outgrow`, for each database that publishes",
            ) from problem
        if connection.in_atomic_block:
            told = partial(committed, self)
            _transaction.on_commit(told, using=self.alias, robust=True)

    def write_alone(self, messages: Sequence[Message]) -> None:
        """Write these by a transaction of their own.

        Raises:
            OutboxError: The database cannot have them.
        """
        with _transaction.atomic(using=self.alias):
            self.write(messages)

    def _connection(self) -> Any:
        return _django.connections[self.alias]


class DjangoCarrier:
    """The transactions of Django."""

    def __init__(self) -> None:
        self._rows: dict[str, DjangoRows] = {}

    def transaction(self) -> Callable[[Sequence[Message]], None] | None:
        """Writes into the outermost `atomic()` of this thread; None outside of all.

        Raises:
            OutboxError: Several databases have one, or the database is of another kind.
        """
        opened = [one for one in _django.connections.all(initialized_only=True) if _is_open(one)]
        if not opened:
            return None
        aliases = [one.alias for one in opened]
        if len(opened) > 1:
            raise OutboxError(
                f"transactions of {' and '.join(f'`{one}`' for one in aliases)} are open, and "
                "what is published could commit with one of them only",
                hint="Publish where one of them is open",
            )
        _check(opened[0])
        return self._rows_of(aliases[0]).write

    def alone(self) -> Callable[[Sequence[Message]], None]:
        """Writes into the database to which the outbox is routed, all of it or nothing.

        Raises:
            OutboxError: The database is of another kind.
        """
        alias = _django.router.db_for_write(_model())
        _check(_django.connections[alias])
        return self._rows_of(alias).write_alone

    def outboxes(self) -> list[DjangoRows]:
        """The outboxes of all databases that may have one."""
        model = _model()
        return [
            self._rows_of(alias)
            for alias in _django.connections
            if _django.connections[alias].vendor in VENDORS
            and _django.router.allow_migrate_model(alias, model)
        ]

    def _rows_of(self, alias: str) -> DjangoRows:
        return self._rows.setdefault(alias, DjangoRows(alias))


def _model() -> Any:
    """The outbox's model, which can be imported only once all apps have been."""
    return import_module("outgrow.integrations.django.models").Outgoing


def _check(connection: Any) -> None:
    if connection.vendor not in VENDORS:
        raise OutboxError(
            f"Django's database `{connection.alias}` is {connection.display_name}, which has no "
            "outbox",
            hint="Publish after the commit, by `transaction.on_commit`, in a process in which "
            "services run; a crash between the two loses it",
        )


def _is_open(connection: Any) -> bool:
    """Whether a transaction is open that somebody began; that of a `TestCase` is nobody's."""
    if connection.in_atomic_block:
        return any(not getattr(one, "_from_testcase", False) for one in connection.atomic_blocks)
    return connection.connection is not None and not connection.get_autocommit()


def _as_django(statement: str) -> str:
    """A statement with its parameters as Django's cursors take them."""
    return _NAME.sub(r"%(\1)s", statement)
