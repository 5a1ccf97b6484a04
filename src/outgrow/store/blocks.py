"""Transactions that also publish and enqueue, and those that handle a message exactly once.

What is published or enqueued inside a block of `Database.begin()` is written to the outbox as the
block's last statements, so that it exists if and only if the block commits. A block begun while a
message is handled first writes down that message's id: a repeat finds it, and changes nothing.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from outgrow.errors import WriteTurnError
from outgrow.store.durable.errors import HandledBeforeError, SecondBlockError
from outgrow.store.durable.ids import wall_clock
from outgrow.store.durable.outbox import mark_handled, write_to_outbox

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from contextlib import AbstractAsyncContextManager
    from uuid import UUID

    from outgrow.store.durable.outbox import Message
    from outgrow.store.durable.records import Publication
    from outgrow.store.sessions import Session

MESSAGES_MAX = 10_000


class Outbox(Protocol):
    """Where a database's messages go once they are committed."""

    def scope(self) -> str:
        """The operation, job or subscription in which this code runs."""
        ...

    has_tables: bool
    """Whether its tables are known to be there."""

    def publication(self, event: object) -> Publication:
        """An event on its way into the log."""
        ...

    async def committed(self) -> None:
        """Some stand in the outbox now."""
        ...


class Block:
    """One open transaction, and what is to be published and enqueued with it.

    Args:
        scope: What began it, such as `Orders.place`; what that calls has no part in it.
        outbox: Of its database; None where somebody else writes.
    """

    def __init__(self, scope: str, outbox: Outbox | None = None) -> None:
        self.scope = scope
        self.outbox = outbox
        self.messages: list[Message] = []
        self.is_open = True

    def add(self, *messages: Message) -> None:
        """Have these written when the transaction ends.

        Raises:
            WriteTurnError: It has ended, or holds too many.
        """
        if not self.is_open:
            raise WriteTurnError(
                "something is published by a session whose transaction has ended",
                hint="Publish inside the `begin()` block",
            )
        if len(self.messages) + len(messages) > MESSAGES_MAX:
            raise WriteTurnError(
                f"one transaction publishes more than {MESSAGES_MAX} events and jobs",
                hint="Do it in several",
            )
        self.messages.extend(messages)


class Handling:
    """A message that is being handled.

    Args:
        handler: Name of the subscription or job.
        id: Of the message.
        database: Name of the service whose database its block changes.
        is_repeatable: Whether doing it twice has the effect of once.

    Attributes:
        was_before: Its effect is there already, from an earlier attempt.
    """

    def __init__(self, handler: str, id: UUID, database: str, *, is_repeatable: bool) -> None:
        self.handler = handler
        self.id = id
        self.database = database
        self.is_repeatable = is_repeatable
        self.was_before = False
        self._refused: SecondBlockError | None = None
        self._has_block = False

    @contextmanager
    def block(self) -> Generator[None]:
        """The one block that an attempt may have; one that is rolled back may be begun again.

        Raises:
            SecondBlockError: Another is open, or committed.
        """
        if self._has_block:
            self._refused = SecondBlockError(
                f"`{self.handler}` begins a second transaction: a repeat could not tell which of "
                "the two had been committed"
            )
            raise self._refused
        self._has_block = True
        try:
            yield
        except BaseException:
            self._has_block = False
            raise

    def end(self) -> None:
        """Say so if only a part was done, though the method went on.

        Raises:
            SecondBlockError: A second block was refused.
        """
        if self._refused is not None:
            raise self._refused

    async def note(self, session: Session) -> None:
        """Keep with this transaction that the message is handled.

        Raises:
            HandledBeforeError: It was, by an earlier attempt.
        """
        if not await mark_handled(session, self.handler, self.id, wall_clock()):
            self.was_before = True
            raise HandledBeforeError(f"`{self.handler}` has handled the message {self.id} before")


_block: ContextVar[Block | None] = ContextVar("outgrow_block", default=None)
handled_here: ContextVar[Handling | None] = ContextVar("outgrow_handling", default=None)


def block_here(scope: str) -> Block | None:
    """The transaction in which this code runs; None outside of all.

    Args:
        scope: In which it runs, such as `Orders.place`.
    """
    block = _block.get()
    return block if block is not None and block.is_open and block.scope == scope else None


@contextmanager
def collecting(scope: str) -> Generator[list[Message]]:
    """Have what is published and enqueued in a `with` block put into a list.

    Args:
        scope: In which it runs; what that calls has no part in it.
    """
    block, before = Block(scope), _block.get()
    _block.set(block)
    try:
        yield block.messages
    finally:
        block.is_open = False
        _block.set(before)


@asynccontextmanager
async def carrying(
    begun: AbstractAsyncContextManager[Session], outbox: Outbox, name: str
) -> AsyncGenerator[Session]:
    """The same transaction, which also carries messages.

    Args:
        begun: What begins it.
        outbox: Of its database.
        name: Of the service whose database it is.
    """
    handling = handled_here.get()
    if handling is not None and (handling.database != name or handling.is_repeatable):
        handling = None
    block, before = Block(outbox.scope(), outbox), _block.get()
    with nullcontext() if handling is None else handling.block():
        async with begun as session:
            if handling is not None:
                await handling.note(session)
            session.block = block
            _block.set(block)
            try:
                yield session
                await session.flush()  # its listeners may publish as well
                block.is_open = False
                if block.messages:
                    await write_to_outbox(
                        session, block.messages, makes_tables=not outbox.has_tables
                    )
            finally:
                block.is_open = False
                _block.set(before)
    if block.messages:
        await outbox.committed()
