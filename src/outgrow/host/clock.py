"""The time of day as services see it: a field, so that a test can give them another."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime


class Clock:
    """The machine's clock, for a service's field `clock: Clock`; nothing has to provide it."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait for so long; not at all for 0 and less."""
        await asyncio.sleep(seconds)


def system_clock() -> Clock:
    """What makes the field `clock: Clock` where nothing else does."""
    return Clock()
