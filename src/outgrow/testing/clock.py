"""A clock that a test sets."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Protocol

from outgrow.host import Clock


class Follower(Protocol):
    """The same clock in another process."""

    def advance(self, seconds: float) -> None:
        """Set it forward as well."""
        ...

    def sleepers_count(self) -> int:
        """How many tasks sleep by it there."""
        ...


class ManualClock(Clock):
    """A clock that a test sets: time stands still between two calls of `advance`.

    Args:
        start: The time it shows first; 1 January 2026 where None. Without a zone it means UTC.

    Attributes:
        followers: Its likes in other processes, in the placement `split`.
    """

    def __init__(self, start: datetime | None = None) -> None:
        start = start or datetime(2026, 1, 1, tzinfo=UTC)
        self._now = start.astimezone(UTC) if start.tzinfo else start.replace(tzinfo=UTC)
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []
        self.followers: list[Follower] = []

    def now(self) -> datetime:
        """The time that was set, in UTC."""
        return self._now

    @property
    def sleepers_count(self) -> int:
        """How many tasks sleep by this clock."""
        there = sum(follower.sleepers_count() for follower in self.followers)
        return there + sum(not sleeper.done() for _, sleeper in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was advanced by so much."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._now + timedelta(seconds=seconds), woken))
        await woken

    def advance(self, seconds: float) -> None:
        """Set it forward, and wake those whose time has come, the earliest first.

        They run when the caller next awaits; who then sleeps again, sleeps from the new time on.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError(f"a clock cannot be advanced by {seconds} s")
        self._now += timedelta(seconds=seconds)
        still: list[tuple[datetime, asyncio.Future[None]]] = []
        for due, sleeper in sorted(self._sleepers, key=lambda each: each[0]):
            if due > self._now:
                still.append((due, sleeper))
            elif not sleeper.done():
                sleeper.set_result(None)
        self._sleepers = still
        for follower in self.followers:
            follower.advance(seconds)
