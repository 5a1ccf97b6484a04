"""An event loop whose time can be put forward, so that no test waits for a limit."""

from __future__ import annotations

import asyncio


class Clock(asyncio.SelectorEventLoop):
    """Tells the time, and `ahead_seconds` more."""

    ahead_seconds = 0.0

    def time(self) -> float:
        return super().time() + self.ahead_seconds
