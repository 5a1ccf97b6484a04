"""The step meter counts running, not waiting, and changes nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from outgrow.telemetry import LinkTotals, Steps
from outgrow.telemetry import metered as metered_call

App = Callable[..., Awaitable[Any]]


def metered(app: App, *arguments: Any) -> tuple[Any, Steps]:
    """What a metered call gives, and its meter."""
    steps = Steps()

    async def call() -> Any:
        return await steps.around(app)(*arguments)

    return asyncio.run(call()), steps


def spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def test_arguments_reach_the_app() -> None:
    seen: list[Any] = []

    async def app(*arguments: Any) -> None:
        seen.extend(arguments)

    metered(app, 1, "two")
    assert seen == [1, "two"]


def test_the_result_comes_back() -> None:
    async def app() -> str:
        return "done"

    assert metered(app)[0] == "done"


def test_an_exception_comes_through() -> None:
    async def app() -> None:
        await asyncio.sleep(0)
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        metered(app)


def test_an_exception_of_what_was_awaited_can_be_caught_by_the_app() -> None:
    async def failing() -> None:
        await asyncio.sleep(0)
        raise LookupError

    caught: list[str] = []

    async def app() -> None:
        try:
            await asyncio.create_task(failing())
        except LookupError:
            caught.append("caught")

    metered(app)
    assert caught == ["caught"]


def test_cancelling_reaches_the_innermost_wait() -> None:
    seen: list[str] = []

    async def app() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise
        finally:
            seen.append("cleaned up")

    async def cancelled() -> None:
        async def call() -> None:
            await Steps().around(app)()

        task = asyncio.create_task(call())
        await asyncio.sleep(0)
        task.cancel("enough")
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert seen == ["cancelled", "cleaned up"]


def test_an_app_may_survive_its_cancelling() -> None:
    async def app() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)

    async def cancelled() -> bool:
        async def call() -> None:
            await Steps().around(app)()

        task = asyncio.create_task(call())
        await asyncio.sleep(0)
        task.cancel()
        await task
        return task.cancelled()

    assert asyncio.run(cancelled()) is False


def test_async_generators_and_task_groups_work_inside() -> None:
    async def numbers() -> AsyncIterator[int]:
        for number in range(5):
            await asyncio.sleep(0)
            yield number

    seen: list[int] = []

    async def app() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
            seen.extend([number async for number in numbers()])
            async with asyncio.timeout(5):
                await asyncio.sleep(0)

    metered(app)
    assert seen == [0, 1, 2, 3, 4]


def test_a_call_that_is_thrown_away_closes_its_coroutine() -> None:
    seen: list[str] = []

    async def app() -> None:
        try:
            await asyncio.Future()
        finally:
            seen.append("closed")

    async def call() -> None:
        await Steps().around(app)()

    async def throw_away() -> None:
        coroutine = call()
        coroutine.send(None)
        coroutine.close()

    asyncio.run(throw_away())
    assert seen == ["closed"]


def test_time_spent_running_counts() -> None:
    async def app() -> None:
        for _ in range(4):
            spin(0.01)
            await asyncio.sleep(0)

    assert metered(app)[1].total_ns >= 40_000_000


def test_waiting_does_not_count() -> None:
    async def app() -> None:
        await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0.3)

    assert metered(app)[1].total_ns < 150_000_000


def test_work_of_other_tasks_does_not_count() -> None:
    async def other() -> None:
        spin(0.2)

    async def app() -> None:
        await asyncio.create_task(other())

    assert metered(app)[1].total_ns < 100_000_000


def test_the_step_under_way_counts_already() -> None:
    steps = Steps()
    seen: list[int] = []

    async def app() -> None:
        spin(0.01)
        seen.append(steps.total_ns)

    async def call() -> None:
        await steps.around(app)()

    asyncio.run(call())
    assert 10_000_000 <= seen[0] <= steps.total_ns


def test_only_the_first_call_is_metered() -> None:
    async def app(seconds: float) -> None:
        spin(seconds)

    steps = Steps()

    async def call_twice() -> None:
        app_metered = steps.around(app)
        await app_metered(0.0)
        before = steps.total_ns
        await app_metered(0.01)
        assert steps.total_ns == before

    asyncio.run(call_twice())


class Waits:
    """An awaitable that is no coroutine."""

    def __await__(self) -> Any:
        yield from asyncio.sleep(0).__await__()
        return 7


def test_a_metered_call_counts_in_its_link_and_changes_nothing() -> None:
    link = LinkTotals("edge", "Busy.spin")

    async def work() -> int:
        spin(0.01)
        await asyncio.wait({asyncio.get_running_loop().create_future()}, timeout=0.05)
        spin(0.01)
        return 3

    async def fail() -> None:
        await asyncio.sleep(0)
        raise ValueError("broken")

    async def run() -> None:
        assert await metered_call(link, work()) == 3
        assert await metered_call(link, Waits()) == 7
        with pytest.raises(ValueError, match="broken"):
            await metered_call(link, fail())
        hanging = asyncio.ensure_future(cancelled())
        await asyncio.sleep(0)
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging

    async def cancelled() -> None:
        await metered_call(link, asyncio.Event().wait())

    asyncio.run(run())
    assert link.metered == 4
    assert 20_000_000 <= link.loop_ns < 60_000_000
