"""Gives the events of one subscription to its method: each key's in order, other keys' beside.

A key whose event fails is given up here as soon as the store knows of the failure, since the store
then takes its later events back. Nothing is asked for in between: what came then could be of that
key, and would be handled before its turn.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from collections import deque
from time import monotonic_ns
from typing import TYPE_CHECKING

from outgrow.host.durable.asking import Asking
from outgrow.host.durable.attempts import attempted, retry_after_ms
from outgrow.host.durable.ending import ended
from outgrow.host.durable.hints import topic_name
from outgrow.host.durable.telling import Telling
from outgrow.store import DurableError, EventOutcome, LeaseLostError, failure_of
from outgrow.telemetry import station_book

if TYPE_CHECKING:
    from collections.abc import Collection
    from uuid import UUID

    from outgrow.host.durable.attempts import Handler
    from outgrow.host.durable.forms import EventForm
    from outgrow.host.durable.hints import Hints
    from outgrow.host.durable.solitude import Solitude
    from outgrow.host.durable.tenure import Tenure
    from outgrow.model import SubscriptionModel
    from outgrow.store import Delivery, DurableStore, Lease, Position

HELD_COUNT_MAX = 100
# So many of the largest that there are come in one answer.
TAKE_COUNT_MAX = 50
AGAIN_SECONDS = 0.2
_logger = logging.getLogger("outgrow.durable")


class EventRunner:
    """Handles the events of one subscription.

    Args:
        store: Which gives them out.
        tenure: By which they are held.
        model: The subscription.
        handler: Handles one.
        form: Reads one.
        slots: How many keys at once.
        solitude: Keeps events from beginning beside a job that ended its worker.
        hints: Wake it.
        idle_seconds: How long it waits without a hint before it asks again.
    """

    def __init__(
        self,
        store: DurableStore,
        tenure: Tenure,
        model: SubscriptionModel,
        handler: Handler,
        form: EventForm,
        *,
        slots: int,
        solitude: Solitude,
        hints: Hints,
        idle_seconds: float,
    ) -> None:
        self.model = model
        self._store = store
        self._tenure = tenure
        self._handler = handler
        self._form = form
        self._hints = hints
        self._solitude = solitude
        self._parameter = list(inspect.signature(model.function).parameters)[1]
        self._slots = asyncio.Semaphore(slots)
        self._held: dict[Position, Lease] = {}
        # Since when each was due, on the clock `time.monotonic_ns`.
        self._due_ns: dict[Position, int] = {}
        self._lanes: dict[str, deque[Delivery]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_order = asyncio.Lock()
        self._freed = asyncio.Event()
        self._station = station_book.meet(f"subscription {model.name}: slots", "queue", slots)
        what = f"the subscription `{model.name}`"
        self._asking = Asking(what, tenure, hints, idle_seconds)
        self._telling = Telling[EventOutcome](what, tenure, self._settle)
        tenure.holders.append(self)

    @property
    def held_count(self) -> int:
        """Events that are handled, or whose end the store does not know yet."""
        return len(self._held) + len(self._telling.waiting)

    @property
    def hint(self) -> str:
        """What wakes it."""
        return topic_name(self._form.topic)

    def start(self) -> None:
        """Handle events from now on."""
        self._telling.start()
        self._asking.start(self._turn, self.hint)

    async def stop(self, seconds: float) -> None:
        """Take no more; let those end that are handled, but not for ever."""
        await self._asking.stop()
        self._lanes_end()
        await ended(self._tasks, seconds)
        await self._telling.stop()

    def cancel(self, ids: Collection[UUID]) -> None:
        """Jobs are cancelled, not events."""

    def lose(self) -> None:
        """All that is held was given to others."""
        self._lanes_end()
        # What comes by the next lease is not put behind what ends now.
        self._lanes.clear()
        self._held.clear()
        self._due_ns.clear()
        for task in self._tasks:
            task.cancel()

    def _lanes_end(self) -> None:
        """Begin nothing more of what is held; it is given back with the lease."""
        for lane in self._lanes.values():
            lane.clear()

    # The loop.

    async def _turn(self) -> bool:
        """Ask for events once; whether there may be more."""
        if len(self._held) >= HELD_COUNT_MAX:
            self._freed.clear()
            await self._freed.wait()
        async with self._in_order:
            lease = self._tenure.lease
            if self._asking.was_broken:
                known = {*self._held, *(one.position for one in self._telling.waiting)}
                await self._store.log.strays(lease, self.model.name, known)
                self._asking.was_broken = False
            room = min(HELD_COUNT_MAX - len(self._held), TAKE_COUNT_MAX)
            came = await self._store.log.take(lease, self.model.name, limit=room)
            if lease != self._tenure.lease:
                return True  # it was lost meanwhile, and others have them
            for one in came:
                self._hold(one, lease)
        return bool(came)

    def _hold(self, one: Delivery, lease: Lease) -> None:
        self._held[one.position] = lease
        self._due_ns[one.position] = monotonic_ns() - one.waited_ms * 1_000_000
        event = one.event
        # What has no key has no order, and a lane of its own.
        name = f"key {event.key}" if event.key is not None else f"id {event.id}"
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = deque()
            task = asyncio.create_task(self._run(name, lane, lease), context=contextvars.Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        lane.append(one)

    async def _run(self, name: str, lane: deque[Delivery], lease: Lease) -> None:
        """Handle what is in a lane, one after the other."""
        begun: list[Delivery] = []
        try:
            while lane:
                async with self._slots:
                    if not lane:
                        break
                    begun = [one := lane.popleft()]
                    await self._settle_one(one, lane, lease)
        finally:
            for one in (*begun, *lane):
                self._let_go(one, lease)
            lane.clear()
            if self._lanes.get(name) is lane:
                del self._lanes[name]
            self._freed.set()

    async def _settle_one(self, one: Delivery, lane: deque[Delivery], lease: Lease) -> None:
        outcome = await self._outcome(one)
        if outcome.how == "done":
            self._let_go(one, lease)
            self._telling.tell(lease, outcome)
            self._freed.set()
            return
        async with self._in_order:
            await self._fail(lease, outcome)
            for later in lane:
                self._let_go(later, lease)
            lane.clear()

    def _let_go(self, one: Delivery, lease: Lease) -> None:
        """Hold it no longer, unless it came again by another lease."""
        if self._held.get(one.position) == lease:
            del self._held[one.position]
            self._due_ns.pop(one.position, None)

    async def _outcome(self, one: Delivery) -> EventOutcome:
        try:
            # A task of its own, so that what it sets in its context is gone with it.
            await asyncio.create_task(self._attempt(one), context=contextvars.Context())
            return EventOutcome(position=one.position, attempt=one.attempt)
        except Exception as problem:
            options = self.model.options
            return EventOutcome(
                position=one.position,
                attempt=one.attempt,
                how="failed",
                failure=failure_of(problem),
                retry_after_ms=retry_after_ms(
                    problem, options.backoff, one.attempt, options.attempts_max
                ),
            )

    async def _attempt(self, one: Delivery) -> None:
        now_ns = monotonic_ns()
        use = self._station.take(now_ns - self._due_ns.get(one.position, now_ns))
        try:
            async with self._solitude.beside():
                await attempted(
                    self._handler,
                    {self._parameter: self._form.event(one.event.body)},
                    one.event.id,
                    seconds=self.model.options.timeout_seconds,
                    headers=one.event.headers,
                )
        finally:
            self._station.give_back(use)

    async def _fail(self, lease: Lease, outcome: EventOutcome) -> None:
        """Tell of a failure, and wait until it is known: only then is its key's order safe."""
        while lease == self._tenure.lease:
            try:
                await self._store.log.settle(lease, self.model.name, [outcome])
            except LeaseLostError:
                return
            except Exception as problem:
                if not isinstance(problem, DurableError):
                    _logger.exception("`%s` cannot say that an event failed", self.model.name)
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                if outcome.retry_after_ms is not None:
                    loop = asyncio.get_running_loop()
                    loop.call_later(outcome.retry_after_ms / 1e3, self._hints.tell, self.hint)
                return

    async def _settle(self, lease: Lease, outcomes: list[EventOutcome]) -> None:
        await self._store.log.settle(lease, self.model.name, outcomes)
        # What waited behind one of these may be given out now.
        self._hints.tell(self.hint)
