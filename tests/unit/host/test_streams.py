"""A stream while it is read: what is counted, and what is left when nobody reads on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from outgrow import client, operation, service
from outgrow.host import Host, app_of
from outgrow.host.services import TestPlacement

placements = pytest.mark.parametrize("placement", ["local", "rpc"])


@service
class Feed:
    @operation
    async def items(self, told: list[str]) -> AsyncIterator[int]:
        for number in range(3):
            yield number

    @operation
    async def watch(self) -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            ended.append("watch")
            await asyncio.sleep(0)


ended: list[str] = []


def counted(host: Host) -> tuple[int, int]:
    [link] = list(host.book.all())
    return link.calls, link.errors


@placements
def test_a_reader_cancelled_as_it_closes_is_no_error_of_the_stream(
    placement: TestPlacement,
) -> None:
    async def close() -> tuple[int, int]:
        host = Host(app_of(Feed), placement=placement)
        await host.start()
        items: Any = host.client(Feed).items([])
        await anext(items)
        closing = asyncio.create_task(items.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        found = counted(host)
        await host.stop()
        return found

    assert asyncio.run(close()) == (1, 0)


@placements
def test_a_reader_cancelled_before_the_first_item_leaves_nothing(placement: TestPlacement) -> None:
    async def cancel_at(turn: int) -> None:
        host = Host(app_of(Feed), placement=placement)
        await host.start()

        async def read() -> list[int]:
            return [item async for item in host.client(Feed).items([])]

        reader = asyncio.create_task(read())
        for _ in range(turn):
            await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait([reader])
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert await read() == [0, 1, 2]
        await host.stop()

    for turn in range(12):
        asyncio.run(cancel_at(turn))


@placements
def test_a_stream_open_at_the_end_of_the_loop_is_cleaned_up_without_a_word(
    placement: TestPlacement, caplog: pytest.LogCaptureFixture
) -> None:
    kept: list[Any] = []
    ended.clear()

    async def leave_open() -> None:
        host = Host(app_of(Feed), placement=placement)
        await host.start()
        kept.append(host.client(Feed).watch())
        await anext(kept[0])

    asyncio.run(leave_open())
    assert ended == ["watch"]
    assert caplog.records == []


def test_a_stream_of_a_client_open_at_the_end_of_the_loop_is_cleaned_up_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept: list[Any] = []
    ended.clear()

    async def leave_open() -> None:
        kept.append(client(Feed).watch())
        await anext(kept[0])

    asyncio.run(leave_open())
    assert ended == ["watch"]
    assert caplog.records == []
