"""What unique keys, slots and rates promise, on SQLite and on PostgreSQL in the same words."""

from __future__ import annotations

import asyncio

import pytest

from outgrow.store.durable.records import NewJob, Placed, QueueLimits, Rate
from tests.contracts.durable import (
    HOUR_MS,
    HandClock,
    claim_one,
    claimed_ids,
    done,
    failed,
    job,
    opened,
    opened_beside,
)
from tests.contracts.shelf import in_loop

pytestmark = pytest.mark.timeout(90)  # a server and its disk may be busy


@in_loop
async def test_of_one_unique_key_one_job_is_unfinished(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        first, second = job(unique="report"), job(unique="report")
        placed = await store.queue.enqueue([first, second])
        assert placed == [Placed(first.id, True), Placed(first.id, False)]
        assert await store.queue.enqueue([second]) == [Placed(first.id, False)]
        got = await claim_one(store, lease)
        assert await store.queue.enqueue([second]) == [Placed(first.id, False)], "while it runs"
        await store.queue.settle(lease, failed(got, HOUR_MS))
        assert await store.queue.enqueue([second]) == [Placed(first.id, False)], "between attempts"


@in_loop
async def test_a_unique_key_is_free_when_its_job_has_ended(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        for _ in range(2):
            one = job(unique="report")
            assert await store.queue.enqueue([one]) == [Placed(one.id, True)]
            await store.queue.settle(lease, done(await claim_one(store, lease)))


@in_loop
async def test_a_unique_key_can_be_kept_for_a_time_after_its_job(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        lease = await store.crew.register("w")
        first, second = (job(unique="report", unique_for_ms=HOUR_MS) for _ in range(2))
        await store.queue.enqueue([first])
        await store.queue.settle(lease, done(await claim_one(store, lease)))
        assert await store.queue.enqueue([second]) == [Placed(first.id, False)]
        clock.move(HOUR_MS)
        third = job(unique="report", unique_for_ms=HOUR_MS)
        assert await store.queue.enqueue([third]) == [Placed(third.id, True)]


@in_loop
async def test_those_who_enqueue_a_unique_key_at_once_agree_on_one_job(durable_url: str) -> None:
    async with opened(durable_url) as store, opened_beside(durable_url, store) as other:
        jobs = [job(unique=f"report-{number % 3}") for number in range(30)]
        placed = await asyncio.gather(
            *((store, other)[number % 2].queue.enqueue([one]) for number, one in enumerate(jobs))
        )
        assert sum(answer.is_new for (answer,) in placed) == 3
        for number in range(3):
            assert len({answer.id for (answer,) in placed[number::3]}) == 1


@in_loop
async def test_no_more_jobs_of_a_key_run_than_it_has_slots(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        jobs = [job(key=f"tenant-{number % 2}", key_slots=2) for number in range(10)]
        await store.queue.enqueue(jobs)
        running = await store.queue.claim(lease, "default", limit=100)
        assert sorted(one.key or "" for one in running) == ["tenant-0"] * 2 + ["tenant-1"] * 2
        ended: list[NewJob | object] = []
        while running:
            first = running.pop(0)
            assert await store.queue.settle(lease, done(first)) == [True]
            ended.append(first.id)
            running += await store.queue.claim(lease, "default", limit=100)
            for key in ("tenant-0", "tenant-1"):
                assert sum(one.key == key for one in running) <= 2
            assert all(one.attempt == 1 for one in running), "waiting spends no attempt"
        assert sorted(map(str, ended)) == sorted(str(one.id) for one in jobs)


@in_loop
async def test_a_slot_passes_on_however_its_job_ends(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        lease = await store.crew.register("w")
        jobs = [job(key="k", key_slots=1, attempts_max=2) for _ in range(6)]
        jobs[4] = job(key="k", key_slots=1, expires_after_ms=HOUR_MS)
        await store.queue.enqueue(jobs)
        order = [one.id for one in jobs]

        async def only_one() -> object:
            got = await claim_one(store, lease)
            assert got.id == order[0]
            return got

        assert await store.queue.settle(lease, failed(await only_one(), None)) == [True]  # type: ignore[arg-type]
        order.pop(0)
        assert await store.queue.cancel(order[0]) == "cancelled"  # ready, with the slot
        order.pop(0)
        assert await store.queue.settle(lease, failed(await only_one(), HOUR_MS)) == [True]  # type: ignore[arg-type]
        order.append(order.pop(0))
        assert await store.crew.bury(lease) is not None  # nothing runs
        lease = await store.crew.register("w")
        assert (await claim_one(store, lease)).id == order[0]
        assert await store.crew.leave(lease) is not None
        order.insert(2, order.pop(0))
        clock.move(HOUR_MS)
        await store.sweep()
        lease = await store.crew.register("w")
        started: list[object] = []
        while got := await store.queue.claim(lease, "default", limit=9):
            assert len(got) == 1
            started.append(got[0].id)
            await store.queue.settle(lease, done(*got))
        assert len(started) == 3, "all but the dead, the cancelled and the expired"


@in_loop
async def test_no_more_jobs_of_a_queue_run_than_it_has_slots(durable_url: str) -> None:
    async with opened(durable_url) as store, opened_beside(durable_url, store) as other:
        await store.queue.limit_queue("default", QueueLimits(slots=3))
        await store.queue.enqueue([job() for _ in range(20)])
        leases = [await store.crew.register("a"), await other.crew.register("b")]
        stores = (store, other)
        running: list[tuple[int, object]] = []
        ended = 0
        while ended < 20:
            found = await asyncio.gather(
                *(stores[n].queue.claim(leases[n], "default", limit=5) for n in (0, 1, 0, 1))
            )
            running += [(n % 2, one) for n, got in enumerate(found) for one in got]
            assert 0 < len(running) <= 3
            number, one = running.pop(0)
            assert await stores[number].queue.settle(leases[number], done(one)) == [True]  # type: ignore[arg-type]
            ended += 1


@in_loop
async def test_a_limit_counts_what_ran_before_it_was_set(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.queue.enqueue([job() for _ in range(6)])
        running = await store.queue.claim(lease, "default", limit=4)
        await store.queue.limit_queue("default", QueueLimits(slots=4))
        assert await claimed_ids(store, lease) == []
        await store.queue.settle(lease, done(running[0]))
        assert len(await claimed_ids(store, lease)) == 1
        assert await claimed_ids(store, lease) == []


@in_loop
async def test_a_rate_counts_starts_and_spends_no_attempt(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        lease = await store.crew.register("w")
        rate = Rate(count=10, per_ms=1_000, burst_count=2)
        await store.queue.limit_queue("default", QueueLimits(rate=rate))
        await store.queue.enqueue([job() for _ in range(50)])
        started: list[int] = []
        for _ in range(40):
            got = await store.queue.claim(lease, "default", limit=50)
            assert all(one.attempt == 1 for one in got)
            started += [clock()] * len(got)
            clock.move(50)
        assert len(started) == 21, "two at once and then ten a second, for two seconds less a step"
        for moment in started:
            assert sum(moment <= one < moment + 1_000 for one in started) <= 12


@in_loop
async def test_a_clock_that_is_set_back_does_not_stop_a_rate_for_good(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        lease = await store.crew.register("w")
        rate = Rate(count=1, per_ms=1_000)
        await store.queue.limit_queue("default", QueueLimits(rate=rate))
        await store.queue.enqueue([job(), job()])
        assert len(await claimed_ids(store, lease)) == 1
        clock.move(-HOUR_MS)
        assert await claimed_ids(store, lease) == []
        clock.move(HOUR_MS + 1_000)
        assert len(await claimed_ids(store, lease)) == 1
