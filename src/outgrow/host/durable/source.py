"""Where a process's durable work comes from: opened for the first who needs it."""

from __future__ import annotations

import asyncio
import contextvars
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from outgrow.host.durable.durable import Durable
from outgrow.host.durable.ending import cancelled
from outgrow.host.durable.hints import Hints
from outgrow.host.durable.relays import ThreadRelays
from outgrow.model import queue_bounds
from outgrow.store import StoreLostError, durable_at, durable_place, url_of_durable, wall_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from outgrow.host.durable.newcomer import Newcomer
    from outgrow.model import QueueBounds, Settings
    from outgrow.store import DurableStore


# Where no hints come from other processes.
POLL_SECONDS = 0.25


class DurableSource:
    """Gives the durable work of one process, and closes it at the end.

    Args:
        make: Makes it, not yet started.
        moves_at_once: Whether a transaction returns only when what it published is in the log, as
            tests want it.
        is_asked: Whether services ask it at their start whether they may, also where they have no
            work: older versions may have had some.

    Attributes:
        relays: Move into it what transactions in threads have published.
    """

    def __init__(
        self, make: Callable[[], Durable], *, moves_at_once: bool = False, is_asked: bool = False
    ) -> None:
        self.moves_at_once = moves_at_once
        self.is_asked = is_asked
        self._make = make
        self._durable: Durable | None = None
        self._opening: asyncio.Task[None] | None = None
        self.relays = ThreadRelays(self.get)

    async def get(self) -> Durable:
        """It, started.

        Raises:
            DurableError: It cannot be opened.
        """
        while self._durable is None:
            if self._opening is None:
                # For all: whoever asks first may leave before, and has a deadline and a context
                # that are nobody else's.
                self._opening = asyncio.create_task(self._open(), context=contextvars.Context())
                self._opening.add_done_callback(self._opened)
            await self._wait_for(self._opening)
        return self._durable

    async def _wait_for(self, opening: asyncio.Task[None]) -> None:
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if opening.cancelled() and task is not None and not task.cancelling():
                raise StoreLostError("durable work ends here", may_be_kept=False) from None
            raise

    async def _open(self) -> None:
        durable = self._make()
        try:
            await durable.start()
        except BaseException:
            await durable.stop()
            raise
        self._durable = durable

    def _opened(self, opening: asyncio.Task[None]) -> None:
        if self._opening is opening:
            self._opening = None
        if not opening.cancelled():
            opening.exception()  # who waited for it has heard of it, and may have left

    @property
    def held_count(self) -> int:
        """Jobs and events that are worked on."""
        return self._durable.held_count if self._durable is not None else 0

    async def drain(self, seconds: float) -> None:
        """Take no more work, and let that end which runs."""
        if self._durable is not None:
            await self._durable.drain(seconds)

    async def close(self) -> None:
        """End it, or give up its opening."""
        await self.relays.stop()
        await cancelled(self._opening)
        durable, self._durable = self._durable, None
        if durable is not None:
            await durable.stop()


def kept_source(
    meeting: str,
    name: str,
    *,
    moves_at_once: bool = False,
) -> DurableSource:
    """That of a process whose durable work a keeper has.

    Args:
        meeting: Where the keeper answers.
        name: Of the worker.
        moves_at_once: See `DurableSource`.
    """

    def make() -> Durable:
        from outgrow.host.durable.kept import KeptStore

        hints = Hints()
        return Durable(
            # It has its methods from the protocol itself.
            cast("DurableStore", KeptStore(meeting, name, hints)),
            name,
            hints=hints,
            cares=False,
            now_ms=wall_clock,
            bounds=_said[0].bounds,
            leaves_unreadable=_said[0].leaves_unreadable,
            newcomer=_said[0].newcomer,
        )

    return DurableSource(make, moves_at_once=moves_at_once, is_asked=_said[0].is_asked)


@dataclass(frozen=True)
class _Said:
    """What the supervisor says of durable work."""

    place: str = ""
    bounds: Mapping[str, QueueBounds] | None = None
    leaves_unreadable: bool = False
    newcomer: Newcomer | None = None

    @property
    def is_asked(self) -> bool:
        """Whether a version is to come in here."""
        return self.newcomer is not None and not self.newcomer.is_proven


_said = [_Said()]


def keep_at(place: str, settings: Settings, newcomer: Newcomer | None) -> None:
    """Say where the services of this process find durable work, and how they do it.

    Args:
        place: A keeper's socket, or a URL.
        settings: Of the app.
        newcomer: The version that starts here; None where it leaves nothing to others.
    """
    bounds = queue_bounds(settings.queue)
    _said[:] = [_Said(place, bounds, settings.leave_unreadable, newcomer)]


def has_left_work(settings: Settings, environment: Mapping[str, str]) -> bool:
    """Whether there is a file in which events and jobs of older versions of the app may wait.

    On a server nobody looks before this version keeps something there itself, as that would make
    tables in a database that may have nothing to do with it.
    """
    url = settings.durable_url or url_of_durable(environment, settings.folder)
    return url.startswith("sqlite") and Path(durable_place(url).address.target).exists()


def source_here(environment: Mapping[str, str]) -> DurableSource:
    """That of this process, at the place that its environment names."""
    name = environment.get("OUTGROW_WORKER", "services")
    if _said[0].place.startswith("unix:"):
        return kept_source(_said[0].place, name)
    url = _said[0].place or url_of_durable(environment)

    def make() -> Durable:
        ways: dict[str, Any] = {}
        if url.startswith("postgres"):
            ways["idle_seconds"] = POLL_SECONDS
        return Durable(
            durable_at(url),
            name,
            now_ms=wall_clock,
            bounds=_said[0].bounds,
            leaves_unreadable=_said[0].leaves_unreadable,
            newcomer=_said[0].newcomer,
            **ways,
        )

    return DurableSource(make, is_asked=_said[0].is_asked)
