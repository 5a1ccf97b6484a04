"""A stream keeps to itself, ends in time and gives its place back, however its reader leaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from time import monotonic
from typing import Any, cast

import pytest

from outgrow import Baggage, DeadlineExceededError, OverloadedError, deadline, operation, service
from outgrow.errors import FakeError
from outgrow.testing import RunningApp, fake
from outgrow.wire import current, remaining_seconds

from .conftest import Placed, Play

colour = Baggage("colour", str)
seen: list[str] = []
stage: dict[str, asyncio.Event] = {}


@service
class Stock:
    @operation
    async def left_seconds(self) -> float | None:
        return remaining_seconds()


@service(concurrent_calls_max=1, queue_max=0)
class Feed:
    stock: Stock

    @operation
    async def ping(self) -> int:
        return 1

    @operation
    async def clean_up(self, how: str) -> AsyncIterator[int]:
        try:
            yield 1
            await asyncio.Event().wait()
        finally:
            frame = current.get()
            seen.append(frame.operation if frame is not None else "nothing")
            stage["closing"].set()
            if how == "raises":
                raise ValueError("in the clean-up")
            if how == "hangs":
                await asyncio.Event().wait()

    @operation(timeout=0.05)
    async def hang(self) -> AsyncIterator[int]:
        yield 1
        await asyncio.Event().wait()

    @operation(timeout=0.05)
    async def go_on(self) -> AsyncIterator[int]:
        while True:
            await asyncio.sleep(0)
            yield 1

    @operation
    async def left_seconds(self) -> AsyncIterator[float | None]:
        yield await self.stock.left_seconds()

    @operation
    async def coloured(self) -> AsyncIterator[str | None]:
        with colour.set("red"), deadline(5):
            yield colour.get()
            yield colour.get() if remaining_seconds() else None

    @operation
    async def late(self) -> AsyncIterator[int]:
        with deadline(0.02):
            yield 1
            await asyncio.Event().wait()


def reading(items: AsyncIterator[Any]) -> Any:
    return aclosing(cast("Any", items))


async def rung(feed: Feed) -> int:
    """Whether the only place is free; over sockets it takes a few turns."""
    for _ in range(1000):
        with suppress(OverloadedError):
            return await feed.ping()
        await asyncio.sleep(0)
    return 0


@pytest.fixture(autouse=True)
def _fresh() -> None:
    seen.clear()
    stage.clear()


async def close_one(feed: Feed, how: str) -> None:
    stage["closing"] = asyncio.Event()
    async with reading(feed.clean_up(how)) as items:
        await anext(items)


async def after_a_clean_up_that_raises(feed: Feed) -> None:
    with suppress(ValueError):
        await close_one(feed, "raises")


async def after_a_cancel_in_the_clean_up(feed: Feed) -> None:
    reader = asyncio.create_task(close_one(feed, "hangs"))
    async with asyncio.timeout(5):
        while "closing" not in stage:
            await asyncio.sleep(0)
        await stage["closing"].wait()
    reader.cancel()
    await asyncio.wait([reader])


async def after_a_deadline_in_the_clean_up(feed: Feed) -> None:
    with suppress(DeadlineExceededError), deadline(0.05):
        await close_one(feed, "hangs")


async def after_a_stream_dropped_half_read(feed: Feed) -> None:
    stage["closing"] = asyncio.Event()
    async for _ in feed.clean_up("well"):
        break


LEFT = {
    "its clean-up raises": after_a_clean_up_that_raises,
    "its reader is cancelled in the clean-up": after_a_cancel_in_the_clean_up,
    "the deadline passes in the clean-up": after_a_deadline_in_the_clean_up,
    "nobody closes it": after_a_stream_dropped_half_read,
}


@pytest.mark.parametrize("leave", LEFT.values(), ids=LEFT)
def test_a_stream_gives_its_place_back_however_it_ends(
    play: Play, placement: Placed, leave: Callable[[Feed], Awaitable[None]]
) -> None:
    async def piece(app: RunningApp) -> int:
        feed = app.client(Feed)
        await leave(feed)
        if placement == "sockets" and leave is after_a_cancel_in_the_clean_up:
            return 1  # the reader has gone, and the clean-up takes its time
        return await rung(feed)

    assert play(Feed, piece) == 1


def test_a_fake_of_a_stream_gives_its_place_back(play: Play) -> None:
    class Nothing:
        def __aiter__(self) -> Nothing:
            return self

        async def __anext__(self) -> float | None:
            raise StopAsyncIteration

    async def piece(app: RunningApp) -> list[Any]:
        feed = app.client(Feed)
        for _ in range(2):
            with pytest.raises(FakeError):
                await anext(feed.hang())
        return [[item async for item in feed.left_seconds()] for _ in range(2)]

    assert play(Feed, piece, fakes=[fake(Feed, left_seconds=Nothing)]) == [[], []]


@pytest.mark.parametrize("name", ["hang", "go_on"])
def test_the_time_of_a_stream_lasts_until_its_end(play: Play, name: str) -> None:
    async def piece(app: RunningApp) -> None:
        async for _ in getattr(app.client(Feed), name)():
            pass

    with pytest.raises(DeadlineExceededError, match=name):
        play(Feed, piece)


def test_a_deadline_that_the_reader_had_ends_the_stream(play: Play) -> None:
    async def piece(app: RunningApp) -> None:
        stage["closing"] = asyncio.Event()
        with deadline(0.05):
            items = app.client(Feed).clean_up("well")
            await anext(items)
        await anext(items)

    with pytest.raises(DeadlineExceededError):
        play(Feed, piece)


def test_calls_of_a_stream_have_a_deadline_though_it_has_none(play: Play) -> None:
    async def piece(app: RunningApp) -> list[float | None]:
        return [left async for left in app.client(Feed).left_seconds()]

    [left] = play(Feed, piece)
    assert left is not None
    assert 5 < left <= 10


def test_what_a_stream_sets_around_a_yield_is_its_own(play: Play) -> None:
    async def piece(app: RunningApp) -> list[Any]:
        with colour.set("blue"):
            return [
                (item, colour.get(), remaining_seconds())
                async for item in app.client(Feed).coloured()
            ]

    assert play(Feed, piece) == [("red", "blue", None)] * 2


def test_a_deadline_around_a_yield_does_not_cancel_the_reader(play: Play) -> None:
    async def piece(app: RunningApp) -> None:
        items = app.client(Feed).late()
        await anext(items)
        until = monotonic() + 0.03
        while monotonic() < until:
            await asyncio.sleep(0)
        with pytest.raises(DeadlineExceededError):
            await anext(items)

    play(Feed, piece)


def test_the_clean_up_of_a_stream_belongs_to_its_operation(play: Play) -> None:
    async def piece(app: RunningApp) -> None:
        await close_one(app.client(Feed), "well")
        async with asyncio.timeout(5):
            await stage["closing"].wait()

    play(Feed, piece)
    assert seen == ["Feed.clean_up"]
