"""Two schedulers on one store, on the days on which clocks change: each tick enqueues once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import pytest

from outgrow import job, schedule, service
from outgrow.host.durable.forms import job_form
from outgrow.host.durable.hints import Hints
from outgrow.host.durable.schedules import Schedules
from outgrow.model import Schedule
from outgrow.store import DurableStore
from tests.contracts.durable import HOUR_MS, HandClock, opened, opened_beside
from tests.contracts.shelf import in_loop

pytestmark = pytest.mark.timeout(60)

BERLIN = ZoneInfo("Europe/Berlin")
STEP_MS = 300_000
HOURS = 6


@service
class Reports:
    """Has a job with a time of the night and an interval."""

    @schedule("30 2 * * *", zone="Europe/Berlin", catch_up="all")
    @schedule("*/15 * * * *", zone="Europe/Berlin", catch_up="all")
    @job
    async def report(self) -> None:
        """Nothing."""


def scheduler(store: DurableStore, now_ms: Callable[[], int]) -> Schedules:
    form = job_form(Reports, "report")
    return Schedules(store, [form], Hints(), now_ms)


def ticks_count(begin: datetime, end: datetime) -> int:
    """How many ticks there are from after one moment until another."""
    every = [Schedule(cron, "Europe/Berlin") for cron in ("30 2 * * *", "*/15 * * * *")]
    return sum(
        sum(1 for _ in takewhile(lambda tick: tick <= end, one.ticks_after(begin))) for one in every
    )


@pytest.mark.parametrize("jump_ms", [HOUR_MS, -HOUR_MS], ids=["ahead", "behind"])
@pytest.mark.parametrize("day", [29, 25], ids=["spring", "autumn"])
@in_loop
async def test_each_tick_enqueues_once_however_many_look_at_the_clock(
    engine_url: str, day: int, jump_ms: int
) -> None:
    begin = datetime(2026, 3 if day == 29 else 10, day, tzinfo=BERLIN).astimezone(UTC)
    clock = HandClock(int(begin.timestamp() * 1e3))
    wrong_ms = 0
    async with opened(engine_url) as store, opened_beside(engine_url, store) as other:
        right = scheduler(store, clock)
        wrong = scheduler(other, lambda: clock() + wrong_ms)
        for step in range(HOURS * HOUR_MS // STEP_MS):
            # For a third of the time one of the two clocks is wrong.
            wrong_ms = jump_ms if 20 <= step < 50 else 0
            for one in (wrong, right) if step % 2 else (right, wrong):
                await one.turn()
            clock.move(STEP_MS)
        await right.turn()
        end = begin + timedelta(hours=HOURS)
        assert len(await store.queue.jobs("ready", limit=1_000)) == ticks_count(begin, end)
