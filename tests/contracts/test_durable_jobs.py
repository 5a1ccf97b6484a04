"""What queues promise, on SQLite and on PostgreSQL in the same words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from outgrow.store.durable.errors import MessageSizeError
from outgrow.store.durable.ids import new_id
from outgrow.store.durable.records import (
    BODY_BYTES_MAX,
    JobOutcome,
    Placed,
    QueueLimits,
)
from tests.contracts.durable import (
    BROKEN,
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
async def test_a_job_arrives_as_it_was_enqueued(durable_url: str) -> None:
    async with opened(durable_url) as store:
        one = job(body=b"\0\xff", headers={"trace": "é"}, schema="s1", key="k", timeout_ms=5)
        await store.queue.enqueue([one])
        got = await claim_one(store, await store.crew.register("w"))
        assert (got.id, got.kind, got.body, got.headers) == (
            one.id,
            one.kind,
            b"\0\xff",
            one.headers,
        )
        assert (got.schema, got.key, got.timeout_ms, got.attempt) == ("s1", "k", 5, 1)


@in_loop
async def test_a_job_outlives_the_store_object(durable_url: str) -> None:
    one = job()
    async with opened(durable_url) as store:
        await store.queue.enqueue([one])
    async with opened(durable_url) as store:
        assert await claimed_ids(store, await store.crew.register("w")) == [one.id]


@in_loop
async def test_the_same_id_is_kept_once_also_after_the_job_has_ended(durable_url: str) -> None:
    async with opened(durable_url) as store:
        one, lease = job(), await store.crew.register("w")
        assert await store.queue.enqueue([one]) == [Placed(one.id, True)]
        assert await store.queue.enqueue([one, one]) == [Placed(one.id, False)] * 2
        assert await store.queue.settle(lease, done(await claim_one(store, lease))) == [True]
        assert await store.queue.enqueue([one]) == [Placed(one.id, False)]
        assert await claimed_ids(store, lease) == []


@in_loop
async def test_of_one_call_all_jobs_are_kept_or_none(durable_url: str) -> None:
    async with opened(durable_url) as store:
        with pytest.raises(MessageSizeError, match="body"):
            await store.queue.enqueue([job(), job(body=b"x" * (BODY_BYTES_MAX + 1))])
        assert await claimed_ids(store, await store.crew.register("w")) == []


@in_loop
async def test_a_call_with_too_many_jobs_is_refused(durable_url: str) -> None:
    async with opened(durable_url) as store:
        with pytest.raises(MessageSizeError, match="10001 messages"):
            await store.queue.enqueue([job()] * 10_001)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"key": "k" * 201}, id="a key that is too long"),
        pytest.param({"key": "a\0b"}, id="a key with a NUL"),
        pytest.param({"unique": "\ud800"}, id="a lone surrogate"),
        pytest.param({"priority": 10}, id="a priority beyond the highest"),
        pytest.param({"attempts_max": 0}, id="no attempt"),
        pytest.param({"key_slots": 0}, id="no slot"),
        pytest.param({"delay_ms": -1}, id="a delay into the past"),
    ],
)
@in_loop
async def test_what_no_table_can_hold_is_refused(durable_url: str, wrong: dict[str, Any]) -> None:
    async with opened(durable_url) as store:
        with pytest.raises(MessageSizeError):
            await store.queue.enqueue([job(**wrong)])


@in_loop
async def test_jobs_start_by_priority_and_then_in_their_order(durable_url: str) -> None:
    async with opened(durable_url) as store:
        low, first, second, high = job(priority=-9), job(), job(), job(priority=9)
        await store.queue.enqueue([low, first, second, high])
        lease = await store.crew.register("w")
        assert await claimed_ids(store, lease, 1) == [high.id]
        assert await claimed_ids(store, lease) == [first.id, second.id, low.id]


@in_loop
async def test_queues_do_not_see_each_others_jobs(durable_url: str) -> None:
    async with opened(durable_url) as store:
        one = job(queue="mail")
        await store.queue.enqueue([one])
        lease = await store.crew.register("w")
        assert await claimed_ids(store, lease) == []
        assert (await claim_one(store, lease, "mail")).id == one.id


@in_loop
async def test_no_job_is_claimed_twice_by_those_who_claim_at_once(durable_url: str) -> None:
    async with opened(durable_url) as store:
        jobs = [job() for _ in range(200)]
        await store.queue.enqueue(jobs)
        leases = [await store.crew.register(f"w{number}") for number in range(4)]
        found = await asyncio.gather(
            *(claimed_ids(store, lease, 20) for lease in leases for _ in range(5))
        )
        claimed = [id for ids in found for id in ids]
        assert len(claimed) == len(set(claimed))
        while rest := await claimed_ids(store, leases[0]):
            claimed += rest
        assert sorted(claimed) == sorted(one.id for one in jobs)


@in_loop
async def test_a_job_starts_when_its_time_has_come_and_not_before(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        delayed, dated = job(delay_ms=1_000), job(run_at_ms=clock() + 2_000)
        await store.queue.enqueue([delayed, dated])
        lease = await store.crew.register("w")
        await store.sweep()
        assert await claimed_ids(store, lease) == []
        clock.move(1_000)
        assert await store.sweep() == 1
        assert await claimed_ids(store, lease) == [delayed.id]
        clock.move(1_000)
        await store.sweep()
        assert await claimed_ids(store, lease) == [dated.id]


@in_loop
async def test_a_clock_that_is_set_back_holds_up_no_job_that_is_ready(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        one = job()
        await store.queue.enqueue([one])
        clock.move(-HOUR_MS)
        assert await claimed_ids(store, await store.crew.register("w")) == [one.id]


@in_loop
async def test_a_clock_that_jumps_takes_no_job_from_a_worker(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        await store.queue.enqueue([job()])
        lease = await store.crew.register("w")
        mine = await claim_one(store, lease)
        for jump_ms in (HOUR_MS, -2 * HOUR_MS):
            clock.move(jump_ms)
            await store.sweep()
            assert await claimed_ids(store, await store.crew.register("other")) == []
        assert await store.queue.settle(lease, done(mine)) == [True]


@in_loop
async def test_a_job_that_was_not_started_in_time_expires(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        one = job(expires_after_ms=1_000)
        await store.queue.enqueue([one])
        clock.move(1_000)
        lease = await store.crew.register("w")
        assert await claimed_ids(store, lease) == [], "also before anybody has swept"
        await store.sweep()
        found = await store.queue.find(one.id)
        assert found is not None
        assert found.state == "expired"


@in_loop
async def test_a_job_that_runs_does_not_expire(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        await store.queue.enqueue([job(expires_after_ms=1_000)])
        lease = await store.crew.register("w")
        mine = await claim_one(store, lease)
        clock.move(2_000)
        await store.sweep()
        assert await store.queue.settle(lease, done(mine)) == [True]


@in_loop
async def test_a_failed_job_is_tried_again_after_its_pause_until_it_is_dead(
    durable_url: str,
) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        one, lease = job(attempts_max=3), await store.crew.register("w")
        await store.queue.enqueue([one])
        for attempt in (1, 2, 3):
            got = await claim_one(store, lease)
            assert got.attempt == attempt
            assert await store.queue.settle(lease, failed(got, 500)) == [True]
            assert await claimed_ids(store, lease) == []
            clock.move(500)
            await store.sweep()
        (letter,) = await store.dead.letters()
        assert (letter.id, letter.attempts, letter.failure) == (one.id, 3, BROKEN)
        found = await store.queue.find(one.id)
        assert found is not None
        assert (found.state, found.failure) == ("dead", BROKEN)


@in_loop
async def test_a_job_that_shall_not_be_retried_is_dead_at_once(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.queue.enqueue([job()])
        await store.queue.settle(lease, failed(await claim_one(store, lease), None))
        assert [one.attempts for one in await store.dead.letters()] == [1]


@in_loop
async def test_a_job_given_back_has_spent_no_attempt(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.queue.enqueue([job(attempts_max=1)])
        for _ in range(3):
            got = await claim_one(store, lease)
            assert got.attempt == 1
            back = JobOutcome(id=got.id, attempt=got.attempt, how="returned")
            assert await store.queue.settle(lease, [back]) == [True]


@in_loop
async def test_a_claimed_job_says_how_long_ago_it_was_due(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        lease = await store.crew.register("w")
        await store.queue.enqueue([job()])
        clock.move(250)
        assert (await claim_one(store, lease)).waited_ms == 250
        await store.queue.enqueue([job(delay_ms=1_000)])
        clock.move(1_100)
        await store.sweep()
        assert (await claim_one(store, lease)).waited_ms == 100


@in_loop
async def test_history_has_the_result_of_a_job(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        one, lease = job(priority=3), await store.crew.register("w")
        await store.queue.enqueue([one])
        waiting = await store.queue.find(one.id)
        got = await claim_one(store, lease)
        running = await store.queue.find(one.id)
        assert waiting is not None
        assert running is not None
        assert (waiting.state, waiting.attempt, waiting.priority) == ("ready", 0, 3)
        assert (running.state, running.attempt, running.worker) == ("running", 1, lease.worker)
        clock.move(250)
        outcome = JobOutcome(id=got.id, attempt=1, result=b"42")
        await store.queue.settle(lease, [outcome])
        ended = await store.queue.find(one.id)
        assert ended is not None
        assert (ended.state, ended.result, ended.finished_ms) == ("done", b"42", clock())
        assert [view.id for view in await store.queue.jobs("done")] == [one.id]
        assert await store.queue.find(new_id()) is None


@in_loop
async def test_an_outcome_counts_once(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.queue.enqueue([job()])
        got = await claim_one(store, lease)
        assert await store.queue.settle(lease, done(got)) == [True]
        assert await store.queue.settle(lease, done(got)) == [False]
        assert await store.queue.settle(lease, failed(got)) == [False]
        assert len(await store.queue.jobs("done")) == 1


@in_loop
async def test_a_paused_queue_starts_nothing_and_goes_on_where_it_was(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        first, second = job(), job()
        await store.queue.enqueue([first, second])
        running = await store.queue.claim(lease, "default", limit=1)
        await store.queue.pause_queue("default", paused=True)
        assert await claimed_ids(store, lease) == []
        assert await store.queue.settle(lease, done(*running)) == [True]
        assert [queue.is_paused for queue in await store.queue.queues()] == [True]
        await store.queue.pause_queue("default", paused=False)
        assert await claimed_ids(store, lease) == [second.id]


@pytest.mark.parametrize(
    "waiting",
    [
        pytest.param({}, id="one that is ready"),
        pytest.param({"delay_ms": 1_000}, id="one whose time has not come"),
        pytest.param({"key": "k", "key_slots": 1}, id="one that waits for its key"),
    ],
)
@in_loop
async def test_a_cancelled_job_that_waits_never_starts(
    durable_url: str, waiting: dict[str, Any]
) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        lease = await store.crew.register("w")
        await store.queue.enqueue([job(key="k", key_slots=1)])
        one = job(**waiting)
        await store.queue.enqueue([one])
        assert await store.queue.cancel(one.id) == "cancelled"
        assert await store.queue.cancel(one.id) == "finished"
        clock.move(HOUR_MS)
        await store.sweep()
        assert one.id not in await claimed_ids(store, lease)
        found = await store.queue.find(one.id)
        assert found is not None
        assert found.state == "cancelled"


@in_loop
async def test_a_running_job_is_told_of_its_cancellation_and_its_result_does_not_count(
    durable_url: str,
) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.queue.enqueue([job()])
        got = await claim_one(store, lease)
        assert (await store.crew.beat(lease)).cancelled == ()
        assert await store.queue.cancel(got.id) == "asked"
        assert (await store.crew.beat(lease)).cancelled == (got.id,)
        outcome = JobOutcome(id=got.id, attempt=1, result=b"too late")
        assert await store.queue.settle(lease, [outcome]) == [True]
        found = await store.queue.find(got.id)
        assert found is not None
        assert (found.state, found.result) == ("cancelled", None)


@in_loop
async def test_a_cancelled_job_that_fails_is_not_tried_again(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.queue.enqueue([job()])
        got = await claim_one(store, lease)
        await store.queue.cancel(got.id)
        await store.queue.settle(lease, failed(got, 0))
        await store.sweep()
        assert await claimed_ids(store, lease) == []
        assert await store.dead.letters() == []


@in_loop
async def test_progress_can_be_seen_while_a_job_runs(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.queue.enqueue([job()])
        got = await claim_one(store, lease)
        assert await store.queue.progress(lease, got.id, 1, b"half")
        assert not await store.queue.progress(lease, got.id, 2, b"not mine")
        found = await store.queue.find(got.id)
        assert found is not None
        assert found.progress == b"half"


@in_loop
async def test_steps_are_kept_from_one_attempt_to_the_next(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.queue.enqueue([job()])
        got = await claim_one(store, lease)
        assert await store.queue.keep_step(lease, got.id, 1, "charge", b"id-7")
        assert not await store.queue.keep_step(lease, got.id, 9, "charge", b"id-8")
        await store.queue.settle(lease, failed(got, 0))
        await store.sweep()
        again = await claim_one(store, lease)
        assert await store.queue.steps(again.id) == {"charge": b"id-7"}
        await store.queue.settle(lease, done(again))
        assert await store.queue.steps(again.id) == {}


@in_loop
async def test_each_tick_of_a_schedule_enqueues_once(durable_url: str) -> None:
    async with opened(durable_url) as store, opened_beside(durable_url, store) as other:
        assert await store.queue.last_tick("nightly") is None
        for tick_ms in (1_000, 2_000):
            answers = await asyncio.gather(
                *(one.queue.tick("nightly", tick_ms, [job()]) for one in (store, other) * 3)
            )
            assert sum(answers) == 1
        assert not await store.queue.tick("nightly", 1_000, [job()]), (
            "nor after its clock went back"
        )
        assert await store.queue.last_tick("nightly") == 2_000
        assert len(await claimed_ids(store, await store.crew.register("w"))) == 2


@in_loop
async def test_queues_say_what_waits_in_them(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        lease = await store.crew.register("w")
        await store.queue.enqueue([job(), job(), job(delay_ms=5)])
        await store.queue.enqueue([job(key="k", key_slots=1) for _ in range(3)])
        await store.queue.limit_queue("empty", QueueLimits(slots=2))
        await store.queue.claim(lease, "default", limit=1)
        default, empty = await store.queue.queues()
        assert (default.name, default.ready_count, default.running_count) == ("default", 2, 1)
        assert (default.held_count, default.later_count) == (2, 1)
        assert default.oldest_ready_ms == clock()
        assert (empty.name, empty.limits.slots, empty.oldest_ready_ms) == ("empty", 2, None)


@in_loop
async def test_a_page_of_jobs_goes_on_where_the_last_one_ended(durable_url: str) -> None:
    async with opened(durable_url) as store:
        jobs = [job(queue="a" if number % 2 else "b") for number in range(10)]
        await store.queue.enqueue(jobs)
        seen: list[object] = []
        after = None
        while page := await store.queue.jobs("ready", after=after, limit=3):
            seen += [view.id for view in page]
            after = page[-1].id
        assert seen == sorted(one.id for one in jobs)
        assert {view.queue for view in await store.queue.jobs("ready", queue="a")} == {"a"}


@in_loop
async def test_a_job_given_back_for_later_has_spent_no_attempt_and_says_why(
    durable_url: str,
) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        lease = await store.crew.register("w")
        await store.queue.enqueue([job(key="ann", key_slots=1), job(key="ann", key_slots=1)])
        one = await claim_one(store, lease)
        later = JobOutcome(
            id=one.id, attempt=1, how="returned", failure=BROKEN, retry_after_ms=5_000
        )
        assert await store.queue.settle(lease, [later]) == [True]
        view = await store.queue.find(one.id)
        assert view is not None
        assert (view.state, view.attempt, view.failure) == ("later", 0, BROKEN)
        (other,) = await store.queue.claim(lease, "default")  # the key's slot has passed on
        await store.queue.settle(lease, done(other))
        clock.move(5_000)
        assert await store.sweep() == 1
        assert (await claim_one(store, lease)).attempt == 1


@in_loop
async def test_a_job_that_waits_for_its_time_can_be_started_now(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        plain, keyed = job(delay_ms=HOUR_MS), job(delay_ms=HOUR_MS, key="ann", key_slots=1)
        await store.queue.enqueue([plain, keyed])
        assert await claimed_ids(store, lease) == []
        assert await store.queue.start_now(plain.id)
        assert await store.queue.start_now(keyed.id)
        assert not await store.queue.start_now(keyed.id)
        assert not await store.queue.start_now(job().id)
        assert sorted(await claimed_ids(store, lease)) == sorted([plain.id, keyed.id])
