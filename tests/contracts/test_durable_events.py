"""What the log promises, on SQLite and on PostgreSQL in the same words."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outgrow.store.durable.errors import (
    MessageSizeError,
    SubscriptionMissingError,
    TopicChangedError,
)
from outgrow.store.durable.ids import PARTITIONS_COUNT, partition_of
from outgrow.store.durable.protocol import FromOffsets, FromTime
from outgrow.store.durable.records import BODY_BYTES_MAX, EventOutcome, Position
from tests.contracts.durable import (
    BROKEN,
    HOUR_MS,
    HandClock,
    bodies,
    event,
    handled,
    opened,
    opened_beside,
    unhandled,
)
from tests.contracts.playing import Player
from tests.contracts.shelf import in_loop

pytestmark = pytest.mark.timeout(90)  # a server and its disk may be busy

TOPIC = "OrderPlaced"


@in_loop
async def test_an_event_arrives_as_it_was_published(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        lease = await store.crew.register("w")
        await store.log.subscribe("mail", TOPIC)
        one = event("o1", body=b"\0\xff", headers={"trace": "é"}, schema="s1")
        (position,) = await store.log.append([one])
        clock.move(250)
        (got,) = await store.log.take(lease, "mail")
        assert (got.event, got.position, got.attempt) == (one, position, 1)
        assert (got.appended_ms, got.waited_ms) == (clock() - 250, 250)


@in_loop
async def test_every_subscription_gets_every_event_and_other_topics_none(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        for name, topic in (("mail", TOPIC), ("stock", TOPIC), ("other", "Else")):
            await store.log.subscribe(name, topic)
        events = [event(str(n), body=b"%d" % n) for n in range(30)]
        await store.log.append(events)
        for name in ("mail", "stock"):
            got = await store.log.take(lease, name)
            assert sorted(bodies(got)) == sorted(one.body for one in events)
            assert all(await store.log.settle(lease, name, handled(got)))
            assert await store.log.take(lease, name) == []
        assert await store.log.take(lease, "other") == []


@in_loop
async def test_offsets_of_a_partition_have_no_gaps_however_many_append_at_once(
    durable_url: str,
) -> None:
    async with opened(durable_url) as store, opened_beside(durable_url, store) as other:
        found = await asyncio.gather(
            *(
                (store, other)[n % 2].log.append([event(str(n % 7)), event(str(n % 5))])
                for n in range(60)
            )
        )
        offsets: dict[int, list[int]] = defaultdict(list)
        for positions in found:
            for position in positions:
                assert position is not None
                offsets[position.partition].append(position.offset)
        for had in offsets.values():
            assert sorted(had) == list(range(1, len(had) + 1))


@in_loop
async def test_the_same_id_is_kept_once(durable_url: str) -> None:
    async with opened(durable_url) as store:
        one = event()
        first, again = await store.log.append([one, one])
        assert first is not None
        assert again is None
        assert await store.log.append([one]) == [None]


@in_loop
async def test_of_one_call_all_events_are_kept_or_none(durable_url: str) -> None:
    async with opened(durable_url) as store:
        await store.log.subscribe("mail", TOPIC)
        with pytest.raises(MessageSizeError):
            await store.log.append([event(), event(body=b"x" * (BODY_BYTES_MAX + 1))])
        assert await store.log.take(await store.crew.register("w"), "mail") == []


@in_loop
async def test_events_of_a_key_come_in_the_order_of_their_commits(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.log.subscribe("mail", TOPIC)
        for number in range(20):
            await store.log.append([event("k", body=b"%d" % number)])
        seen: list[bytes] = []
        while got := await store.log.take(lease, "mail", limit=3):
            seen += bodies(got)
            await store.log.settle(lease, "mail", handled(got))
        assert seen == [b"%d" % number for number in range(20)]


@in_loop
async def test_nobody_else_gets_events_of_a_key_while_one_is_handled(durable_url: str) -> None:
    async with opened(durable_url) as store:
        first, second = [await store.crew.register(name) for name in ("a", "b")]
        await store.log.subscribe("mail", TOPIC)
        await store.log.append([event("k", body=b"1"), event("k", body=b"2")])
        (got,) = await store.log.take(first, "mail", limit=1)
        assert await store.log.take(second, "mail") == []
        assert await store.log.settle(first, "mail", handled([got])) == [True]
        assert bodies(await store.log.take(second, "mail")) == [b"2"]


@in_loop
async def test_a_failing_event_holds_back_its_own_key_and_no_other(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        lease = await store.crew.register("w")
        await store.log.subscribe("mail", TOPIC)
        beside = _key_beside("bad")
        await store.log.append(
            [event("bad", body=b"b1"), event(beside, body=b"g1"), event("bad", body=b"b2")]
        )
        got = await store.log.take(lease, "mail")
        bad = next(one for one in got if one.event.body == b"b1")
        good = next(one for one in got if one.event.body == b"g1")
        said = unhandled(bad, 1_000) + handled([good])
        assert await store.log.settle(lease, "mail", said) == [True, True]
        await store.log.append([event("bad", body=b"b3"), event(beside, body=b"g2")])
        got = await store.log.take(lease, "mail")
        assert bodies(got) == [b"g2"]
        await store.log.settle(lease, "mail", handled(got))
        clock.move(1_000)
        order: list[bytes] = []
        while got := await store.log.take(lease, "mail"):
            order += bodies(got)
            await store.log.settle(lease, "mail", handled(got))
        assert order == [b"b1", b"b2", b"b3"]


def _key_beside(key: str) -> str:
    """Another key of the same partition, where a mistake would show."""
    number = partition_of(key, event().id)
    found = (f"key-{n}" for n in range(10_000))
    return next(one for one in found if partition_of(one, event().id) == number)


@in_loop
async def test_what_comes_after_a_failed_event_is_taken_from_the_worker(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.log.subscribe("mail", TOPIC)
        await store.log.append([event("k", body=b"1"), event("k", body=b"2")])
        first, second = await store.log.take(lease, "mail")
        assert await store.log.settle(lease, "mail", unhandled(first)) == [True]
        assert await store.log.settle(lease, "mail", handled([second])) == [False]
        (again,) = await store.log.take(lease, "mail")
        assert (again.event.body, again.attempt) == (b"1", 2)
        await store.log.settle(lease, "mail", handled([again]))
        (then,) = await store.log.take(lease, "mail")
        assert (then.event.body, then.attempt) == (b"2", 1), "it has spent no attempt"


@in_loop
async def test_a_slow_event_holds_up_its_own_key_and_no_other(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.log.subscribe("mail", TOPIC)
        quick = _key_beside("slow")
        await store.log.append([event("slow", body=b"s1"), event(quick, body=b"q1")])
        got = {one.event.body: one for one in await store.log.take(lease, "mail")}
        assert await store.log.settle(lease, "mail", handled([got[b"q1"]])) == [True]
        await store.log.append([event("slow", body=b"s2"), event(quick, body=b"q2")])
        assert bodies(await store.log.take(lease, "mail")) == [b"q2"]
        assert await store.log.settle(lease, "mail", handled([got[b"s1"]])) == [True]
        assert bodies(await store.log.take(lease, "mail")) == [b"s2"]


@in_loop
async def test_an_event_without_a_key_holds_back_nothing(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.log.subscribe("mail", TOPIC)
        await store.log.append([event(body=b"%d" % n) for n in range(3 * PARTITIONS_COUNT)])
        got = await store.log.take(lease, "mail", limit=500)
        bad = got[0]
        said = unhandled(bad, HOUR_MS) + handled(got[1:])
        assert all(await store.log.settle(lease, "mail", said))
        await store.log.append([event(body=b"later") for _ in range(PARTITIONS_COUNT)])
        assert len(await store.log.take(lease, "mail", limit=500)) == PARTITIONS_COUNT


@in_loop
async def test_an_event_that_fails_for_good_is_a_dead_letter_and_its_key_goes_on(
    durable_url: str,
) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.log.subscribe("mail", TOPIC, attempts_max=2)
        bad = event("k", body=b"1")
        await store.log.append([bad, event("k", body=b"2")])
        for attempt in (1, 2):
            got = await store.log.take(lease, "mail")
            assert (got[0].event.body, got[0].attempt) == (b"1", attempt)
            assert (await store.log.settle(lease, "mail", unhandled(got[0])))[0]
        assert bodies(await store.log.take(lease, "mail")) == [b"2"]
        (letter,) = await store.dead.letters()
        assert (letter.kind, letter.id, letter.source) == ("event", bad.id, "mail")
        assert (letter.attempts, letter.failure) == (2, BROKEN)


@in_loop
async def test_an_event_given_back_has_spent_no_attempt(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.log.subscribe("mail", TOPIC, attempts_max=1)
        await store.log.append([event("k")])
        for _ in range(3):
            (got,) = await store.log.take(lease, "mail")
            assert got.attempt == 1
            back = EventOutcome(position=got.position, attempt=1, how="returned")
            assert await store.log.settle(lease, "mail", [back]) == [True]


@pytest.mark.parametrize("in_time", [False, True], ids=["after its key", "while its key is busy"])
@in_loop
async def test_a_replayed_event_is_handled_alone_and_once(durable_url: str, in_time: bool) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.log.subscribe("mail", TOPIC, attempts_max=1)
        await store.log.append([event("k", body=b"dead")])
        (got,) = await store.log.take(lease, "mail")
        await store.log.settle(lease, "mail", unhandled(got))
        await store.log.append([event("k", body=b"next")])
        busy = await store.log.take(lease, "mail")
        if not in_time:
            await store.log.settle(lease, "mail", handled(busy))
        assert await store.dead.replay(fingerprint="broken") == 1
        assert await store.dead.letters() == []
        if in_time:
            assert await store.log.take(lease, "mail") == []
            assert await store.log.settle(lease, "mail", handled(busy)) == [True]
        (again,) = await store.log.take(lease, "mail")
        assert (again.event.body, again.attempt) == (b"dead", 1)
        assert await store.log.settle(lease, "mail", handled([again])) == [True]
        assert await store.log.take(lease, "mail") == []


@in_loop
async def test_a_new_subscription_starts_where_it_is_told(durable_url: str) -> None:
    clock = HandClock()
    async with opened(durable_url, clock) as store:
        lease = await store.crew.register("w")
        (first,) = await store.log.append([event("k", body=b"1")])
        clock.move(1_000)
        await store.log.append([event("k", body=b"2")])
        assert first is not None
        starts = {
            "all": "beginning",
            "timed": FromTime(clock()),
            "placed": FromOffsets({first.partition: 2}),
            "new": "end",
        }
        for name, start in starts.items():
            await store.log.subscribe(name, TOPIC, start=start)  # type: ignore[arg-type]
            await store.log.subscribe(name, TOPIC, start="beginning")  # it exists already
        await store.log.append([event("k", body=b"3")])
        seen = {name: bodies(await store.log.take(lease, name)) for name in starts}
        assert seen == {
            "all": [b"1", b"2", b"3"],
            "timed": [b"2", b"3"],
            "placed": [b"2", b"3"],
            "new": [b"3"],
        }


@in_loop
async def test_a_subscription_can_read_again_or_skip(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.log.subscribe("mail", TOPIC)
        await store.log.append([event("k", body=b"1"), event("k", body=b"2")])
        got = await store.log.take(lease, "mail")
        await store.log.settle(lease, "mail", unhandled(got[0], HOUR_MS))
        await store.log.rewind("mail", "beginning")
        again = await store.log.take(lease, "mail")
        assert bodies(again) == [b"1", b"2"]
        await store.log.rewind("mail", "end")
        assert await store.log.settle(lease, "mail", handled(again)) == [False, False]
        assert await store.log.take(lease, "mail") == []
        (view,) = await store.log.subscriptions()
        assert (view.unread_count, view.parked_count) == (0, 0)


@in_loop
async def test_a_paused_subscription_gives_out_nothing_and_goes_on(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.log.subscribe("mail", TOPIC)
        await store.log.append([event("k")])
        await store.log.pause_subscription("mail", paused=True)
        assert await store.log.take(lease, "mail") == []
        assert (await store.log.subscriptions())[0].is_paused
        await store.log.pause_subscription("mail", paused=False)
        assert len(await store.log.take(lease, "mail")) == 1


@in_loop
async def test_a_subscription_that_is_not_there_is_named(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.log.subscribe("mail", TOPIC)
        await store.log.unsubscribe("mail")
        for call in (
            store.log.take(lease, "mail"),
            store.log.rewind("mail", "end"),
            store.log.pause_subscription("mail", paused=True),
        ):
            with pytest.raises(SubscriptionMissingError, match="mail"):
                await call


@in_loop
async def test_a_subscription_says_how_far_it_is_behind(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.log.subscribe("mail", TOPIC, attempts_max=7)
        await store.log.append([event("k"), event("k"), event("k")])
        got = await store.log.take(lease, "mail", limit=1)
        await store.log.settle(lease, "mail", unhandled(got[0], HOUR_MS))
        (view,) = await store.log.subscriptions()
        assert (view.topic, view.attempts_max) == (TOPIC, 7)
        assert (view.unread_count, view.parked_count) == (2, 1)


@in_loop
async def test_an_event_of_a_window_is_not_done_because_another_is(durable_url: str) -> None:
    async with opened(durable_url) as store:
        lease = await store.crew.register("w")
        await store.log.subscribe("mail", TOPIC)
        await store.log.append([event("k", body=b"1"), event("k", body=b"2")])
        first, _ = await store.log.take(lease, "mail")
        made_up = EventOutcome(position=Position(first.position.partition, 99), attempt=1)
        assert await store.log.settle(lease, "mail", [made_up]) == [False]
        assert await store.log.settle(lease, "mail", handled([first, first])) in (
            [True, False],
            [False, True],
        )


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["append", "take", "done", "failed", "returned", "bury", "replay", "stray"]
        ),
        st.integers(0, 3),
        st.integers(0, 5),
    ),
    max_size=40,
)


@given(steps=STEPS)
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@pytest.mark.timeout(60)
def test_whatever_happens_each_key_is_handled_one_at_a_time_in_order_and_to_the_end(
    durable_url: str, steps: list[tuple[str, int, int]]
) -> None:
    asyncio.run(_play(durable_url, steps))


async def _play(url: str, steps: list[tuple[str, int, int]]) -> None:
    clock = HandClock()
    async with opened(url, clock) as store:
        player = Player(store, clock)
        await player.begin()
        for step in steps:
            await player.play(*step)
        await player.finish()


@in_loop
async def test_a_subscription_does_not_go_on_in_another_topic(durable_url: str) -> None:
    async with opened(durable_url) as store:
        await store.log.subscribe("mail", "OrderPlaced")
        with pytest.raises(TopicChangedError, match="`mail` stands in the events `OrderPlaced`"):
            await store.log.subscribe("mail", "OrderMade")
        (one,) = await store.log.subscriptions()
        assert one.topic == "OrderPlaced"
        await store.log.unsubscribe("mail")
        await store.log.subscribe("mail", "OrderMade")
