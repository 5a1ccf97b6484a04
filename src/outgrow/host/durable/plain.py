"""What sync code publishes and enqueues in its own transactions of SQLAlchemy."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

from outgrow.host.durable.forms import publication_of
from outgrow.host.durable.here import EnqueuedJob, carry_by, committed, made_of
from outgrow.store import EngineRows, outbox_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from outgrow.model import BoundJob, Event, GivenJob
    from outgrow.store import PlainEngine, PlainSession, Tables

P = ParamSpec("P")
R = TypeVar("R")


class Outbox:
    """Publishes and enqueues in transactions of a plain, sync SQLAlchemy engine.

    Make it where the engine is made, when the module is imported: whoever runs services there moves
    what transactions have committed, also those of processes that have died.

        engine = create_engine(url)
        outbox = Outbox(engine)

        with Session(engine) as session, session.begin():
            session.add(order)
            session.flush()
            outbox.enqueue(session, mail.send_receipt, order.id, to=order.email)

    Args:
        engine: For SQLite, in a file, or PostgreSQL.
        makes_table: Whether the table `outgrow_outbox` is made by the first transaction that needs
            it; otherwise a migration of yours makes it.

    Raises:
        OutboxError: The engine is async, or its database of another kind.
    """

    def __init__(self, engine: PlainEngine, *, makes_table: bool = True) -> None:
        self._rows = EngineRows(engine, makes_table=makes_table)
        carry_by(self)

    def __repr__(self) -> str:
        return f"<Outbox of {self._rows!r}>"

    def publish(self, session: PlainSession, *events: Event) -> None:
        """Have events published if and when the transaction of a session commits.

        On PostgreSQL, transactions that publish events with the same key wait for one another from
        here to their commit.

        Args:
            session: Or a connection, of this engine.
            events: In their order.

        Raises:
            MessageSizeError: One is larger than an event may be.
            OutboxError: The session is of another engine, or there is no table.
            ServiceError: It is no event.
            ValueMismatchError: A field holds what its type does not say.
        """
        self._rows.write(session, [publication_of(event) for event in events], self._committed)

    def enqueue(
        self, session: PlainSession, job: BoundJob[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> EnqueuedJob[R]:
        """Have a job run, if and when the transaction of a session commits.

        Args:
            session: Or a connection, of this engine.
            job: Read from a client of its service.
            args: Of the job.
            kwargs: Likewise.

        Raises:
            MessageSizeError: It is larger than a job may be.
            OutboxError: The session is of another engine, or there is no table.
            ValueMismatchError: An argument is not what its type says.
        """
        (enqueued,) = self.enqueue_many(session, [job.given(*args, **kwargs)])
        return enqueued

    def enqueue_many(
        self, session: PlainSession, jobs: Iterable[GivenJob[R]], /
    ) -> list[EnqueuedJob[R]]:
        """Have many jobs run, if and when the transaction of a session commits.

        Args:
            session: Or a connection, of this engine.
            jobs: With their arguments, as `enqueue_many` takes them.

        Returns:
            One for each, in their order.

        Raises:
            MessageSizeError: One is larger than a job may be.
            OutboxError: The session is of another engine, or there is no table.
            ValueMismatchError: An argument is not what its type says.
        """
        forms, made = made_of(list(jobs))
        self._rows.write(session, made, self._committed)
        return [EnqueuedJob(one.id, form) for one, form in zip(made, forms, strict=True)]

    def add_table(self, metadata: Tables) -> None:
        """Add the table to yours, so that Alembic finds it by comparing."""
        outbox_table(metadata)

    # For who moves it.

    def transaction(self) -> None:
        """It carries nothing that it is not given."""

    def alone(self) -> None:
        """Likewise."""

    def outboxes(self) -> Sequence[EngineRows]:
        """The one."""
        return [self._rows]

    def _committed(self) -> None:
        committed(self._rows)
