"""Short jobs are claimed before there is a slot for them; nobody else has to wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from outgrow import EnqueuedJob, enqueue, job, service
from outgrow.host import Durable, DurableSource, Host, app_of
from outgrow.host.durable import jobs, solitude
from outgrow.model import QueueBounds
from outgrow.store import JobState, durable_at, wall_clock
from tests.unit.host.test_durable_runners import lose_lease, until

pytestmark = pytest.mark.timeout(60)
QUEUE = "mixed"


@service
class Mixed:
    """Some of its jobs take no time, and some all of it."""

    @job
    async def short(self, number: int) -> None:
        ran.append(number)

    @job
    async def long(self, number: int) -> None:
        ran.append(number)
        await may_end[0].wait()


ran: list[int] = []
may_end: list[asyncio.Event] = []


class Place:
    """A process that runs them, and what it asked of its store."""

    def __init__(self, host: Host, durable: Durable) -> None:
        self.client = host.client(Mixed)
        self.durable = durable
        self.claimed: list[int] = []
        self.is_first_suspect = False
        claim = durable.store.queue.claim

        async def counted(*args: Any, **kwargs: Any) -> Any:
            found = await claim(*args, **kwargs)
            if found and self.is_first_suspect:
                self.is_first_suspect = False
                found[0] = msgspec.structs.replace(found[0], is_suspect=True)
            self.claimed.append(len(found))
            return found

        durable.store.queue.claim = counted  # type: ignore[method-assign]

    async def given(
        self, *, shorts: int = 0, longs: int = 0, longs_first: bool = False
    ) -> list[EnqueuedJob[None]]:
        """Enqueue so many, all of which wait before the first is claimed."""
        queue = self.durable.store.queue
        await queue.pause_queue(QUEUE, paused=True)
        kinds = [self.client.short] * shorts + [self.client.long] * longs
        if longs_first:
            kinds.reverse()
        made = [await enqueue(kind, number) for number, kind in enumerate(kinds)]
        await queue.pause_queue(QUEUE, paused=False)
        self.durable.hints.tell(*(one.hint for one in self.durable._runners))
        return made

    async def count(self, state: JobState) -> int:
        return len(await self.durable.store.queue.jobs(state, queue=QUEUE, limit=500))


@asynccontextmanager
async def placed(folder: Path, bounds: QueueBounds) -> AsyncGenerator[Place]:
    url = f"sqlite:///{folder}/durable.db"
    source = DurableSource(
        lambda: Durable(
            durable_at(url, is_fast=True), "test", now_ms=wall_clock, bounds={QUEUE: bounds}
        )
    )
    ran.clear()
    may_end[:] = [asyncio.Event()]
    host = Host(app_of(Mixed), source=source)
    await host.start()
    place = Place(host, await source.get())
    try:
        yield place
    finally:
        may_end[0].set()
        await host.stop()
        await source.close()


def test_short_jobs_are_claimed_many_at_a_time(tmp_path: Path) -> None:
    async def ask() -> None:
        async with placed(tmp_path, QueueBounds(slots=1)) as place:
            await place.given(shorts=200)
            await until(lambda: len(ran) == 200)
            assert ran == list(range(200))
            assert max(place.claimed) > 1
            await until(lambda: place.durable.held_count == 0)
            assert await place.count("done") == 200

    asyncio.run(ask())


@pytest.mark.parametrize(
    "bounds", [QueueBounds(slots=1, concurrency=5), QueueBounds(slots=1, rate_count=1000)]
)
def test_of_a_queue_that_is_bounded_for_all_nobody_claims_ahead(
    bounds: QueueBounds, tmp_path: Path
) -> None:
    async def ask() -> None:
        async with placed(tmp_path, bounds) as place:
            await place.given(shorts=50)
            await until(lambda: len(ran) == 50)
            assert max(place.claimed) == 1

    asyncio.run(ask())


def test_what_waits_behind_a_long_job_goes_back_unspent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "AHEAD_SECONDS_MAX", 0.02)

    async def ask() -> None:
        async with placed(tmp_path, QueueBounds(slots=1)) as place:
            await place.given(shorts=100, longs=50)

            async def is_alone() -> bool:
                return await place.count("running") == 1 and await place.count("ready") == 49

            await until(is_alone)
            waiting = await place.durable.store.queue.jobs("ready", queue=QUEUE, limit=500)
            assert {one.attempt for one in waiting} == {0}
            may_end[0].set()
            await until(lambda: len(ran) == 150)

    asyncio.run(ask())


def test_what_waits_for_a_slot_can_be_cancelled_and_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "AHEAD_SECONDS_MAX", 60.0)
    monkeypatch.setattr(solitude, "ALONE_SECONDS", 0.02)

    async def ask() -> None:
        async with placed(tmp_path, QueueBounds(slots=1)) as place:
            (runner,) = place.durable._runners
            assert isinstance(runner, jobs.JobRunner)
            monkeypatch.setattr(runner._ahead, "answered", lambda _: None)
            runner._ahead.count = 2
            handles = await place.given(longs=3)
            await until(lambda: runner.held_count == 3)
            asked = await place.durable.store.queue.cancel(handles[1].id)
            assert asked == "asked", "it has been claimed"
            runner.cancel([handles[1].id])

            async def is_cancelled() -> bool:
                return await handles[1].state() == "cancelled"

            await until(is_cancelled)
            await lose_lease(place.durable)
            await until(lambda: ran.count(0) == 2)
            may_end[0].set()
            await until(lambda: ran.count(2) == 1)
            assert 1 not in ran

    asyncio.run(ask())


def test_a_job_that_is_cancelled_in_the_moment_of_its_begin_frees_its_slot(
    tmp_path: Path,
) -> None:
    async def ask() -> None:
        async with placed(tmp_path, QueueBounds(slots=1)) as place:
            (runner,) = place.durable._runners
            assert isinstance(runner, jobs.JobRunner)
            begin = runner._begin

            def begun() -> None:
                begin()
                for task in runner._running.values():
                    task.cancel()

            runner._begin = begun  # type: ignore[method-assign]
            (handle,) = await place.given(shorts=1)
            await until(lambda: bool(place.claimed) and max(place.claimed) == 1)
            runner._begin = begin  # type: ignore[method-assign]

            async def is_done() -> bool:
                return await handle.state() == "done"

            await until(is_done)

    asyncio.run(ask())


def test_a_suspect_takes_nobody_along_that_was_claimed_with_it(tmp_path: Path) -> None:
    async def ask() -> None:
        async with placed(tmp_path, QueueBounds(slots=10)) as place:
            place.is_first_suspect = True
            await place.given(longs=1, shorts=5, longs_first=True)

            async def is_alone() -> bool:
                return await place.count("running") == 1 and await place.count("ready") == 5

            await until(is_alone)
            waiting = await place.durable.store.queue.jobs("ready", queue=QUEUE, limit=500)
            assert {one.attempt for one in waiting} == {0}
            may_end[0].set()
            await until(lambda: len(ran) == 6)

    asyncio.run(ask())


def test_a_queue_with_a_rate_goes_on_as_soon_as_that_lets_it(tmp_path: Path) -> None:
    async def ask() -> None:
        bounds = QueueBounds(slots=2, rate_count=100)
        async with placed(tmp_path, bounds) as place:
            await place.given(shorts=40)
            await until(lambda: len(ran) == 40)

    asyncio.run(ask())
