"""Enqueues the jobs that have a schedule, each tick once, whoever else does so."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from outgrow.host.durable.ending import cancelled
from outgrow.host.durable.hints import queue_name
from outgrow.model import EnqueueOptions
from outgrow.store import DurableError
from outgrow.telemetry import note_handed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from outgrow.host.durable.forms import JobForm
    from outgrow.host.durable.hints import Hints
    from outgrow.store import DurableStore

LOOK_SECONDS = 1.0
# As who enqueues what is due by the clock: it comes no more often when there is more traffic.
SCHEDULE = "schedule"
_logger = logging.getLogger("outgrow.durable")


class Schedules:
    """Watches the schedules of some jobs.

    Args:
        store: Where they are enqueued.
        forms: Of the jobs.
        hints: Told of new jobs.
        now_ms: The time.
    """

    def __init__(
        self,
        store: DurableStore,
        forms: Sequence[JobForm],
        hints: Hints,
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._hints = hints
        self._now_ms = now_ms
        self._all = [(form, when) for form in forms for when in form.model.schedules]
        self._last_ms: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Watch from now on."""
        if self._all:
            self._task = asyncio.create_task(self._run(), name="outgrow-durable-schedules")

    async def stop(self) -> None:
        """Watch no more."""
        await cancelled(self._task)

    async def _run(self) -> None:
        while True:
            try:
                await self.turn()
            except DurableError as problem:
                _logger.debug("schedules cannot be looked after: %s", problem)
            except Exception:
                _logger.exception("schedules cannot be looked after")
            await asyncio.sleep(LOOK_SECONDS)

    async def turn(self) -> None:
        """Enqueue what is due."""
        now_ms = self._now_ms()
        for form, when in self._all:
            name = f"{form.model.name} {when.cron} {when.zone}"
            last_ms = self._last_ms.get(name)
            if last_ms is None:
                known_ms = await self._store.queue.last_tick(name)
                # A schedule that nobody has seen before begins now.
                last_ms = self._last_ms[name] = now_ms if known_ms is None else known_ms
            for tick in when.due(_moment(last_ms), _moment(now_ms)):
                await self._tick(name, form, int(tick.timestamp() * 1e3))
            # Ticks that are left out are over as well.
            self._last_ms[name] = max(last_ms, now_ms)

    async def _tick(self, name: str, form: JobForm, tick_ms: int) -> None:
        job = form.new_job(EnqueueOptions(), (), {})
        if await self._store.queue.tick(name, tick_ms, [job]):
            note_handed(SCHEDULE, form.handed_as(job.queue))
            self._hints.tell(queue_name(job.queue))


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1e3, UTC)
