"""The task that moves what stands in an outbox: at once when told of it, else after a while."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Protocol

from outgrow.host.durable.carriers import carriers
from outgrow.host.durable.ending import cancelled
from outgrow.store import DurableError, ThreadMover, wall_clock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from outgrow.host.durable.durable import Durable
    from outgrow.store import NewJob, Publication, ThreadRows

MOVE_SECONDS = 1.0
FORGET_SECONDS = 3_600.0
_logger = logging.getLogger("outgrow.durable")


class Moves(Protocol):
    """Moves what stands in one outbox."""

    async def move(self) -> int:
        """Move the first that wait; how many."""
        ...

    async def forget_handled(self, now_ms: int) -> None:
        """Remove ids from the inbox that are older than a repeat can be."""
        ...


class Relay:
    """Moves what stands in one outbox, until it is stopped.

    Args:
        mover: Of the outbox.
        shown: Whose it is, for people.
    """

    def __init__(self, mover: Moves, shown: str) -> None:
        self._mover = mover
        self._shown = shown
        self._written = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Move from now on."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="outgrow-durable-outbox")

    async def stop(self) -> None:
        """Move no more; what stands there is moved by the next who starts."""
        await cancelled(self._task)

    def wake(self) -> None:
        """Something stands in the outbox now."""
        self.start()
        self._written.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        forget_at = loop.time() + FORGET_SECONDS
        is_away = False
        while True:
            try:
                while await self._mover.move():
                    pass
                if loop.time() >= forget_at:
                    forget_at = loop.time() + FORGET_SECONDS
                    await self._mover.forget_handled(wall_clock())
                is_away = False
            except Exception as problem:
                if not is_away:
                    _logger.warning(
                        "what %s has published waits in its outbox: %s", self._shown, problem
                    )
                if not isinstance(problem, DurableError):
                    _logger.debug("the outbox could not be moved", exc_info=True)
                is_away = True
            await self._wait()

    async def _wait(self) -> None:
        try:
            # `wait_for` of Python 3.11 overlooks a cancel that comes with what it waits for.
            async with asyncio.timeout(MOVE_SECONDS):
                await self._written.wait()
        except TimeoutError:
            return
        self._written.clear()


class ThreadRelays:
    """Moves what stands in the outboxes of carriers.

    Args:
        durable: Opens where it goes.
    """

    def __init__(self, durable: Callable[[], Awaitable[Durable]]) -> None:
        self._durable = durable
        self._movers: dict[ThreadRows, ThreadMover] = {}
        self._relays: dict[ThreadRows, Relay] = {}
        self._is_open = False

    def start(self) -> None:
        """Move from now on what stands in the outboxes that there are."""
        self._is_open = True
        for carrier in carriers:
            for rows in carrier.outboxes():
                if rows not in self._relays:
                    mover = self._movers[rows] = ThreadMover(rows, self)
                    relay = self._relays[rows] = Relay(mover, repr(rows))
                    relay.start()

    async def stop(self) -> None:
        """Move no more."""
        self._is_open = False
        for relay in self._relays.values():
            await relay.stop()
        for mover in self._movers.values():
            await mover.stop()
        self._relays.clear()
        self._movers.clear()

    def wake(self, rows: ThreadRows) -> None:
        """Something stands in this outbox now."""
        if self._is_open:
            self.start()  # it may be new
            self._relays[rows].wake()

    async def move(self, rows: ThreadRows) -> None:
        """Move all that stands in this outbox, and return then."""
        self.wake(rows)
        while self._is_open and await self._movers[rows].move():
            pass

    # For the movers.

    async def append(self, events: Sequence[Publication]) -> Any:
        """Have events kept."""
        return await (await self._durable()).append(events)

    async def enqueue(self, jobs: Sequence[NewJob]) -> Any:
        """Have jobs kept."""
        return await (await self._durable()).enqueue(jobs)
