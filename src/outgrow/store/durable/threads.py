"""Outboxes that only a thread can reach, as the drivers of their databases block."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

from outgrow.store.durable.outbox import move_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from outgrow.store.durable.outbox import Row, Taking


END_SECONDS_MAX = 2.0


class ThreadRows(Protocol):
    """The rows of one outbox, for one thread."""

    def first(self, count: int) -> Sequence[Row]:
        """Number, kind and body of so many, in their order; none where there is no table yet."""
        ...

    def remove(self, numbers: Sequence[int]) -> None:
        """Delete those with these numbers."""
        ...

    def let_go(self) -> None:
        """Close what this thread has open."""
        ...


class ThreadMover:
    """Moves what stands in such an outbox to where it is taken.

    Args:
        rows: Of the outbox.
        taker: Where events and jobs go.
    """

    def __init__(self, rows: ThreadRows, taker: Taking) -> None:
        self._rows = rows
        self._taker = taker
        self._thread = ThreadPoolExecutor(1, "outgrow-outbox")

    async def move(self) -> int:
        """Move the first that wait; how many, 0 where none do.

        Raises:
            StoreLostError: The store is away; they stay, and are moved by the next call.
        """
        return await move_rows(self, self._taker)

    async def first(self, count: int) -> Sequence[Row]:
        """The first rows of the outbox."""
        return await self._asked(self._rows.first, count)

    async def remove(self, numbers: Sequence[int]) -> None:
        """Delete rows of the outbox."""
        await self._asked(self._rows.remove, numbers)

    async def forget_handled(self, now_ms: int) -> None:
        """There is no inbox beside it."""

    async def stop(self) -> None:
        """Let end what the thread does, and close what it has open; not for ever, if it hangs."""
        work = self._thread.submit(self._let_go)
        self._thread.shutdown(wait=False)
        await asyncio.wait([asyncio.wrap_future(work)], timeout=END_SECONDS_MAX)

    async def _asked(self, ask: Callable[..., Any], *args: Any) -> Any:
        work = self._thread.submit(self._tried, ask, *args)
        return await asyncio.wrap_future(work)

    def _tried(self, ask: Callable[..., Any], *args: Any) -> Any:
        try:
            return ask(*args)
        except Exception:
            self._let_go()  # the next try begins with a connection that works
            raise

    def _let_go(self) -> None:
        with suppress(Exception):
            self._rows.let_go()
