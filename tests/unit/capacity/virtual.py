"""An event loop whose hours pass at once: nothing is waited for but what others really do."""

from __future__ import annotations

import asyncio
import selectors

_LOOK_SECONDS = 0.01


class _Jumping(selectors.DefaultSelector):
    """Adds to the time what would be waited, unless there is something to be read."""

    now_seconds = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # for a thread
            return super().select(_LOOK_SECONDS)
        found = super().select(0)
        if not found:
            self.now_seconds += max(timeout, 0.0)
        return found


class Virtual(asyncio.SelectorEventLoop):
    """A loop that tells its own time."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_seconds


async def passing(seconds: float) -> None:
    """Let so much of the loop's own time pass."""
    await asyncio.sleep(seconds)
