"""Handing work over to a task that may be cancelled while it is on its way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

T = TypeVar("T")

# Else the loop would let them go half way.
_giving_back: set[asyncio.Task[object]] = set()


async def handed_over(
    getting: Coroutine[Any, Any, list[T]],
    give_back: Callable[[list[T]], Coroutine[Any, Any, object]],
) -> list[T]:
    """What we get; where the caller is cancelled before it has it, it is given back.

    Work that the store has given out, and nobody received, would wait for as long as the worker
    lives.
    """
    task = asyncio.ensure_future(getting)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        ending = asyncio.ensure_future(_return(task, give_back))
        _giving_back.add(ending)
        ending.add_done_callback(_giving_back.discard)
        raise


async def _return(
    task: asyncio.Task[list[T]], give_back: Callable[[list[T]], Coroutine[Any, Any, object]]
) -> None:
    try:
        got = await task
        if got:
            await give_back(got)
    except Exception:
        # The store is gone; what it has given out is found again as strays or by the death watch.
        return
