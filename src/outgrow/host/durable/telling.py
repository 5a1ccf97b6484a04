"""Tells the store how attempts ended: many at a time, and again until it has heard."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Generic, TypeVar

from outgrow.host.durable.ending import cancelled
from outgrow.store import DurableError, LeaseLostError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from outgrow.host.durable.tenure import Tenure
    from outgrow.store import Lease

O = TypeVar("O")  # noqa: E741

# So many of the largest that there are can be told in one call.
TOLD_COUNT_MAX = 50
PAUSE_SECONDS = 0.2
LAST_WORDS_SECONDS = 2.0
_logger = logging.getLogger("outgrow.durable")


class Telling(Generic[O]):
    """Outcomes on their way to the store, in the order in which they came.

    Args:
        what: Takes them, for people.
        tenure: By which the work was held.
        settle: Tells some of one lease.

    Attributes:
        waiting: Which the store has not confirmed.
    """

    def __init__(
        self, what: str, tenure: Tenure, settle: Callable[[Lease, list[O]], Awaitable[object]]
    ) -> None:
        self.waiting: list[O] = []
        self._lease: Lease | None = None
        self._what = what
        self._tenure = tenure
        self._settle = settle
        self._told = asyncio.Event()
        self._empty = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Tell from now on."""
        self._task = asyncio.create_task(self._run(), name=f"outgrow telling {self._what}")

    def tell(self, lease: Lease, outcome: O) -> None:
        """Have it told, unless the lease is lost: then others have the work."""
        if lease != self._tenure.lease:
            return
        if lease != self._lease:
            self.waiting.clear()
            self._lease = lease
        self.waiting.append(outcome)
        self._empty.clear()
        self._told.set()

    async def stop(self) -> None:
        """Tell the last, and end; not for ever."""
        if self._task is None:
            return
        if self.waiting:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_SECONDS):
                    await self._empty.wait()
        await cancelled(self._task)

    async def _run(self) -> None:
        while True:
            await self._told.wait()
            self._told.clear()
            while self.waiting:
                await self._tell_some()
            self._empty.set()

    async def _tell_some(self) -> None:
        lease, some = self._lease, self.waiting[:TOLD_COUNT_MAX]
        assert lease is not None
        try:
            await self._settle(lease, some)
        except LeaseLostError:
            pass
        except Exception as problem:
            if isinstance(problem, DurableError):
                _logger.debug("%s does not hear how attempts ended: %s", self._what, problem)
            else:
                _logger.exception("%s cannot be told how attempts ended", self._what)
            if lease == self._tenure.lease:
                await asyncio.sleep(PAUSE_SECONDS)
                return
        if lease == self._lease:
            del self.waiting[: len(some)]
