"""Work that goes on whatever becomes of its caller, such as to undo what a late call has done."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any, TypeVar

from outgrow.wire import Deadline, calling, current, endless

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

_going: set[asyncio.Task[Any]] = set()  # a loop alone would not keep them


async def see_through(work: Coroutine[Any, Any, T], seconds: float = 5.0) -> T:
    """Do something to its end, whatever becomes of its caller.

    As in `except BaseException: await see_through(self._undo(id)); raise`. It runs in a task of its
    own, with time of its own: the deadline that holds here, past or to come, does not end it, and
    no more does a cancel. Who awaits it is ended by either, and the work goes on.

    Args:
        work: The coroutine; its calls carry the baggage that is set here.
        seconds: The longest that it may take.

    Raises:
        DeadlineExceededError: It took longer.
    """
    frame = endless(calling())

    async def seen() -> T:
        current.set(frame)
        with Deadline(seconds, "what was to be seen through"):
            return await work

    loop = asyncio.get_running_loop()
    task = loop.create_task(seen(), context=contextvars.copy_context())
    _going.add(task)
    task.add_done_callback(_going.discard)
    return await asyncio.shield(task)
