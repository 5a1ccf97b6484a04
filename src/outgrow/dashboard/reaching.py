"""Durable work, asked from any thread, of a keeper or a server that may not be there.

The store has its connections on the observer's loop; who asks waits in a thread of his own, and not
for long. Nothing is opened before somebody asks.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, TypeVar, cast

from outgrow.errors import OutgrowError, PackageMissingError
from outgrow.host import Hints, KeptStore
from outgrow.store import StoreVersionError, SubscriptionMissingError, durable_at

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from outgrow.store import DurableStore

ANSWER_SECONDS = 2.0
CHANGE_SECONDS = 10.0
# Who did not answer is not asked again at once, so that no threads pile up behind him.
AGAIN_SECONDS = 1.0
STOP_SECONDS = 2.0
CONNECTIONS_MAX = 2
_LOOP_SECONDS = 1.0

T = TypeVar("T")
_log = logging.getLogger(__name__)


class AwayError(Exception):
    """Whoever keeps durable work does not answer.

    Attributes:
        text: What is wrong; never the URL of a server, which may hold a password.
        hint: One thing to do.
    """

    def __init__(self, text: str, hint: str) -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint


class Reach:
    """Asks durable work; made on the loop that shall hold its connections.

    Args:
        place: The keeper's socket, such as `unix:/run/keeper.sock`, or the URL of a server.
    """

    def __init__(self, place: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._place = place
        self._has_keeper = place.startswith("unix:")
        self._store: DurableStore | None = None
        self._opening: asyncio.Task[DurableStore] | None = None
        self._flaw: AwayError | None = None
        self._again_at = 0.0

    def ask(
        self,
        what: Callable[[DurableStore], Coroutine[Any, Any, T]],
        seconds: float = ANSWER_SECONDS,
    ) -> T:
        """What the store answers; asked from another thread than the loop's.

        Args:
            what: Asks the store.
            seconds: For how long to wait.

        Raises:
            AwayError: It does not answer.
            SubscriptionMissingError: There is no such subscription.
        """
        answer = asyncio.run_coroutine_threadsafe(self._asked(what, seconds), self._loop)
        try:
            return answer.result(seconds + _LOOP_SECONDS)
        except TimeoutError:
            answer.cancel()
            raise self._away() from None

    async def _asked(
        self, what: Callable[[DurableStore], Coroutine[Any, Any, T]], seconds: float
    ) -> T:
        if self._flaw is not None:
            if self._loop.time() < self._again_at:
                raise AwayError(self._flaw.text, self._flaw.hint)
            # One tries, and others need not wait for what comes of it.
            self._again_at = self._loop.time() + seconds
        try:
            async with asyncio.timeout(seconds):
                answer = await what(await self._opened())
        except SubscriptionMissingError:
            self._flaw = None
            raise
        except AwayError as problem:
            raise self._failed(problem) from None
        except (OutgrowError, OSError) as problem:  # a `TimeoutError` is one of these
            _log.debug("durable work was not answered for: %s", type(problem).__name__)
            raise self._failed(self._away()) from None
        self._flaw = None
        return answer

    def _failed(self, flaw: AwayError) -> AwayError:
        self._flaw, self._again_at = flaw, self._loop.time() + AGAIN_SECONDS
        return flaw

    async def _opened(self) -> DurableStore:
        if self._store is not None:
            return self._store
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(), name="outgrow-durable-opening")
            self._opening.add_done_callback(_looked_at)
        # Whoever asks next goes on waiting for the same.
        return await asyncio.shield(self._opening)

    async def _open(self) -> DurableStore:
        try:
            self._store = await self._made()
        finally:
            self._opening = None
        return self._store

    async def _made(self) -> DurableStore:
        if self._has_keeper:
            # Not started: that waits for a keeper, and follows its news.
            return cast("DurableStore", KeptStore(self._place, "observer", Hints()))
        try:
            return await _started(durable_at(self._place, connections_max=CONNECTIONS_MAX))
        except (StoreVersionError, PackageMissingError) as problem:
            raise AwayError(problem.text, problem.hint) from None
        except Exception as problem:  # a driver has many, and they may tell the URL
            _log.debug("durable work could not be opened: %s", type(problem).__name__)
            raise self._away() from None

    def _away(self) -> AwayError:
        if self._has_keeper:
            return AwayError(
                "the keeper of events and jobs does not answer",
                "It is started again by itself; `outgrow status` tells whether it runs",
            )
        return AwayError(
            "the PostgreSQL server of events and jobs does not answer",
            "Look whether it runs, and whether the app reaches it",
        )

    async def stop(self) -> None:
        """Close what is open."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        store, self._store = self._store, None
        if store is not None:
            with contextlib.suppress(OutgrowError, OSError):
                async with asyncio.timeout(STOP_SECONDS):
                    await store.stop()


def _looked_at(opening: asyncio.Task[DurableStore]) -> None:
    """Its failure was told, or nobody waited for it any more."""
    if not opening.cancelled():
        opening.exception()


async def _started(store: DurableStore) -> DurableStore:
    try:
        await store.start()
    except BaseException:
        await store.stop()
        raise
    return store
