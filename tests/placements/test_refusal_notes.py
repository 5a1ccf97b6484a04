"""What a route may answer with 503 or 504 is noted for the edge, whichever way it was called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from outgrow import DeadlineExceededError, OverloadedError, deadline, operation, service
from outgrow.host.arrival import Arrival, arrival, came_of
from outgrow.testing import RunningApp

from .conftest import Play


@service(concurrent_calls_max=1, queue_max=0)
class Stock:
    @operation
    async def hang(self) -> None:
        await asyncio.Event().wait()

    @operation
    async def watch(self) -> AsyncIterator[int]:
        yield 1


@service
class Orders:
    stock: Stock

    @operation
    async def place_two(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.stock.hang())
            group.create_task(self.stock.hang())

    @operation
    async def fail(self) -> None:
        raise ExceptionGroup("both", [OverloadedError("full"), ValueError("a bug")])


async def plainly(app: RunningApp) -> None:
    await app.client(Stock).hang()


async def within_a_deadline(app: RunningApp) -> None:
    with deadline(5):
        await app.client(Stock).hang()


async def as_a_stream(app: RunningApp) -> None:
    await anext(app.client(Stock).watch())


async def in_a_group(app: RunningApp) -> None:
    with deadline(5):
        await app.client(Orders).place_two()


FULL = {
    "plainly": plainly,
    "within a deadline": within_a_deadline,
    "as a stream": as_a_stream,
    "in a group": in_a_group,
}


async def noted(route: Callable[[RunningApp], Awaitable[None]], app: RunningApp) -> Any:
    """What the edge hears of what a route raised; None where it is a failure like any other."""

    async def request() -> Any:
        mine = Arrival(0)
        arrival.set(mine)
        with pytest.raises(Exception) as caught:  # noqa: PT011
            await route(app)
        assert mine.refusal is None or came_of(caught.value, mine.refusal)
        return mine.refusal

    return await asyncio.create_task(request())


@pytest.mark.parametrize("route", FULL.values(), ids=FULL)
def test_a_full_service_is_noted(
    play: Play, route: Callable[[RunningApp], Awaitable[None]]
) -> None:
    async def piece(app: RunningApp) -> Any:
        busy = asyncio.create_task(app.client(Stock).hang())
        for _ in range(100):  # until the only place is taken
            if isinstance(await noted(plainly_and_shortly, app), OverloadedError):
                break
        found = await noted(route, app)
        busy.cancel()
        await asyncio.wait([busy])
        return found

    assert isinstance(play(Orders, piece), OverloadedError)


async def plainly_and_shortly(app: RunningApp) -> None:
    with deadline(0.01):
        await app.client(Stock).hang()


async def late_in_a_call(app: RunningApp) -> None:
    with deadline(0.02):
        await app.client(Stock).hang()


async def late_between_calls(app: RunningApp) -> None:
    with deadline(0.02):
        await asyncio.Event().wait()


@pytest.mark.parametrize("route", [late_in_a_call, late_between_calls])
def test_a_missed_deadline_of_a_route_is_noted(
    play: Play, route: Callable[[RunningApp], Awaitable[None]]
) -> None:
    async def piece(app: RunningApp) -> Any:
        return await noted(route, app)

    assert isinstance(play(Orders, piece), DeadlineExceededError)


def test_a_group_with_a_bug_in_it_is_not_noted(play: Play) -> None:
    async def piece(app: RunningApp) -> Any:
        return await noted(lambda app: app.client(Orders).fail(), app)

    assert play(Orders, piece) is None
