"""What runs durable work goes on: after a lost lease, and after errors of any kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from outgrow import EnqueuedJob, Event, enqueue, job, publish, service, subscribe
from outgrow.host import ALL, Durable, DurableSource, Host, app_of
from outgrow.host.durable import care, solitude, tenure
from outgrow.store import durable_at, wall_clock

pytestmark = pytest.mark.timeout(60)


class Knock(Event, key="door", name="runners.Knock"):
    """Somebody knocked."""

    door: str


@service
class Slow:
    """Takes its time, and does not end at once when it is told to."""

    @job
    async def work(self) -> None:
        await linger()

    @subscribe
    async def on_knock(self, event: Knock) -> None:
        await linger()

    @job
    async def nothing(self) -> None: ...


begun: list[asyncio.Event] = []


async def linger() -> None:
    """Run until told; after a cancel the same."""
    may_end = asyncio.Event()
    begun.append(may_end)
    try:
        await may_end.wait()
    except asyncio.CancelledError:
        await may_end.wait()
        raise


@asynccontextmanager
async def started(folder: Path) -> AsyncGenerator[tuple[Host, Durable]]:
    begun.clear()
    url = f"sqlite:///{folder}/durable.db"
    source = DurableSource(
        lambda: Durable(durable_at(url, is_fast=True), "test", now_ms=wall_clock)
    )
    host = Host(app_of(Slow), source=source)
    await host.start()
    try:
        yield host, await source.get()
    finally:
        for one in begun:
            one.set()
        await host.stop()
        await source.close()


async def until(is_so: Callable[[], Awaitable[bool] | bool]) -> None:
    async with asyncio.timeout(20):
        while True:
            found = is_so()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0)


async def lose_lease(durable: Durable) -> None:
    (one,) = await durable.store.crew.sightings()
    await durable.store.crew.bury(one.lease)
    durable.hints.tell(ALL)


async def is_done(handle: EnqueuedJob[Any]) -> bool:
    return await handle.state() == "done"


def test_an_event_that_comes_again_is_handled_while_its_lost_attempt_still_ends(
    tmp_path: Path,
) -> None:
    async def ask() -> None:
        async with started(tmp_path) as (_, durable):
            await publish(Knock(door="front"))
            await until(lambda: len(begun) == 1)
            await lose_lease(durable)
            await until(lambda: len(begun) == 2)
            begun[0].set()
            begun[1].set()
            await until(lambda: durable.held_count == 0)
            await publish(Knock(door="front"))
            await until(lambda: len(begun) == 3)

    asyncio.run(ask())


def test_a_job_that_comes_again_is_known_after_its_lost_attempt_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(solitude, "ALONE_SECONDS", 0.02)

    async def ask() -> None:
        async with started(tmp_path) as (host, durable):
            handle = await enqueue(host.client(Slow).work)
            await until(lambda: len(begun) == 1)
            await lose_lease(durable)
            await until(lambda: len(begun) == 2)
            begun[0].set()
            after = await enqueue(host.client(Slow).nothing)
            await until(lambda: is_done(after))
            assert durable.held_count == 1
            begun[1].set()
            await until(lambda: is_done(handle))

    asyncio.run(ask())


@pytest.mark.parametrize(
    "name", ["queue.settle", "queue.claim", "log.settle", "crew.beat", "crew.sightings", "sweep"]
)
def test_no_error_of_the_store_ends_a_loop(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenure, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(care, "SWEEP_SECONDS", 0.01)

    async def ask() -> None:
        async with started(tmp_path) as (host, durable):
            calls_count = 0
            part, _, method = name.rpartition(".")
            owner: Any = getattr(durable.store, part) if part else durable.store
            asked = getattr(owner, method)

            async def told(*args: Any, **kwargs: Any) -> Any:
                nonlocal calls_count
                calls_count += 1
                if calls_count == 1:
                    raise ZeroDivisionError("of a driver")
                return await asked(*args, **kwargs)

            monkeypatch.setattr(owner, method, told)
            await publish(Knock(door="front"))
            handle = await enqueue(host.client(Slow).nothing)
            await until(lambda: len(begun) == 1)
            begun[0].set()
            await until(lambda: is_done(handle))
            await until(lambda: calls_count > 1 and durable.held_count == 0)

    asyncio.run(ask())
