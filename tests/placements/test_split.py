"""Services in processes of their own: what differs from one process, and what cannot be."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from outgrow import (
    Baggage,
    Clock,
    UnavailableError,
    call,
    from_env,
    on_start,
    operation,
    provides,
    service,
)
from outgrow.errors import ServiceStartError
from outgrow.testing import ManualClock, fake, running

tenant = Baggage("split tenant", str)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Lock:
    """A resource."""


@provides
def make_lock() -> Lock:
    return Lock()


@service
class Cellar:
    clock: Clock
    lock: Lock
    shelf: str = from_env("top")

    @operation
    async def where(self) -> tuple[int, str, str | None]:
        return os.getpid(), self.shelf, tenant.get()

    @operation
    async def wake_after(self, seconds: float) -> datetime:
        await self.clock.sleep(seconds)
        return self.clock.now()

    @operation
    async def count(self, until: int) -> AsyncIterator[int]:
        for number in range(until):
            yield number

    @operation
    def thread(self) -> int:
        return os.getpid()

    @operation
    async def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@service
class Kitchen:
    cellar: Cellar

    @operation
    async def where(self) -> tuple[int, tuple[int, str, str | None]]:
        return os.getpid(), await self.cellar.where()


@service
class Refusing:
    @on_start
    async def refuse(self) -> None:
        raise RuntimeError("no key")


def test_each_service_has_a_process_and_what_it_needs_comes_along() -> None:
    async def ask() -> None:
        environment = {"CELLAR_SHELF": "bottom"}
        async with running(Kitchen, "split", environment=environment) as app:
            with tenant.set("acme"):
                kitchen, (cellar, shelf, who) = await app.client(Kitchen).where()
            assert len({kitchen, cellar, os.getpid()}) == 3
            assert (shelf, who) == ("bottom", "acme")
            assert [each async for each in app.client(Cellar).count(2000)] == list(range(2000))
            assert await call(app.client(Cellar).thread) == cellar

    asyncio.run(ask())


def test_a_manual_clock_is_set_forward_in_all_processes() -> None:
    async def ask() -> None:
        clock = ManualClock(NOON)
        async with running(Kitchen, "split", clock=clock) as app:
            waking = asyncio.ensure_future(app.client(Cellar).wake_after(30))
            while not clock.sleepers_count:
                await asyncio.sleep(0)
            clock.advance(31)
            assert await waking == NOON + timedelta(seconds=31)

    asyncio.run(ask())


def test_fakes_stay_in_the_process_of_the_test() -> None:
    asked: list[str] = []

    async def where() -> tuple[int, str, str | None]:
        asked.append("where")
        return os.getpid(), "fake", None

    async def ask() -> None:
        async with running(Kitchen, "split", fakes=[fake(Cellar, where=where)]) as app:
            kitchen, cellar = await app.client(Kitchen).where()
        assert (cellar, asked) == ((os.getpid(), "fake", None), ["where"])
        assert kitchen != os.getpid()

    asyncio.run(ask())


def test_a_process_that_dies_is_unavailable_and_no_more() -> None:
    async def ask() -> None:
        async with running(Kitchen, "split") as app:
            with pytest.raises(UnavailableError) as lost:
                await app.client(Cellar).die()
            assert lost.value.may_have_run

    asyncio.run(ask())


def test_a_service_that_cannot_start_says_why() -> None:
    async def ask() -> None:
        async with running(Refusing, "split"):
            pass

    with pytest.raises(ServiceStartError, match="no key"):
        asyncio.run(ask())


def test_what_another_process_cannot_find_is_refused_by_name() -> None:
    @service
    class Hidden:
        @operation
        async def look(self) -> int:
            return 1

    async def ask() -> None:
        async with running(Hidden, "split"):
            pass

    with pytest.raises(ServiceStartError, match="Hidden"):
        asyncio.run(ask())
