"""Dead letters, retention and versions, on both engines."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from outgrow.store import StoreLostError, durable_at, durable_place
from outgrow.store.durable.errors import StoreOwnedError, StoreVersionError
from outgrow.store.durable.failures import failure_of
from outgrow.store.durable.postgres.schema import VERSIONS as POSTGRES_VERSIONS
from outgrow.store.durable.postgres.store import PostgresDurable
from outgrow.store.durable.protocol import DurableStore
from outgrow.store.durable.records import JobOutcome, KindCount, Lease
from outgrow.store.durable.sqlite.schema import VERSIONS as SQLITE_VERSIONS
from outgrow.store.durable.sqlite.store import SqliteDurable
from tests.contracts.conftest import ENGINES
from tests.contracts.durable import (
    HOUR_MS,
    HandClock,
    claim_one,
    claimed_ids,
    done,
    event,
    failed,
    handled,
    job,
    opened,
)
from tests.contracts.shelf import in_loop

pytestmark = pytest.mark.timeout(90)  # a server and its disk may be busy

TOPIC = "OrderPlaced"


async def die_of(store: DurableStore, lease: Lease, error: Exception, **fields: Any) -> None:
    """Have a new job fail for good."""
    await store.queue.enqueue([job(**fields)])
    got = await claim_one(store, lease)
    outcome = JobOutcome(id=got.id, attempt=1, how="failed", failure=failure_of(error))
    assert await store.queue.settle(lease, [outcome]) == [True]


@in_loop
async def test_dead_letters_are_grouped_by_what_they_died_of(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        lease = await store.crew.register("w")
        for number in range(3):
            await die_of(store, lease, ValueError(f"order {number} has no address"))
            clock.move(10)
        await die_of(store, lease, KeyError("sku"))
        first, second = await store.dead.groups()
        assert (first.count, second.count) == (3, 1)
        assert first.last_ms - first.first_ms == 20
        assert first.sample.failure.text == "order 2 has no address"
        letters = await store.dead.letters(fingerprint=first.fingerprint)
        assert [one.failure.text for one in letters][-1] == "order 0 has no address"


@in_loop
async def test_pages_of_dead_letters_go_on_where_the_last_one_ended(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        for _ in range(7):
            await die_of(store, lease, ValueError())
        seen: list[int] = []
        before = None
        while page := await store.dead.letters(before=before, limit=3):
            seen += [one.number for one in page]
            before = page[-1].number
        assert seen == sorted(seen, reverse=True)
        assert len(seen) == 7


@in_loop
async def test_a_replayed_job_has_all_its_attempts_again(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        fields = {"body": b"b", "headers": {"a": "b"}, "priority": 4, "key": "k", "key_slots": 2}
        await die_of(store, lease, ValueError(), **fields, attempts_max=2)
        (letter,) = await store.dead.letters()
        assert await store.dead.replay(numbers=[letter.number]) == 1
        assert await store.dead.letters() == []
        got = await claim_one(store, lease)
        assert (got.id, got.attempt, got.attempts_max) == (letter.id, 1, 2)
        assert (got.body, got.headers, got.key) == (b"b", {"a": "b"}, "k")
        await store.queue.settle(lease, done(got))
        found = await store.queue.find(got.id)
        assert found is not None
        assert found.state == "done"


@in_loop
async def test_a_replayed_job_does_not_stand_beside_another_of_its_unique_key(
    durable_url: str,
) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await die_of(store, lease, ValueError(), unique="report")
        await store.queue.enqueue([job(unique="report")])
        assert await store.dead.replay() == 0
        assert len(await store.dead.letters()) == 1
        await store.queue.settle(lease, done(await claim_one(store, lease)))
        assert await store.dead.replay() == 1


@in_loop
async def test_dead_letters_can_be_forgotten(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        for error in (ValueError(), KeyError(), KeyError()):
            await die_of(store, lease, error)
        many, _ = await store.dead.groups()
        assert await store.dead.discard(fingerprint=many.fingerprint) == 2
        assert await store.dead.replay(limit=10) == 1


@in_loop
async def test_history_is_kept_for_its_time_and_no_longer(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        lease = await store.crew.register("w")
        for _ in range(2):
            await store.queue.enqueue([job()])
            await store.queue.settle(lease, done(await claim_one(store, lease)))
            clock.move(72 * HOUR_MS)
        await store.prune(keep_ms=100 * HOUR_MS)
        assert len(await store.queue.jobs("done")) == 1
        assert await claimed_ids(store, lease) == []


@in_loop
async def test_events_are_kept_until_every_subscription_has_handled_them(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        lease = await store.crew.register("w")
        for name in ("quick", "slow"):
            await store.log.subscribe(name, TOPIC)
        await store.log.append([event("k", body=b"1"), event("k", body=b"2")])
        await store.log.settle(lease, "quick", handled(await store.log.take(lease, "quick")))
        first, second = await store.log.take(lease, "slow")
        await store.log.settle(lease, "slow", handled([second]))
        clock.move(HOUR_MS)
        await store.prune(keep_ms=0)
        await store.log.subscribe("again", TOPIC, start="beginning")
        assert [one.event.body for one in await store.log.take(lease, "again")] == [b"1"]
        await store.log.unsubscribe("again")
        assert await store.log.settle(lease, "slow", handled([first])) == [True]
        await store.prune(keep_ms=0)
        await store.log.append([event("k", body=b"3")])
        await store.log.subscribe("last", TOPIC, start="beginning")
        (got,) = await store.log.take(lease, "last")
        assert (got.event.body, got.position.offset) == (b"3", 3)
        assert await store.log.settle(lease, "last", handled([got])) == [True]


@in_loop
async def test_a_dead_event_can_be_replayed_when_the_log_has_forgotten_it(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        lease = await store.crew.register("w")
        await store.log.subscribe("mail", TOPIC, attempts_max=1)
        one = event("k", body=b"1")
        await store.log.append([one])
        await store.log.take(lease, "mail")
        await store.crew.bury(lease)
        clock.move(HOUR_MS)
        await store.prune(keep_ms=0)
        assert await store.dead.replay() == 1
        lease = await store.crew.register("w")
        assert [got.event for got in await store.log.take(lease, "mail")] == [one]


@in_loop
async def test_what_waits_with_a_schema_is_counted(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.log.subscribe("mail", TOPIC)
        await store.queue.enqueue([job("mail.send", schema="old"), job("mail.send", schema="new")])
        await store.log.append([event(schema="old"), event(schema="old")])
        assert await store.waiting("mail.send", "old") == 1
        assert await store.waiting(TOPIC, "old") == 2
        got = await store.log.take(lease, "mail")
        assert await store.waiting(TOPIC, "old") == 2, "until it is handled"
        await store.log.settle(lease, "mail", handled(got))
        assert await store.waiting(TOPIC, "old") == 0
        running = await store.queue.claim(lease, "default")
        assert await store.waiting("mail.send", "old") == 1, "it may run again"
        await store.queue.settle(lease, failed(running[0], None))
        assert await store.waiting("mail.send", "old") == 0


@in_loop
async def test_unfinished_jobs_are_counted_by_kind_and_queue(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.queue.enqueue([job("a"), job("a", delay_ms=HOUR_MS), job("b")])
        await store.queue.enqueue([job("a", queue="other"), job("c")])
        ended = await store.queue.claim(lease, "default", limit=1)
        assert [one.kind for one in ended] == ["a"]
        assert await store.unfinished(["a", "b", "none"]) == [
            KindCount("a", "default", 2),
            KindCount("a", "other", 1),
            KindCount("b", "default", 1),
        ]
        await store.queue.settle(lease, done(*ended))
        assert await store.unfinished(("a",)) == [
            KindCount("a", "default", 1),
            KindCount("a", "other", 1),
        ]
        assert await store.unfinished(()) == []


@in_loop
async def test_schemas_are_remembered_for_later_versions(durable_url: str) -> None:
    async with opened(durable_url) as store:
        await store.declare("mail.send", "abc", b"{}")
        await store.declare("mail.send", "abc", b"{1}")
    async with opened(durable_url) as store:
        assert await store.schemas() == {("mail.send", "abc"): b"{1}"}


def at_version(url: str, versions: tuple[str, ...]) -> DurableStore:
    """The store as a version of ours has it that knows these versions of its tables."""
    if url.startswith("sqlite"):
        return SqliteDurable(Path(url.removeprefix("sqlite:///")), versions=versions)
    place = durable_place(url)
    return PostgresDurable(place.address.target, versions=versions, is_pooled=place.is_pooled)


def next_version(url: str) -> tuple[str, ...]:
    """All versions of the tables, and one more."""
    if url.startswith("sqlite"):
        return (*SQLITE_VERSIONS, "CREATE TABLE added (id INTEGER) STRICT;")
    return (*POSTGRES_VERSIONS, "CREATE TABLE outgrow.added (id integer)")


@pytest.mark.parametrize("number", range(1, len(SQLITE_VERSIONS) + 1))
@in_loop
async def test_tables_of_every_version_are_brought_forwards_with_what_is_in_them(
    engine_url: str, number: int
) -> None:
    one = job()
    older = at_version(engine_url, next_version(engine_url)[:number])
    await older.start()
    await older.queue.enqueue([one])
    await older.stop()
    newer = at_version(engine_url, next_version(engine_url))
    await newer.start()
    try:
        assert await claimed_ids(newer, await newer.crew.register("w")) == [one.id]
    finally:
        await newer.stop()


@in_loop
async def test_tables_of_a_newer_version_are_left_alone(engine_url: str) -> None:
    newer = at_version(engine_url, next_version(engine_url))
    await newer.start()
    await newer.stop()
    older = at_version(engine_url, next_version(engine_url)[:-1])
    with pytest.raises(StoreVersionError, match=f"version {len(SQLITE_VERSIONS) + 1}"):
        await older.start()
    await older.stop()


@in_loop
async def test_a_step_forwards_that_fails_leaves_nothing_behind(engine_url: str) -> None:
    known = next_version(engine_url)[:-1]
    made = "half" if engine_url.startswith("sqlite") else "outgrow.half"
    broken = (*known, f"CREATE TABLE {made} (id integer); SELECT broken;")
    store = at_version(engine_url, broken)
    with pytest.raises(Exception, match="broken"):
        await store.start()
    await store.stop()
    mended = at_version(engine_url, (*known, f"CREATE TABLE {made} (id integer);"))
    await mended.start()
    await mended.stop()


@in_loop
async def test_a_file_has_one_owner_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outgrow.store.durable.sqlite.writer.OWNER_SECONDS_MAX", 0.05)
    async with opened(f"sqlite:///{tmp_path / 'durable.db'}"):
        second = SqliteDurable(tmp_path / "durable.db")
        with pytest.raises(StoreOwnedError, match=r"durable\.db"):
            await second.start()
    await second.start()
    await second.stop()


@pytest.mark.skipif("pgbouncer" not in ENGINES, reason="no PgBouncer here")
@pytest.mark.parametrize("engine_url", ["pgbouncer"], indirect=True)
@in_loop
async def test_a_pooler_that_nobody_told_of_is_named(engine_url: str) -> None:
    stores = [durable_at(engine_url.replace("&pgbouncer=true", "")) for _ in range(2)]

    async def use(store: DurableStore) -> None:
        await store.start()
        while True:
            await store.queue.enqueue([job()])

    using = [asyncio.ensure_future(use(store)) for store in stores]
    ended, others = await asyncio.wait(using, return_when=asyncio.FIRST_COMPLETED, timeout=60)
    for one in others:
        one.cancel()
    await asyncio.wait(using)
    assert ended
    problem = ended.pop().exception()
    assert isinstance(problem, StoreLostError)
    assert "`?pgbouncer=true`" in problem.hint
    for store in stores:
        await store.stop()
