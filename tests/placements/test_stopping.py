"""Services that stop while calls run, and those whose start or stop fails, in every placement."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from outgrow import call, on_start, on_stop, operation, service
from outgrow.errors import ServiceStartError, UnavailableError
from outgrow.host import services
from outgrow.testing import RunningApp, running

from .conftest import Play

told: list[str] = []
gate = threading.Event()


@service(threads_max=1, concurrent_calls_max=3, queue_max=2)
class Work:
    @operation
    async def look(self) -> str:
        told.append("looks")
        while not gate.is_set():
            await asyncio.sleep(0)
        told.append("looked")
        return "looked"

    @operation
    def crunch(self) -> str:
        told.append("crunches")
        gate.wait(10)
        told.append("crunched")
        return "crunched"

    @on_stop
    async def end(self) -> None:
        told.append("stopped")


@pytest.fixture(autouse=True)
def nothing_told() -> None:
    told.clear()
    gate.clear()


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0)


def test_calls_that_run_end_before_the_stop_hooks_begin() -> None:
    async def script() -> list[Any]:
        async with running(Work) as app:
            work = app.client(Work)
            asked: list[Any] = [work.look(), call(work.crunch), call(work.crunch), work.look()]
            calls = [asyncio.ensure_future(each) for each in asked]
            await until(lambda: len(told) == 2)
            asyncio.get_running_loop().call_soon(gate.set)
        with pytest.raises(UnavailableError) as caught:
            await call(work.crunch)
        assert not caught.value.may_have_run
        return await asyncio.gather(*calls, return_exceptions=True)

    *ended, in_line = asyncio.run(script())
    assert ended == ["looked", "crunched", "crunched"]
    assert isinstance(in_line, UnavailableError)
    assert not in_line.may_have_run
    assert told[-1] == "stopped"


def test_a_stop_hook_may_call_what_its_service_needs(play: Play) -> None:
    @service
    class Stock:
        @operation
        async def release(self) -> int:
            told.append("released")
            return 1

        @on_stop
        async def end(self) -> None:
            told.append("stock off")

    @service
    class Orders:
        stock: Stock

        @operation
        async def place(self) -> int:
            return 1

        @on_stop
        async def end(self) -> None:
            await self.stock.release()

    async def piece(app: RunningApp) -> int:
        return await app.client(Orders).place()

    assert play(Orders, piece) == 1
    assert told == ["released", "stock off"]


def test_calls_that_do_not_end_delay_the_stop_no_longer_than_they_may(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(services, "CALLS_END_SECONDS", 0.02)

    async def script() -> list[Any]:
        async with running(Work) as app:
            calls = [asyncio.ensure_future(call(app.client(Work).crunch)) for _ in range(2)]
            await until(lambda: told)
        assert told == ["crunches", "stopped"]
        gate.set()
        return await asyncio.gather(*calls, return_exceptions=True)

    ended, never_begun = asyncio.run(script())
    assert ended == "crunched"
    assert isinstance(never_begun, UnavailableError)
    assert "service `work` stops while 2 of its calls run" in caplog.text


def test_a_stop_that_fails_does_not_hide_why_the_start_failed(play: Play) -> None:
    @service
    class Stubborn:
        @operation
        async def get(self) -> int:
            return 1

        @on_stop
        async def end(self) -> None:
            raise RuntimeError("cannot stop")

    @service
    class Failing:
        stubborn: Stubborn
        key: int = 1

        @on_start
        async def begin(self) -> None:
            raise ValueError("the cause")

    async def piece(app: RunningApp) -> None: ...

    with pytest.raises(ServiceStartError, match="the cause") as caught:
        asyncio.run(_started(Failing))
    assert "cannot stop" in caught.value.__notes__[0]


async def _started(cls: type) -> None:
    async with running(cls):
        pass


def test_what_a_first_start_hook_began_is_stopped_where_the_second_fails() -> None:
    @service
    class Twice:
        @on_start
        async def one(self) -> None:
            told.append("one")

        @on_start
        async def two(self) -> None:
            raise ValueError("two")

        @on_stop
        async def end(self) -> None:
            told.append("end")

    with pytest.raises(ServiceStartError, match="two"):
        asyncio.run(_started(Twice))
    assert told == ["one", "end"]
