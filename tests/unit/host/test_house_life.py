"""The life of services outside of `outgrow run`: who starts them, where, and what ends them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from outgrow import Baggage, client, deadline, from_env, on_start, on_stop, operation, service, wait
from outgrow import provides as provided
from outgrow.errors import (
    DeadlineExceededError,
    EnvironmentVariableError,
    ServiceStartError,
    StartupFailedError,
    UnavailableError,
)
from outgrow.host.app import LoadedApp
from outgrow.host.edge import Edge
from outgrow.host.house import start_services, stop_services
from outgrow.model import Settings

BOUND_SECONDS = 5.0
tenant = Baggage("tenant of a life", str)
told: list[str] = []


@pytest.fixture(autouse=True)
def nothing_told() -> None:
    told.clear()
    Warm.gate = None


@service
class Prices:
    @on_start
    async def begin(self) -> None:
        told.append("start")
        self.loop = asyncio.get_running_loop()

    @on_stop
    async def end(self) -> None:
        told.append(f"stop {asyncio.get_running_loop() is self.loop}")

    @operation
    async def is_at_home(self) -> bool:
        await asyncio.sleep(0)
        return asyncio.get_running_loop() is self.loop

    @operation
    async def each_at_home(self, count: int) -> AsyncIterator[bool]:
        try:
            for _ in range(count):
                yield asyncio.get_running_loop() is self.loop
        finally:
            told.append("closed")

    @operation
    async def hang(self) -> None:
        told.append("hangs")
        try:
            await asyncio.Event().wait()
        finally:
            told.append("ended")


@service
class Warm:
    """Starts when the test says so, after it has said that it starts."""

    gate: Any = None

    @on_start
    async def begin(self) -> None:
        told.append(f"start {tenant.get()}")
        if Warm.gate is not None:
            await Warm.gate.wait()

    @on_stop
    async def end(self) -> None:
        told.append("stop")

    @operation
    async def get(self) -> int:
        return 1


class Pool: ...


async def until(condition: Any) -> None:
    """Let the loop turn until something is so."""
    async with asyncio.timeout(BOUND_SECONDS):
        while not condition():
            await asyncio.sleep(0)


def in_a_thread_with_a_loop(work: Any) -> Any:
    """What an async function returns on a loop that is begun and ended in a thread."""
    return asyncio.to_thread(lambda: asyncio.run(work()))


# Who starts them.


def test_a_start_hook_that_waits_for_another_service_is_told_to_make_it_a_field() -> None:
    prices = client(Prices)

    @service
    class Shop:
        @on_start
        async def begin(self) -> None:
            await prices.is_at_home()

        @operation
        async def get(self) -> int:
            return 1

    async def script() -> None:
        with pytest.raises(ServiceStartError) as caught:
            await asyncio.wait_for(client(Shop).get(), BOUND_SECONDS)
        assert "`prices: Prices`" in str(caught.value.__cause__ or caught.value)
        assert await prices.is_at_home()

    asyncio.run(script())


def test_a_task_that_a_start_hook_leaves_behind_may_call_any_service_later() -> None:
    prices = client(Prices)
    later: list[Any] = []

    @service
    class Shop:
        @on_start
        async def begin(self) -> None:
            self.go = asyncio.Event()
            later.append(asyncio.ensure_future(self.work()))

        async def work(self) -> bool:
            await self.go.wait()
            return await prices.is_at_home()

        @operation
        async def get(self) -> int:
            self.go.set()
            return 1

    async def script() -> bool:
        await client(Shop).get()
        return await later[0]

    assert asyncio.run(script())


def test_a_start_outlives_the_caller_that_could_not_wait_for_it() -> None:
    warm = client(Warm)

    async def script() -> list[str]:
        Warm.gate = asyncio.Event()
        with tenant.set("acme"), pytest.raises(DeadlineExceededError), deadline(0.02):
            await warm.get()
        leaving = asyncio.ensure_future(warm.get())
        await asyncio.sleep(0)
        leaving.cancel()
        Warm.gate.set()
        await warm.get()
        return list(told)

    assert asyncio.run(script()) == ["start None"]


def test_a_service_inherits_no_deadline_from_its_first_caller() -> None:
    tasks: list[asyncio.Task[int]] = []
    go = threading.Event()

    @service
    class Cache:
        warm: Warm

        @on_start
        async def begin(self) -> None:
            tasks.append(asyncio.create_task(self.refresh()))

        async def refresh(self) -> int:
            await until(go.is_set)
            return await self.warm.get()

        @operation
        async def get(self) -> int:
            return 1

    async def script() -> int:
        with deadline(0.05):
            await client(Cache).get()
        with pytest.raises(DeadlineExceededError), deadline(0.06):
            await asyncio.Event().wait()
        go.set()
        return await tasks[0]

    assert asyncio.run(script()) == 1


def test_what_a_provider_opens_is_closed_in_the_task_that_opened_it() -> None:
    @provided
    async def pool() -> AsyncIterator[Pool]:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep_forever)
            yield Pool()
            group.cancel_scope.cancel()
            told.append("closed")

    @service
    class Shop:
        pool: Pool

        @operation
        async def get(self) -> int:
            return 1

    shop = client(Shop)

    async def lazily() -> int:
        return await asyncio.create_task(shop.get())

    async def as_under_run() -> None:
        await asyncio.create_task(start_services())
        await asyncio.create_task(stop_services())

    assert asyncio.run(lazily()) == 1
    asyncio.run(as_under_run())
    assert told == ["closed", "closed"]


def test_a_service_that_cannot_start_leaves_the_others_alone() -> None:
    @service
    class Mailer:
        key: str = from_env(secret=True)

        @operation
        async def get(self) -> int:
            return 1

    mailer, prices = client(Mailer), client(Prices)

    async def script() -> bool:
        with pytest.raises(EnvironmentVariableError):
            await mailer.get()
        return await prices.is_at_home()

    assert asyncio.run(script())


# On which loop.


def test_a_stream_that_another_loop_reads_is_made_on_the_loop_of_its_service() -> None:
    prices = client(Prices)

    async def read() -> list[bool]:
        return [each async for each in prices.each_at_home(3)]

    async def read_one() -> bool:
        items: Any = prices.each_at_home(3)
        first = await anext(items)
        await items.aclose()
        return first

    async def script() -> None:
        await start_services()
        assert await in_a_thread_with_a_loop(read) == [True] * 3
        assert await in_a_thread_with_a_loop(read_one)
        assert await read() == [True] * 3
        assert told == ["start", "closed", "closed", "closed"]
        await stop_services()

    asyncio.run(script())
    assert told[-1] == "stop True"


def test_services_outlive_the_loops_of_threads_that_come_and_go() -> None:
    prices = client(Prices)

    async def hang() -> None:
        with deadline(0.1):
            await prices.hang()

    async def hanging() -> None:
        await until(lambda: "hangs" in told)

    def in_loop(work: Any) -> threading.Thread:
        def run() -> None:
            try:
                asyncio.run(work())
            except DeadlineExceededError:
                told.append("late")

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    async def home() -> None:
        told.append(str(await prices.is_at_home()))

    first = in_loop(home)
    first.join(BOUND_SECONDS)
    second, third = in_loop(hang), in_loop(hanging)
    third.join(BOUND_SECONDS)
    in_loop(home).join(BOUND_SECONDS)
    second.join(BOUND_SECONDS)
    assert sorted(told) == sorted(["start", "True", "hangs", "True", "ended", "late"])


def test_a_loop_that_stands_still_is_not_mistaken_for_the_one_that_runs() -> None:
    prices = client(Prices)
    loops = [asyncio.new_event_loop() for _ in range(2)]
    assert loops[0].run_until_complete(prices.is_at_home())
    assert wait(prices.is_at_home())
    assert loops[1].run_until_complete(prices.is_at_home())
    for loop in loops:
        for task in asyncio.all_tasks(loop):
            task.cancel()
            loop.run_until_complete(asyncio.wait([task]))
        loop.close()


def test_calls_from_another_loop_take_no_thread_and_pass_a_cancel_on() -> None:
    prices = client(Prices)

    async def cancel_many() -> int:
        before = threading.active_count()
        tasks = [asyncio.create_task(prices.hang()) for _ in range(40)]
        await until(lambda: told.count("hangs") == 40)
        more = threading.active_count() - before
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
        assert told.count("ended") == 40
        return more

    async def script() -> int:
        await prices.is_at_home()
        return await in_a_thread_with_a_loop(cancel_many)

    assert asyncio.run(script()) < 2


# What ends them.


def test_a_service_that_cannot_stop_does_not_keep_others_from_it() -> None:
    prices = client(Prices)

    @service
    class Stubborn:
        @on_stop
        async def end(self) -> None:
            raise RuntimeError("no")

        @operation
        async def get(self) -> int:
            return 1

    async def script() -> None:
        await prices.is_at_home()
        await client(Stubborn).get()
        with pytest.raises(ServiceStartError, match=r"Stubborn.end` raised RuntimeError: no"):
            await stop_services()

    asyncio.run(script())
    assert told == ["start", "stop True"]


def test_a_call_after_the_stop_is_refused_and_starts_nothing() -> None:
    prices = client(Prices)

    async def script() -> list[bool]:
        await start_services()
        await stop_services()
        refused = [await refusal(), await asyncio.to_thread(wait_refused)]
        await start_services()  # as when another worker begins in this process
        assert await prices.is_at_home()
        return refused

    async def refusal() -> bool:
        with pytest.raises(UnavailableError) as caught:
            await prices.is_at_home()
        return caught.value.may_have_run

    def wait_refused() -> bool:
        with pytest.raises(UnavailableError) as caught:
            wait(prices.is_at_home())
        return caught.value.may_have_run

    assert asyncio.run(script()) == [False, False]
    assert told == ["start", "stop True"] * 2


def test_a_stop_gives_up_a_start_and_tells_who_waits_for_it() -> None:
    warm = client(Warm)

    async def script() -> None:
        Warm.gate = asyncio.Event()
        asked = asyncio.ensure_future(warm.get())
        await until(lambda: told)
        await stop_services()
        with pytest.raises(UnavailableError) as caught:
            await asked
        assert not caught.value.may_have_run

    asyncio.run(script())
    assert told == ["start None"]


def test_tasks_that_end_with_their_loop_may_still_call_services() -> None:
    prices = client(Prices)
    last: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            last.append(await prices.is_at_home())

    async def script() -> asyncio.Task[None]:
        await prices.is_at_home()
        task = asyncio.create_task(work())
        await asyncio.sleep(0)
        return task

    asyncio.run(script())
    assert last == [True]
    assert told == ["start", "stop True"]


def test_services_stop_where_the_start_of_their_app_fails() -> None:
    client(Prices)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    async def script() -> list[str]:
        settings = Settings(access_log=False, log_level="critical")
        with pytest.raises(StartupFailedError, match="no database"):
            await Edge(LoadedApp(app, "asgi3", ""), settings).start()
        return list(told)

    assert asyncio.run(script()) == ["start", "stop True"]
