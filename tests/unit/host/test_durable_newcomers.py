"""Which versions of an app may start where something waits that older ones ran."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from outgrow import enqueue, job, service
from outgrow.errors import OutgrowError
from outgrow.host import Durable, DurableSource, Host, app_of
from outgrow.host.durable.newcomer import VERSIONS_MAX, Entry, Newcomer, mark_of, versions_in
from outgrow.model import Catalog, KeptJob
from outgrow.store import DurableStore, NewJob, Publication, durable_at, new_id, wall_clock

pytestmark = pytest.mark.timeout(60)


def version(*jobs: str, subscriptions: tuple[str, ...] = ()) -> Catalog:
    """One with these jobs, each `kind` or `kind in queue`."""
    return Catalog(
        jobs={
            kind: KeptJob(queue or "mail", {})
            for kind, _, queue in (one.partition(" in ") for one in jobs)
        },
        events={},
        subscriptions=dict.fromkeys(subscriptions, "Placed"),
    )


FIRST, SECOND = version("send"), version("deliver")


class Shop:
    """A store, and the versions of an app that come to it."""

    def __init__(self, store: DurableStore) -> None:
        self.store = store
        self.now_ms = 1_000

    async def comes(
        self, catalog: Catalog, *, skips: bool = False, is_proven: bool = False, app: str = "shop"
    ) -> frozenset[str]:
        """Have a version start; which kinds it gives up."""
        self.now_ms += 1_000
        entry = Entry(Newcomer(app, catalog, is_proven))
        await entry.ask(self.store, self.now_ms, leaves_unreadable=skips)
        await entry.record(self.store)
        return entry.gone

    async def waits(self, kind: str, queue: str = "mail") -> None:
        """Have a job wait."""
        await self.store.queue.enqueue([NewJob(id=new_id(), kind=kind, queue=queue)])


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[Shop]:
    store = durable_at(f"sqlite:///{folder}/durable.db", is_fast=True)
    await store.start()
    try:
        yield Shop(store)
    finally:
        await store.stop()


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Callable[[Shop], Coroutine[Any, Any, None]]], None]:
    """Plays a piece with an empty store."""

    def play(piece: Callable[[Shop], Coroutine[Any, Any, None]]) -> None:
        async def run() -> None:
            async with opened(tmp_path) as shop:
                await piece(shop)

        asyncio.run(run())

    return play


Play = Callable[[Callable[[Shop], Coroutine[Any, Any, None]]], None]


def refuses(text: str) -> Any:
    return pytest.raises(OutgrowError, match=f"(?m){text}")


def test_a_kind_that_is_gone_is_missed_only_while_it_waits(play: Play) -> None:
    async def piece(shop: Shop) -> None:
        await shop.comes(FIRST)
        await shop.comes(version("send", "other"))
        assert await shop.comes(version("other")) == {"send"}
        await shop.comes(FIRST)
        await shop.waits("send")
        with refuses("run by nobody in this version: 1 of the job `send`, in the queue `mail`$"):
            await shop.comes(SECOND)
        await shop.comes(FIRST)

    play(piece)


def test_a_queue_from_which_nobody_runs_jobs_any_more_is_missed(play: Play) -> None:
    async def piece(shop: Shop) -> None:
        await shop.comes(version("send in post", "print in mail"))
        await shop.waits("send", "post")
        with refuses("1 of the job `send`, in the queue `post`$"):
            await shop.comes(version("send in mail", "print in mail"))
        await shop.comes(version("send in mail", "print in post"))

    play(piece)


def test_a_subscription_that_is_gone_is_missed_only_while_events_wait_for_it(play: Play) -> None:
    async def piece(shop: Shop) -> None:
        both = version("send", subscriptions=("on_placed", "on_paid"))
        await shop.store.log.subscribe("on_placed", "Placed")
        await shop.store.log.subscribe("on_paid", "Paid")
        await shop.comes(both)
        await shop.store.log.append([Publication(id=new_id(), topic="Placed", body=b"")])
        with refuses("1 of the events for `on_placed`$"):
            await shop.comes(FIRST)
        await shop.comes(version("send", subscriptions=("on_placed",)))

    play(piece)


def test_what_only_a_later_version_runs_keeps_no_older_one_from_coming_back(play: Play) -> None:
    async def piece(shop: Shop) -> None:
        await shop.comes(FIRST)
        await shop.comes(version("send", "deliver"))
        await shop.waits("deliver")
        await shop.comes(FIRST)
        with refuses("`deliver`"):
            await shop.comes(version("another"))

    play(piece)


def test_a_version_that_came_in_once_is_asked_again_after_another(play: Play) -> None:
    async def piece(shop: Shop) -> None:
        await shop.comes(FIRST)
        await shop.comes(SECOND)
        await shop.comes(FIRST)
        await shop.waits("send")
        with refuses("`send`"):
            await shop.comes(SECOND)

    play(piece)


def test_what_the_last_version_left_does_not_keep_it_from_starting_again(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def piece(shop: Shop) -> None:
        await shop.comes(FIRST)
        await shop.comes(SECOND)
        await shop.waits("send")  # by a worker of the first that was about to leave
        with caplog.at_level(logging.WARNING):
            assert await shop.comes(SECOND) == {"send"}
        assert "1 of the job `send`" in caplog.text

    play(piece)


def test_a_worker_of_what_serves_is_not_asked_and_not_remembered(play: Play) -> None:
    async def piece(shop: Shop) -> None:
        await shop.comes(FIRST)
        await shop.comes(SECOND)
        await shop.waits("send")
        await shop.comes(version("third"), is_proven=True)
        kept = versions_in((await shop.store.schemas())[mark_of("shop")])
        assert [[*one.jobs] for one in kept] == [["deliver"], ["send"]]

    play(piece)


def test_who_says_so_starts_whatever_waits(play: Play) -> None:
    async def piece(shop: Shop) -> None:
        await shop.comes(FIRST)
        await shop.waits("send")
        assert await shop.comes(SECOND, skips=True) == {"send"}

    play(piece)


def test_apps_of_other_names_do_not_matter(play: Play) -> None:
    async def piece(shop: Shop) -> None:
        await shop.comes(FIRST)
        await shop.waits("send")
        await shop.comes(SECOND, app="another")

    play(piece)


def test_a_clock_that_is_behind_changes_no_order_and_old_versions_are_forgotten(play: Play) -> None:
    async def piece(shop: Shop) -> None:
        for number in range(VERSIONS_MAX + 5):
            await shop.comes(version(f"job {number}"))
            shop.now_ms = 0
        kept = versions_in((await shop.store.schemas())[mark_of("shop")])
        assert [*kept[0].jobs] == [f"job {VERSIONS_MAX + 4}"]
        assert len(kept) == VERSIONS_MAX
        assert [one.first_ms for one in kept] == sorted((o.first_ms for o in kept), reverse=True)

    play(piece)


# What happens to such jobs meanwhile.


@service(name="bell")
class Bell:
    """Has a queue in which there are other jobs as well."""

    @job
    async def ring(self) -> None: ...


@asynccontextmanager
async def ringing(folder: Path, **options: Any) -> AsyncGenerator[tuple[Host, Durable]]:
    def made() -> Durable:
        store = durable_at(f"sqlite:///{folder}/durable.db", is_fast=True)
        return Durable(store, "test", now_ms=wall_clock, **options)

    source = DurableSource(made)
    host = Host(app_of(Bell), source=source)
    try:
        await host.start()
        yield host, await source.get()
    finally:
        await host.stop()
        await source.close()


async def ended(durable: Durable, id: Any, *states: str) -> Any:
    async with asyncio.timeout(20):
        while True:
            view = await durable.store.queue.find(id)
            if view is not None and view.state in states:
                return view
            await asyncio.sleep(0)


def test_jobs_that_nobody_here_knows_hold_no_slot_and_wait_unspent(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def ask() -> None:
        async with ringing(tmp_path) as (host, durable):
            strange = [NewJob(id=new_id(), kind="bell.toll", queue="bell") for _ in range(40)]
            await durable.enqueue(strange)
            handle = await enqueue(host.client(Bell).ring)
            await ended(durable, handle.id, "done")
            view = await ended(durable, strange[0].id, "later")
            assert view.attempt == 0
            assert "has the job `bell.toll`" in view.failure.text
            assert view.run_at_ms > view.enqueued_ms

    with caplog.at_level(logging.WARNING):
        asyncio.run(ask())
    assert caplog.text.count("waits for a version that has it") == 1


def test_jobs_of_a_kind_that_was_given_up_are_dead_letters(tmp_path: Path) -> None:
    async def ask() -> None:
        gone = NewJob(id=new_id(), kind="bell.toll", queue="bell")
        async with opened(tmp_path) as shop:
            await shop.comes(version("bell.toll in bell"))
            await shop.store.queue.enqueue([gone])
        newcomer = Newcomer("shop", version("bell.ring in bell"))
        with refuses("`bell.toll`"):
            async with ringing(tmp_path, newcomer=newcomer):
                pass
        ways = {"newcomer": newcomer, "leaves_unreadable": True}
        async with ringing(tmp_path, **ways) as (_, durable):
            view = await ended(durable, gone.id, "dead")
            assert "has the job `bell.toll`" in view.failure.text

    asyncio.run(ask())


@service(name="desk")
class Desk:
    """Has two queues."""

    @job
    async def sort(self) -> str:
        return "sorted"

    @job(queue="slow")
    async def file(self) -> None: ...


def test_a_job_can_wait_in_any_queue_of_its_service_and_in_no_other(tmp_path: Path) -> None:
    async def ask() -> None:
        store = durable_at(f"sqlite:///{tmp_path}/durable.db", is_fast=True)
        source = DurableSource(lambda: Durable(store, "test", now_ms=wall_clock))
        host = Host(app_of(Desk), source=source)
        await host.start()
        desk = host.client(Desk)
        handle = await enqueue(desk.sort.options(queue="slow"))
        assert await handle.result() == "sorted"
        with refuses("`Desk.sort` cannot wait in the queue `bulk`"):
            await enqueue(desk.sort.options(queue="bulk"))
        await host.stop()
        await source.close()

    asyncio.run(ask())


def test_services_that_start_one_after_the_other_run_the_queue_they_share(tmp_path: Path) -> None:
    async def ask() -> None:
        @service
        class Clerk:
            @job(queue="slow")
            async def stamp(self) -> int:
                return 7

        store = durable_at(f"sqlite:///{tmp_path}/durable.db", is_fast=True)
        source = DurableSource(lambda: Durable(store, "test", now_ms=wall_clock))
        hosts = [Host(app_of(one), source=source) for one in (Desk, Clerk)]
        for host in hosts:
            await host.start()
        handles = [await enqueue(hosts[1].client(Clerk).stamp) for _ in range(20)]
        assert [await one.result() for one in handles] == [7] * 20
        for host in reversed(hosts):
            await host.stop()
        await source.close()

    asyncio.run(ask())
