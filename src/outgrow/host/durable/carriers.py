"""Transactions of other libraries in threads, which carry what is published and enqueued in them.

A library says by a `Carrier` which transaction a thread has open. What sync code of that thread has
`wait` publish or enqueue is then written into the transaction's own outbox, by the thread itself,
and moved by whoever runs services once it has committed.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from outgrow.store import collecting
from outgrow.wire import current, is_edge

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Generator, Sequence

    from outgrow.host.durable.source import DurableSource
    from outgrow.store import Message, ThreadRows

    Write = Callable[[Sequence[Message]], None]


class Carrier(Protocol):
    """A library whose transactions carry messages."""

    def transaction(self) -> Write | None:
        """Writes into the transaction that this thread has open; None where it has none.

        Raises:
            OutboxError: It cannot carry any.
        """
        ...

    def alone(self) -> Write | None:
        """Writes by a transaction of its own; None where it cannot.

        It is asked for in processes without services, such as a command of a project: these only
        leave what others move.
        """
        ...

    def outboxes(self) -> Sequence[ThreadRows]:
        """What is to be moved."""
        ...


carriers: list[Carrier] = []
# Where what is published goes at once; empty while no services run here.
active_sources: list[tuple[DurableSource, asyncio.AbstractEventLoop]] = []


@contextmanager
def carried() -> Generator[None]:
    """Have what is published and enqueued in a `with` block written in this thread's transaction.

    It is written at the end of the block, all of it or nothing.
    """
    write = _write_here()
    if write is None:
        yield
        return
    with collecting(scope_here()) as messages:
        yield
    if messages:
        write(messages)


def _write_here() -> Write | None:
    ways = [one.transaction for one in carriers]
    if not active_sources:
        ways += [one.alone for one in carriers]
    return next((write for way in ways if (write := way()) is not None), None)


def scope_here() -> str:
    """The operation, job or subscription in which this code runs; empty outside of all.

    What an operation publishes is no part of its caller's transaction, also where both happen to
    run in one process.
    """
    frame = current.get()
    return "" if frame is None or is_edge(frame.operation) else frame.operation
