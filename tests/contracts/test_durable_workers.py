"""What becomes of the work of workers that stop, freeze or die, on both engines."""

from __future__ import annotations

import asyncio

import pytest

from outgrow.store import DeathWatch, StoreLostError, durable_at
from outgrow.store.durable.errors import LeaseLostError
from outgrow.store.durable.failures import WORKER_DIED
from outgrow.store.durable.protocol import DurableStore
from outgrow.store.durable.records import Freed, Lease, Position
from tests.contracts.durable import (
    HandClock,
    claim_one,
    claimed_ids,
    done,
    event,
    failed,
    handled,
    job,
    opened,
    unhandled,
)
from tests.contracts.shelf import in_loop

pytestmark = pytest.mark.timeout(90)  # a server and its disk may be busy

TOPIC = "OrderPlaced"


@in_loop
async def test_a_worker_that_lost_its_lease_cannot_finish_retry_or_move_a_job(
    durable_url: str,
) -> None:
    async with opened(durable_url) as store:
        frozen, other = [await store.crew.register(name) for name in ("frozen", "other")]
        await store.queue.enqueue([job()])
        mine = await claim_one(store, frozen)
        assert await store.crew.bury(frozen) == Freed(1, 0)
        assert await store.queue.settle(frozen, done(mine)) == [False], "before it runs again"
        again = await claim_one(store, other)
        assert (again.id, again.attempt) == (mine.id, 2)
        assert await store.queue.settle(frozen, done(mine)) == [False]
        assert await store.queue.settle(frozen, failed(mine, None)) == [False]
        assert await store.queue.settle(frozen, done(again)) == [False]
        assert not await store.queue.progress(frozen, mine.id, 1, b"late")
        assert not await store.queue.keep_step(frozen, mine.id, 1, "step", b"late")
        assert await store.queue.settle(other, done(again)) == [True]


@in_loop
async def test_a_worker_that_lost_its_lease_cannot_settle_events(durable_url: str) -> None:
    async with opened(durable_url) as store:
        frozen, other = [await store.crew.register(name) for name in ("frozen", "other")]
        await store.log.subscribe("mail", TOPIC)
        await store.log.append([event("k"), event("k")])
        mine = await store.log.take(frozen, "mail")
        assert await store.crew.bury(frozen) == Freed(2, 0)
        assert await store.log.settle(frozen, "mail", handled(mine)) == [False, False]
        (again,) = await store.log.take(other, "mail")
        assert (again.position, again.attempt) == (mine[0].position, 2)
        assert await store.log.settle(frozen, "mail", unhandled(mine[0])) == [False]
        assert await store.log.settle(other, "mail", handled([again])) == [True]


@in_loop
async def test_a_worker_that_lost_its_lease_gets_no_more_work_and_is_told(durable_url: str) -> None:
    async with opened(durable_url) as store:
        await store.log.subscribe("mail", TOPIC)
        lease = await store.crew.register("w")
        assert (await store.crew.beat(lease)).is_alive
        await store.crew.bury(lease)
        assert not (await store.crew.beat(lease)).is_alive
        with pytest.raises(LeaseLostError):
            await store.queue.claim(lease, "default")
        with pytest.raises(LeaseLostError):
            await store.log.take(lease, "mail")
        assert await store.crew.bury(lease) is None
        again = await store.crew.register("w")
        assert again.epoch > lease.epoch


@in_loop
async def test_a_job_that_kills_its_worker_spends_an_attempt_each_time_and_ends_dead(
    durable_url: str,
) -> None:
    async with opened(durable_url) as store:
        poison = job(attempts_max=3)
        await store.queue.enqueue([poison])
        for attempt in (1, 2, 3):
            lease = await store.crew.register("w")
            assert (await claim_one(store, lease)).attempt == attempt
            freed = await store.crew.bury(lease)
            assert freed == (Freed(1, 0) if attempt < 3 else Freed(0, 1))
        (letter,) = await store.dead.letters()
        assert (letter.id, letter.attempts, letter.failure) == (poison.id, 3, WORKER_DIED)


@in_loop
async def test_an_event_that_kills_its_worker_ends_dead_and_its_neighbours_do_not(
    durable_url: str,
) -> None:
    async with opened(durable_url) as store:
        await store.log.subscribe("mail", TOPIC, attempts_max=4)
        poison = event("k3", body=b"poison")
        await store.log.append([event(f"k{n}") for n in range(3)] + [poison])
        handled_count = 0
        for _ in range(12):
            lease = await store.crew.register("w")
            # Each in its turn, as a worker does that has one slot.
            while got := await store.log.take(lease, "mail", limit=1):
                if got[0].event.id == poison.id:
                    break
                handled_count += sum(await store.log.settle(lease, "mail", handled(got)))
            await store.crew.bury(lease)
        (letter,) = await store.dead.letters()
        assert (letter.id, letter.attempts) == (poison.id, 4)
        assert handled_count == 3


@in_loop
async def test_a_worker_that_leaves_gives_everything_back_without_spending_attempts(
    durable_url: str,
) -> None:
    async with opened(durable_url) as store:
        await store.log.subscribe("mail", TOPIC, attempts_max=1)
        await store.queue.enqueue([job(attempts_max=1), job(attempts_max=1)])
        await store.log.append([event("a"), event("b"), event("a")])
        first = await store.crew.register("first")
        await store.queue.claim(first, "default")
        await store.log.take(first, "mail")
        assert await store.crew.leave(first) == Freed(5, 0)
        second = await store.crew.register("second")
        jobs = await store.queue.claim(second, "default")
        assert [one.attempt for one in jobs] == [1, 1]
        seen = 0
        while got := await store.log.take(second, "mail"):
            assert all(one.attempt == 1 for one in got)
            assert all(await store.log.settle(second, "mail", handled(got)))
            seen += len(got)
        assert seen == 3
        assert await store.dead.letters() == []


@in_loop
async def test_a_worker_is_buried_only_if_it_gave_no_sign_since(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        (seen,) = await store.crew.sightings()
        assert (seen.lease, seen.name) == (lease, "w")
        await store.crew.beat(lease)
        assert await store.crew.bury(seen.lease, seen.beat) is None
        (seen,) = await store.crew.sightings()
        assert await store.crew.bury(seen.lease, seen.beat) == Freed(0, 0)
        assert await store.crew.sightings() == []


@in_loop
async def test_a_silent_worker_is_found_within_its_lease_and_a_look(durable_url: str) -> None:
    async with opened(durable_url) as store:
        silent, alive = [await store.crew.register(name) for name in ("silent", "alive")]
        watch = DeathWatch(lease_seconds=30, look_seconds=5)
        at = 0.0
        while not (dead := watch.look(await store.crew.sightings(), at)):
            await store.crew.beat(alive)
            at += 5
            assert at <= 35
        assert [one.lease for one in dead] == [silent]
        assert at == 30


@in_loop
async def test_a_cancelled_job_of_a_dead_worker_does_not_run_again(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.queue.enqueue([job()])
        await store.queue.cancel((await claim_one(store, lease)).id)
        await store.crew.bury(lease)
        assert await claimed_ids(store, await store.crew.register("other")) == []
        assert len(await store.queue.jobs("cancelled")) == 1


async def _cancelled_half_way(store: DurableStore, lease: Lease, what: str) -> None:
    """Cancel who asks for work at each step of the way."""
    for steps in range(12):
        asked = {
            "jobs": lambda: store.queue.claim(lease, "default", limit=1),
            "events": lambda: store.log.take(lease, "mail", limit=1),
        }[what]
        task = asyncio.ensure_future(asked())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            continue
        break  # it had its work before


@pytest.mark.parametrize("what", ["jobs", "events"])
@in_loop
async def test_work_that_nobody_received_is_given_back(durable_url: str, what: str) -> None:
    async with opened(durable_url) as store:
        await store.log.subscribe("mail", TOPIC)
        await store.queue.enqueue([job() for _ in range(3)])
        await store.log.append([event(f"k{number}") for number in range(3)])
        lease = await store.crew.register("w")
        await _cancelled_half_way(store, lease, what)
        async with asyncio.timeout(10):
            while await _missing(store, what) > 0:
                await asyncio.sleep(0)
                await store.crew.beat(lease)


async def _missing(store: DurableStore, what: str) -> int:
    """How much of the three somebody has, as a second worker finds."""
    other = await store.crew.register("other")
    if what == "jobs":
        got: int = len(await store.queue.claim(other, "default", limit=3))
    else:
        got = len(await store.log.take(other, "mail", limit=3))
    await store.crew.leave(other)
    return 3 - got


@in_loop
async def test_jobs_whose_answer_was_lost_are_found_again(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.queue.enqueue([job(attempts_max=1) for _ in range(3)])
        known, *lost = await store.queue.claim(lease, "default")
        assert await store.queue.strays(lease, {known.id}) == 2
        again = await store.queue.claim(lease, "default")
        assert sorted(one.id for one in again) == sorted(one.id for one in lost)
        assert [one.attempt for one in again] == [1, 1]
        assert await store.queue.settle(lease, done(known)) == [True]


@in_loop
async def test_events_whose_answer_was_lost_are_found_again(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.log.subscribe("mail", TOPIC, attempts_max=1)
        await store.log.append([event(f"k{number}") for number in range(4)])
        known, *lost = await store.log.take(lease, "mail")
        assert await store.log.strays(lease, "mail", {known.position}) == 3
        again = await store.log.take(lease, "mail")
        assert {one.position for one in again} == {one.position for one in lost}
        assert {one.attempt for one in again} == {1}
        assert await store.log.settle(lease, "mail", handled([known, *again])) == [True] * 4
        assert await store.log.strays(lease, "mail", set[Position]()) == 0


@in_loop
async def test_a_job_whose_worker_died_is_a_suspect_until_it_fails_otherwise(
    durable_url: str,
) -> None:
    async with opened(durable_url) as store:
        await store.queue.enqueue([job(attempts_max=9)])
        first, second = await store.crew.register("a"), await store.crew.register("b")
        assert not (await claim_one(store, first)).is_suspect
        await store.crew.bury(first)
        suspect = await claim_one(store, second)
        assert (suspect.attempt, suspect.is_suspect) == (2, True)
        await store.queue.settle(second, failed(suspect))
        await store.sweep()
        assert not (await claim_one(store, second)).is_suspect


@in_loop
async def test_a_store_that_closes_lets_end_what_is_under_way(engine_url: str) -> None:
    for turns in range(0, 24, 2):
        store = durable_at(engine_url, clock=HandClock())
        await store.start()
        lease = await store.crew.register("w")
        claiming = asyncio.ensure_future(store.queue.claim(lease, "default"))
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await store.stop()
            await asyncio.wait([claiming])
        assert isinstance(claiming.exception(), StoreLostError | None)
