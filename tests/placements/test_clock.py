"""The clock as a field: the machine's, unless a test passes in its own."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from outgrow import Clock, operation, provides, service
from outgrow.testing import ManualClock, RunningApp

from .conftest import Play

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@service
class Bells:
    clock: Clock

    @operation
    async def time(self) -> datetime:
        return self.clock.now()

    @operation
    async def ring_after(self, seconds: float) -> datetime:
        await self.clock.sleep(seconds)
        return self.clock.now()


def test_the_clock_of_a_service_is_the_machines(play: Play) -> None:
    async def ask(app: RunningApp) -> list[datetime]:
        return [await app.client(Bells).time(), await app.client(Bells).ring_after(0)]

    before = datetime.now(UTC)
    times = [before, *play(Bells, ask), datetime.now(UTC)]
    assert times == sorted(times)


def test_a_provider_of_the_app_comes_before_the_machines_clock(play: Play) -> None:
    @provides
    def stopped() -> Clock:
        return ManualClock(NOON)

    async def ask(app: RunningApp) -> datetime:
        return await app.client(Bells).time()

    assert play(Bells, ask) == NOON


def test_who_sleeps_wakes_when_the_clock_was_advanced_far_enough(play: Play) -> None:
    clock = ManualClock(NOON)

    async def ring(app: RunningApp) -> None:
        bells = app.client(Bells)
        late, early = (asyncio.ensure_future(bells.ring_after(each)) for each in (60, 30))
        while clock.sleepers_count < 2:
            await asyncio.sleep(0)
        clock.advance(29)
        assert clock.sleepers_count == 2
        clock.advance(1)
        assert await early == NOON + timedelta(seconds=30)
        assert clock.sleepers_count == 1
        clock.advance(100)
        assert await late == NOON + timedelta(seconds=130)

    play(Bells, ring, clock=clock)
    assert clock.sleepers_count == 0


def test_who_stops_sleeping_is_forgotten() -> None:
    clock = ManualClock()

    async def stop() -> None:
        sleeper = asyncio.ensure_future(clock.sleep(5))
        await asyncio.sleep(0)
        assert clock.sleepers_count == 1
        sleeper.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeper
        assert clock.sleepers_count == 0
        clock.advance(5)
        await clock.sleep(0)

    asyncio.run(stop())


def test_a_manual_clock_shows_utc_and_goes_forward_only() -> None:
    east = timezone(timedelta(hours=2))
    assert ManualClock(datetime(2026, 3, 1, 14, tzinfo=east)).now() == NOON
    assert ManualClock(NOON.replace(tzinfo=None)).now() == NOON
    with pytest.raises(ValueError, match="-1"):
        ManualClock().advance(-1)
