"""The outbox in the database of a plain SQLAlchemy engine, whose driver blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from outgrow.store.durable.errors import OutboxError
from outgrow.store.durable.outbox import (
    OUTBOX,
    delete_statement,
    read_statement,
    statements_for,
    tables_of_outbox,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection, Engine, MetaData, Table
    from sqlalchemy.orm import Session, scoped_session

    from outgrow.store.durable.outbox import Dialect, Message

PlainSession: TypeAlias = "Session | scoped_session[Any] | Connection"
PlainEngine: TypeAlias = "Engine"
Tables: TypeAlias = "MetaData"

_TOLD = "outgrow_told"


class EngineRows:
    """The outbox of one engine's database.

    Args:
        engine: Of SQLAlchemy, for SQLite or PostgreSQL.
        makes_table: Whether the table is made by the first transaction that needs it.

    Raises:
        OutboxError: The engine is async, or its database of another kind.
    """

    def __init__(self, engine: PlainEngine, *, makes_table: bool) -> None:
        self._engine = engine
        self._makes_table = makes_table
        self._has_table = False
        self._dialect: Dialect = "sqlite" if engine.dialect.name == "sqlite" else "postgresql"
        if engine.dialect.is_async or engine.dialect.name != self._dialect:
            raise OutboxError(
                f"{self!r} is {'async' if engine.dialect.is_async else engine.dialect.name}, and "
                "has no outbox",
                hint="Give it a plain engine for SQLite or PostgreSQL; in async code, a service "
                "publishes by its own `Database`",
            )

    def __repr__(self) -> str:
        return f"the engine of {self._engine.url!r}"

    def first(self, count: int) -> list[tuple[int, str, bytes]]:
        """The first rows; none where there is no table yet."""
        from sqlalchemy import text

        with self._engine.connect() as connection:
            self._has_table = self._finds_table(connection)
            if not self._has_table:
                return []
            found = connection.execute(text(read_statement()), {"count": count}).all()
        return [(seq, kind, bytes(body)) for seq, kind, body in found]

    def remove(self, numbers: Sequence[int]) -> None:
        """Delete these."""
        from sqlalchemy import text

        with self._engine.begin() as connection:
            connection.execute(text(delete_statement()), [{"seq": seq} for seq in numbers])

    def let_go(self) -> None:
        """There is nothing open between two calls."""

    def write(
        self, session: PlainSession, messages: Sequence[Message], tell: Callable[[], None]
    ) -> None:
        """Write these in the transaction of a session or a connection.

        Args:
            session: Of this engine.
            messages: In their order.
            tell: Called once the transaction of a session has ended, however it did.

        Raises:
            MessageSizeError: One cannot be held.
            OutboxError: It is of another engine, or there is no table.
        """
        from sqlalchemy import text

        if not messages:
            return
        connection = self._connection(session, tell)
        statements = statements_for(self._dialect, messages)
        if not self._finds_table(connection):
            if not self._makes_table:
                raise OutboxError(
                    f"{self!r} has no table `{OUTBOX}`",
                    hint="Add it to your tables by `outbox.add_table(metadata)`, and migrate",
                )
            for statement in tables_of_outbox(self._dialect)[:-1]:
                connection.execute(text(statement))
        for statement, values in statements:
            connection.execute(text(statement), values)

    def _connection(self, session: PlainSession, tell: Callable[[], None]) -> Connection:
        from sqlalchemy import Connection
        from sqlalchemy.orm import scoped_session

        opened: Session | Connection
        opened = session() if isinstance(session, scoped_session) else session
        if isinstance(opened, Connection):
            connection = opened
        elif opened.bind is None:  # it has several, or one for each table
            connection = opened.connection(bind_arguments={"bind": self._engine})
        else:
            connection = opened.connection()
        if connection.engine.pool is not self._engine.pool:
            raise OutboxError(
                f"{connection.engine!r} is another engine than that of this outbox",
                hint="Make an `Outbox` for each engine that publishes",
            )
        if not isinstance(opened, Connection):
            _tell_at_end(opened, tell)
        return connection

    def _finds_table(self, connection: Connection) -> bool:
        """Whether the table is there, perhaps only in the transaction that makes it."""
        from sqlalchemy import inspect

        return self._has_table or inspect(connection).has_table(OUTBOX)


def outbox_table(metadata: MetaData) -> Table:
    """The outbox as a table of SQLAlchemy, for migrations that are found by comparing."""
    from sqlalchemy import BigInteger, Column, Identity, Integer, LargeBinary, Table, Text

    return Table(
        OUTBOX,
        metadata,
        Column(
            "seq",
            BigInteger().with_variant(Integer, "sqlite"),
            Identity(always=True),
            primary_key=True,
        ),
        Column("kind", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )


def _tell_at_end(session: Session, tell: Callable[[], None]) -> None:
    """Call this once when the session's outermost transaction has ended."""
    from sqlalchemy import event

    is_known = _TOLD in session.info
    session.info[_TOLD] = {*session.info.get(_TOLD, ()), tell}
    if is_known:
        return

    def ended(ending: Session, transaction: Any) -> None:
        if transaction.parent is None:
            for one in ending.info.get(_TOLD, ()):
                one()
            ending.info[_TOLD] = set()

    event.listen(session, "after_transaction_end", ended)
