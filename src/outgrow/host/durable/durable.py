"""The durable work of one process: its store, and what it runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from outgrow.host.durable.care import Care
from outgrow.host.durable.events import EventRunner
from outgrow.host.durable.forms import event_form, forms_of
from outgrow.host.durable.hints import Hints, queue_name, topic_name
from outgrow.host.durable.jobs import JobRunner
from outgrow.host.durable.names import worker_name
from outgrow.host.durable.newcomer import Entry
from outgrow.host.durable.schedules import Schedules
from outgrow.host.durable.schemas import declare_all
from outgrow.host.durable.solitude import Solitude
from outgrow.host.durable.tenure import Tenure
from outgrow.model import QueueBounds
from outgrow.store import FromTime, QueueLimits, Rate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from outgrow.host.durable.attempts import Handler
    from outgrow.host.durable.forms import JobForm
    from outgrow.host.durable.newcomer import Newcomer
    from outgrow.model import SubscriptionModel
    from outgrow.store import DurableStore, NewJob, Placed, Position, Publication, Start

SLOTS = 10
IDLE_SECONDS = 5.0
# So often a queue with a high rate is looked at; what it lets start meanwhile starts at once then.
RATE_SECONDS_MIN = 0.05


@dataclass
class Work:
    """What some services do beside answering calls.

    Attributes:
        subscriptions: With what handles their events.
        jobs: With what runs them.
    """

    subscriptions: list[tuple[SubscriptionModel, Handler]] = field(
        default_factory=list["tuple[SubscriptionModel, Handler]"]
    )
    jobs: list[tuple[JobForm, Handler]] = field(default_factory=list["tuple[JobForm, Handler]"])

    def __bool__(self) -> bool:
        return bool(self.subscriptions or self.jobs)


class Durable:
    """Publishes, enqueues and runs for one process.

    Args:
        store: Where it is kept; started by `start`.
        name: Of the worker.
        hints: Told by whoever else uses the store, as far as that can.
        cares: Whether the store needs somebody who wakes and buries: a keeper does it itself.
        idle_seconds: How often the store is asked for work where no hint came.
        now_ms: The time by which schedules go.
        bounds: Of queues, by name; None to leave what the store has.
        leaves_unreadable: Whether it runs although something waits that it cannot read.
        newcomer: The version of the app that is to run what waits; None where older ones do not
            matter, as in tests and in scripts, which have a part of an app.
    """

    def __init__(
        self,
        store: DurableStore,
        name: str,
        *,
        hints: Hints | None = None,
        cares: bool = True,
        idle_seconds: float = IDLE_SECONDS,
        now_ms: Callable[[], int],
        bounds: Mapping[str, QueueBounds] | None = None,
        leaves_unreadable: bool = False,
        newcomer: Newcomer | None = None,
    ) -> None:
        self.store = store
        self.hints = hints or Hints()
        self.care = Care(store, self.hints)
        self._name = name
        self._cares = cares
        self._idle_seconds = idle_seconds
        self.now_ms = now_ms
        self._bounds = bounds
        self._solitude = Solitude()
        self._leaves_unreadable = leaves_unreadable
        self._entry = Entry(newcomer) if newcomer is not None else None
        self._kinds: dict[str, tuple[Handler, JobForm]] = {}
        self._queues_run: set[str] = set()
        self._declared: set[tuple[str, str]] = set()
        self._gone: frozenset[str] = frozenset()
        self._tenure: Tenure | None = None
        self._runners: list[JobRunner | EventRunner] = []
        self._schedules: list[Schedules] = []

    async def start(self) -> None:
        """Open the store.

        Raises:
            DurableError: It cannot be opened.
        """
        await self.store.start()
        if self._cares:
            self.care.start()

    async def append(self, events: Sequence[Publication]) -> list[Position | None]:
        """Keep events, and wake their subscriptions."""
        await self._declare(events)
        placed = await self.store.log.append(events)
        self.hints.tell(*{topic_name(one.topic) for one in events})
        return placed

    async def _declare(self, events: Sequence[Publication]) -> None:
        """Have the store know how these are written, for a later version that is to read them."""
        for one in events:
            mark = one.topic, one.schema
            if mark in self._declared:
                continue
            for form in forms_of(one.topic):
                if form.schema == one.schema:
                    await self.store.declare(one.topic, one.schema, form.described)
            self._declared.add(mark)

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[Placed]:
        """Keep jobs, and wake who runs them."""
        placed = await self.store.queue.enqueue(jobs)
        self.hints.tell(*{queue_name(one.queue) for one in jobs})
        return placed

    async def serve(self, work: Work) -> None:
        """Run this work, from now on.

        Raises:
            UnreadableError: Something waits that this version of the app cannot read, or that it
                has nobody to run.
        """
        await declare_all(
            self.store,
            [event_form(model.event) for model, _ in work.subscriptions],
            [form for form, _ in work.jobs],
            leaves_unreadable=self._leaves_unreadable,
        )
        entry = self._entry
        if entry is not None:
            skips = self._leaves_unreadable
            await entry.ask(self.store, self.now_ms(), leaves_unreadable=skips)
            self._gone = entry.gone if skips else frozenset[str]()
        if work:
            await self._run(work)
        if entry is not None:
            await entry.record(self.store)
            self._entry = None

    async def _run(self, work: Work) -> None:
        if self._tenure is None:
            tenure = Tenure(self.store, worker_name(self._name))
            await tenure.start()
            self._tenure = tenure
        made = [*await self._subscribed(work), *await self._queues(work)]
        schedules = Schedules(self.store, [form for form, _ in work.jobs], self.hints, self.now_ms)
        self._runners += made
        self._schedules.append(schedules)
        for runner in made:
            runner.start()
        schedules.start()

    async def _subscribed(self, work: Work) -> list[EventRunner]:
        assert self._tenure is not None
        made: list[EventRunner] = []
        for model, handler in work.subscriptions:
            form, options = event_form(model.event), model.options
            await self.store.log.subscribe(
                model.name,
                form.topic,
                start=_start(options.start),
                attempts_max=options.attempts_max,
            )
            made.append(
                EventRunner(self.store, self._tenure, model, handler, form, **self._ways(SLOTS))
            )
        return made

    async def _queues(self, work: Work) -> list[JobRunner]:
        assert self._tenure is not None
        self._kinds.update({form.model.name: (handler, form) for form, handler in work.jobs})
        # Services that start one by one may have a queue in common, which is run once.
        queues = {form.model.queue for form, _ in work.jobs} - self._queues_run
        self._queues_run |= queues
        bounds = self._bounds or {}
        limits = await self._limits(queues)
        return [
            JobRunner(
                self.store,
                self._tenure,
                queue,
                self._kinds,
                gone=self._gone,
                # Of a queue that is bounded over all workers, others could not run it then.
                may_claim_ahead=limits[queue] == QueueLimits(),
                **self._ways(bounds.get(queue, QueueBounds()).slots or SLOTS, limits[queue].rate),
            )
            for queue in sorted(queues)
        ]

    async def _limits(self, queues: Iterable[str]) -> dict[str, QueueLimits]:
        """How the store bounds these queues, from now on as the settings say, if they do."""
        known = {one.name: one.limits for one in await self.store.queue.queues()}
        found = {queue: known.get(queue, QueueLimits()) for queue in queues}
        if self._bounds is not None:
            for queue, before in found.items():
                found[queue] = limits_of(self._bounds.get(queue, QueueBounds()))
                if found[queue] != before:
                    await self.store.queue.limit_queue(queue, found[queue])
        return found

    def _ways(self, slots: int, rate: Rate | None = None) -> dict[str, Any]:
        idle_seconds = self._idle_seconds
        if rate is not None:  # nobody says when it lets another start
            each_seconds = rate.per_ms / rate.count / 1e3
            idle_seconds = min(idle_seconds, max(each_seconds, RATE_SECONDS_MIN))
        return {
            "slots": slots,
            "solitude": self._solitude,
            "hints": self.hints,
            "idle_seconds": idle_seconds,
        }

    @property
    def held_count(self) -> int:
        """Jobs and events that are worked on here."""
        return sum(runner.held_count for runner in self._runners)

    async def sweep(self) -> None:
        """Let start at once what is due by the clock, as after a test has set it."""
        for schedules in self._schedules:
            await schedules.turn()
        await self.care.turn()

    async def drain(self, seconds: float) -> None:
        """Take no more work, and let that end which runs; what does not is given back."""
        for schedules in self._schedules:
            await schedules.stop()
        await asyncio.gather(*(runner.stop(seconds) for runner in self._runners))
        self._runners.clear()
        self._queues_run.clear()
        self._schedules.clear()
        if self._tenure is not None:
            await self._tenure.stop()
            self._tenure = None

    async def stop(self) -> None:
        """Close the store."""
        await self.care.stop()
        await self.store.stop()


def _start(said: Literal["beginning", "end"] | datetime) -> Start:
    return FromTime(int(said.timestamp() * 1e3)) if isinstance(said, datetime) else said


def limits_of(bounds: QueueBounds) -> QueueLimits:
    """What the store holds a queue to."""
    rate = None
    if bounds.rate_count is not None:
        per_ms = max(1, int(bounds.rate_seconds * 1e3))
        burst_count = max(1, round(bounds.rate_count * 2 * RATE_SECONDS_MIN * 1e3 / per_ms))
        rate = Rate(count=bounds.rate_count, per_ms=per_ms, burst_count=burst_count)
    return QueueLimits(slots=bounds.concurrency, rate=rate)
