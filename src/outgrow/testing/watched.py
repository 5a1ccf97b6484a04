"""A durable store of a test: remembers what was published, and knows what is being worked on."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from outgrow.host import ALL, Durable, DurableSource, forms_of
from outgrow.store import durable_at, wall_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from outgrow.host import Clock, Hints
    from outgrow.model import Event
    from outgrow.store import (
        Crew,
        Dead,
        Delivery,
        DurableStore,
        EventOutcome,
        Lease,
        Log,
        Position,
        Publication,
        Queue,
    )

LOOK_SECONDS = 0.005


class WatchedLog:
    """The log of such a store; what it does not do itself, the log does.

    Attributes:
        published: Events, in the order in which they came.
        held: What was given out and is not settled, by subscription, with its key.
        moves_count: How often something was given out or settled.
        asking_count: How many ask for events right now.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self.published: list[Event] = []
        self.held: dict[str, dict[Position, str | None]] = {}
        self.moves_count = 0
        self.asking_count = 0

    def __getattr__(self, name: str) -> Any:
        """As the log has it."""
        return getattr(self._log, name)

    async def append(self, events: Sequence[Publication]) -> list[Position | None]:
        """Keep events, and remember those that are new."""
        placed = await self._log.append(events)
        for one, position in zip(events, placed, strict=True):
            forms = [form for form in forms_of(one.topic) if form.schema == one.schema]
            if position is not None and forms:
                self.published.append(forms[0].event(one.body))
        return placed

    async def take(self, lease: Lease, subscription: str, *, limit: int = 100) -> list[Delivery]:
        """Give out events."""
        self.asking_count += 1
        try:
            came = await self._log.take(lease, subscription, limit=limit)
        finally:
            self.asking_count -= 1
        self.moves_count += bool(came)
        held = self.held.setdefault(subscription, {})
        held.update({one.position: one.event.key for one in came})
        return came

    async def settle(
        self, lease: Lease, subscription: str, outcomes: Sequence[EventOutcome]
    ) -> list[bool]:
        """Take how they ended."""
        told = await self._log.settle(lease, subscription, outcomes)
        self.moves_count += 1
        held = self.held.setdefault(subscription, {})
        for one in outcomes:
            key = held.pop(one.position, None)
            if one.how == "failed" and key is not None:
                # What came after it has been taken back, and is given out again.
                for later in [position for position, own in held.items() if own == key]:
                    del held[later]
        return told


class WatchedStore:
    """A store, watched."""

    def __init__(self, store: DurableStore, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms
        self.watched = WatchedLog(store.log)

    def __getattr__(self, name: str) -> Any:
        """As the store has it."""
        return getattr(self._store, name)

    @property
    def log(self) -> Log:
        """Its events."""
        return cast("Log", self.watched)

    @property
    def queue(self) -> Queue:
        """Its jobs."""
        return self._store.queue

    @property
    def dead(self) -> Dead:
        """Its dead letters."""
        return self._store.dead

    @property
    def crew(self) -> Crew:
        """Its workers."""
        return self._store.crew

    async def unfinished(self) -> str:
        """What could be done now and is not, in words; empty where all is."""
        moves_count = self.watched.moves_count
        for name, positions in self.watched.held.items():
            if positions:
                return f"the subscription `{name}` handles an event"
        for queue in await self._store.queue.queues():
            if (queue.ready_count or queue.running_count) and not queue.is_paused:
                return f"the queue `{queue.name}` has jobs that run or could"
        for one in await self._store.log.subscriptions():
            is_due = one.next_try_ms is not None and one.next_try_ms <= self._now_ms()
            if (one.unread_count or is_due) and not one.is_paused:
                return f"the subscription `{one.name}` has events to handle"
        # What was given out between two looks was seen by neither.
        if self.watched.asking_count or self.watched.moves_count != moves_count:
            return "a subscription has just been given events"
        return ""


class TestWork:
    """The durable work of a test."""

    __test__ = False

    def __init__(self, folder: Path, clock: Clock | None) -> None:
        self._clock = clock
        url = f"sqlite:///{folder / 'durable.db'}"
        self.store = WatchedStore(durable_at(url, clock=self._now_ms, is_fast=True), self._now_ms)
        self.durable: Durable | None = None

    def _now_ms(self) -> int:
        return wall_clock() if self._clock is None else int(self._clock.now().timestamp() * 1e3)

    def source(self, hints: Hints | None = None) -> DurableSource:
        """Where the services of the test get it."""

        def make() -> Durable:
            self.durable = Durable(
                cast("DurableStore", self.store),
                "test",
                hints=hints,
                now_ms=self._now_ms,
            )
            return self.durable

        return DurableSource(make, moves_at_once=True)

    async def until_idle(self, seconds: float) -> None:
        """Wait until nothing is left to do now.

        Raises:
            TimeoutError: Something still is.
        """
        if self.durable is None:
            return
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            await self.durable.sweep()
            what = await self.store.unfinished()
            if not what:
                return
            self.durable.hints.tell(ALL)  # it may be time to try something again
            if loop.time() > end:
                raise TimeoutError(f"after {seconds:g} s, {what}")
            await asyncio.sleep(LOOK_SECONDS)


@contextlib.contextmanager
def work_of_test(clock: Clock | None) -> Generator[TestWork]:
    """Durable work in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="outgrow-") as folder:
        yield TestWork(Path(folder), clock)
