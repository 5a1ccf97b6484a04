"""What sessions on SQLite and PostgreSQL share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.ext.asyncio import AsyncSession

from outgrow.errors import DatabaseUnreachableError, ReadOnlyError

if TYPE_CHECKING:
    from sqlalchemy import ExceptionContext

    from outgrow.model import Event
    from outgrow.store.address import Address
    from outgrow.store.blocks import Block
    from outgrow.store.limits import Limits
    from outgrow.store.turns import Turns

STATEMENT_SHOWN_MAX = 200  # characters


class Session(AsyncSession):
    """A session of SQLAlchemy that can also publish, as part of its transaction."""

    block: Block | None = None

    def publish(self, *events: Event) -> None:
        """Have events published if and when the transaction commits.

        Raises:
            DatabaseUnreachableError: Its database belongs to no service that runs.
            MessageSizeError: One is larger than an event may be.
            ServiceError: It is no event.
            WriteTurnError: The transaction has ended.
        """
        block = self.block
        if block is None or block.outbox is None:
            raise DatabaseUnreachableError(
                "nobody moves the events of this database to where they are read",
                hint="Publish through the `Database` of a service that runs",
            )
        for event in events:
            block.add(block.outbox.publication(event))


def all_in_use(address: Address, limits: Limits, turns: Turns) -> DatabaseUnreachableError:
    """The error for who got no connection in time."""
    return DatabaseUnreachableError(
        f"no connection to {address.shown} was free within {limits.turn_seconds_max:g} s, all "
        f"{limits.connections_max} are in use: {turns.why_none()}",
        hint="Keep `begin()` and `read()` blocks short, or raise `connections_max`",
    )


def cannot_write(context: ExceptionContext) -> ReadOnlyError:
    """The error for a statement that writes, in a session that only reads."""
    words = " ".join((context.statement or "").split())
    shown = words if len(words) <= STATEMENT_SHOWN_MAX else f"{words[:STATEMENT_SHOWN_MAX]} ..."
    return ReadOnlyError(f"a session of read() cannot write: {shown}")


def refuse_unwritten(session: AsyncSession) -> None:
    """Refuse to forget changes that nobody has written."""
    changed = [*session.new, *session.deleted]
    changed += [one for one in session.dirty if session.is_modified(one)]
    if changed:
        raise ReadOnlyError(
            f"a session of read() was given a changed `{type(changed[0]).__name__}`, which it "
            "cannot write"
        )
