"""The loop of whoever asks the store for work: again at once, at a hint, or after a while."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from outgrow.host.durable.ending import cancelled
from outgrow.store import DurableError, LeaseLostError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from outgrow.host.durable.hints import Hints
    from outgrow.host.durable.tenure import Tenure
    from outgrow.store import Lease

FIRST_PAUSE_SECONDS = 0.1
PAUSE_SECONDS_MAX = 5.0
_logger = logging.getLogger("outgrow.durable")


class Asking:
    """Asks for work, for as long as it is not stopped.

    Args:
        what: That gives it, for people.
        tenure: By which it is held.
        hints: Wake it.
        idle_seconds: How long it waits without a hint.

    Attributes:
        was_broken: An answer was lost, so that the store may hold something for this worker of
            which this worker does not know.
    """

    def __init__(self, what: str, tenure: Tenure, hints: Hints, idle_seconds: float) -> None:
        self.was_broken = False
        self._what = what
        self._tenure = tenure
        self._hints = hints
        self._idle_seconds = idle_seconds
        self._task: asyncio.Task[None] | None = None

    def start(self, turn: Callable[[], Awaitable[bool]], hint: str) -> None:
        """Ask by this from now on.

        Args:
            turn: Asks once; whether there may be more.
            hint: What wakes it.
        """
        self._task = asyncio.create_task(self._run(turn, hint), name=f"outgrow {self._what}")

    async def stop(self) -> None:
        """Ask no more."""
        await cancelled(self._task)

    async def _run(self, turn: Callable[[], Awaitable[bool]], hint: str) -> None:
        pause_seconds = FIRST_PAUSE_SECONDS
        while True:
            seen, lease = self._hints.seen(hint), self._tenure.lease
            try:
                may_have_more = await turn()
            except LeaseLostError:
                if not await self._has_renewed(lease):
                    await asyncio.sleep(FIRST_PAUSE_SECONDS)
                continue
            except Exception as problem:
                self.was_broken = True
                if not isinstance(problem, DurableError):
                    _logger.exception("%s cannot be asked", self._what)
                elif pause_seconds == FIRST_PAUSE_SECONDS:
                    _logger.warning("%s gives nothing for now: %s", self._what, problem)
                await asyncio.sleep(pause_seconds)
                pause_seconds = min(pause_seconds * 2, PAUSE_SECONDS_MAX)
                continue
            if pause_seconds != FIRST_PAUSE_SECONDS:
                _logger.warning("%s is there again", self._what)
                pause_seconds = FIRST_PAUSE_SECONDS
            if not may_have_more:
                await self._hints.changed(hint, seen, self._idle_seconds)

    async def _has_renewed(self, lost: Lease) -> bool:
        try:
            await self._tenure.renew(lost)
        except DurableError:
            return False
        except Exception:
            _logger.exception("%s cannot be asked, as this worker gets no lease", self._what)
            return False
        return True
