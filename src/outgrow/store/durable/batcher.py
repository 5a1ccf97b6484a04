"""Many callers' work in one transaction, for an engine where each costs a round trip and a commit.

Nobody is made to wait: what comes while one batch is on its way goes into the next.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from outgrow.store.durable.errors import StoreBusyError, StoreLostError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

A = TypeVar("A")
B = TypeVar("B")

BATCH_COUNT_MAX = 500
WAITING_COUNT_MAX = 20_000


class Batcher(Generic[A, B]):
    """Hands over in batches what is put in one by one.

    Args:
        send: Does a batch; gives the result of each, or raises for all.
        size: How much of a batch one thing is; so much of it goes into one.
        at_once: How many batches may be on their way.
    """

    def __init__(
        self,
        send: Callable[[Sequence[A]], Awaitable[Sequence[B]]],
        *,
        size: Callable[[A], int],
        at_once: int = 2,
    ) -> None:
        self._send = send
        self._size = size
        self._at_once = at_once
        self._waiting: deque[tuple[A, asyncio.Future[B]]] = deque()
        self._running: set[asyncio.Task[None]] = set()
        self._is_closed = False

    async def put(self, one: A) -> B:
        """The result for this one, when its batch is done.

        Raises:
            StoreBusyError: Too much waits.
            StoreLostError: It is closed.
        """
        if self._is_closed:
            raise StoreLostError("the store is closed", may_be_kept=False)
        if len(self._waiting) >= WAITING_COUNT_MAX:
            raise StoreBusyError(f"{WAITING_COUNT_MAX} writes wait for the store")
        future: asyncio.Future[B] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, future))
        if len(self._running) < self._at_once:
            task = asyncio.ensure_future(self._work())
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return await future

    async def close(self) -> None:
        """Send what waits, and take nothing more."""
        self._is_closed = True
        while self._running:
            await asyncio.wait(self._running)

    async def _work(self) -> None:
        while self._waiting:
            batch: list[tuple[A, asyncio.Future[B]]] = []
            room = BATCH_COUNT_MAX
            while self._waiting and (not batch or self._size(self._waiting[0][0]) <= room):
                batch.append(self._waiting.popleft())
                room -= self._size(batch[-1][0])
            await self._send_one(batch)

    async def _send_one(self, batch: list[tuple[A, asyncio.Future[B]]]) -> None:
        try:
            results = await self._send([one for one, _ in batch])
        except Exception as problem:
            for _, future in batch:
                if not future.done():
                    future.set_exception(problem)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)
