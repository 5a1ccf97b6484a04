"""Endings that a cancellation does not break off."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType
    from typing import Any

T = TypeVar("T")


async def settle(work: Coroutine[Any, Any, T]) -> T:
    """What the work returns; a cancellation that comes meanwhile is raised when it is done.

    Only for work that ends by itself soon.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as problem:
            cancelled = problem
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # asked for, so that it is not reported as forgotten
        raise cancelled
    return task.result()


class SettledStack(AsyncExitStack):
    """An exit stack that leaves everything it has entered, also while it is cancelled."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool:
        """Leave all, the last first."""
        return bool(await settle(super().__aexit__(kind, problem, traceback)))
