"""How tasks of durable work come to their end, and are waited for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from outgrow.host.threads import LEAVE

if TYPE_CHECKING:
    from collections.abc import Iterable


async def cancelled(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel these, and wait until they have ended, however they did."""
    found = [task for task in tasks if task is not None]
    for task in found:
        task.cancel()
    if found:
        await asyncio.wait(found)


async def ended(tasks: Iterable[asyncio.Task[Any]], seconds: float) -> None:
    """Let these end by themselves, but not for ever: then they are cancelled, and leave threads."""
    found = list(tasks)
    if found:
        _, late = await asyncio.wait(found, timeout=seconds)
        for task in late:
            task.cancel(LEAVE)
        if late:
            await asyncio.wait(late)
