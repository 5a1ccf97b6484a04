"""Asks now and then how much waits in queues, and keeps the answers beside what workers counted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING, Protocol

from outgrow.telemetry import BACKLOG_METRICS, Backlog, backlogs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from outgrow.telemetry import MetricPoint

EVERY_SECONDS = 10.0
# So long before a window of the archive ends, so that each has its own answer.
AHEAD_SECONDS = 1.0
POINTS_MAX = 10_000

_log = logging.getLogger(__name__)


class Keeps(Protocol):
    """Where points are kept: the archive."""

    def keep(self, *, points: Sequence[MetricPoint]) -> None:
        """Keep these."""
        ...


class Kept(Protocol):
    """Whence points are had: the archive."""

    def metric(self, name: str, from_ns: int, to_ns: int, limit: int, /) -> Sequence[MetricPoint]:
        """The newest points of a metric, oldest first."""
        ...


def backlogs_in(kept: Kept, from_ns: int, to_ns: int) -> list[Backlog]:
    """What waited in a period, oldest first; the last 10,000 answers."""
    return backlogs_of(
        point for name in BACKLOG_METRICS for point in kept.metric(name, from_ns, to_ns, POINTS_MAX)
    )


class Sounding:
    """Asks, from `start` on.

    Args:
        look: Asks how much waits at a moment (nanoseconds since 1970); called in a thread, and may
            take some seconds. Nothing where nobody answers.
        kept: Where the answers go.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        look: Callable[[int], Sequence[Backlog]],
        kept: Keeps,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._look = look
        self._kept = kept
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Ask from now on."""
        self._task = asyncio.create_task(self._run(), name="outgrow-sounding")

    async def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(until_next(self._clock()))
            try:
                await asyncio.to_thread(self.turn)
            except Exception:  # whatever it is, workers are heard on
                _log.exception("how much waits in queues cannot be asked")

    def turn(self) -> None:
        """Ask once, and keep what is answered."""
        points = [point for one in self._look(int(self._clock() * 1e9)) for point in one.points()]
        if points:
            self._kept.keep(points=points)


def until_next(now_seconds: float) -> float:
    """How long until it is time to ask: shortly before the next window ends."""
    return EVERY_SECONDS - (now_seconds + AHEAD_SECONDS) % EVERY_SECONDS
