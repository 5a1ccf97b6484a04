"""An ending runs to its end, whoever cancels."""

from __future__ import annotations

import asyncio

import pytest

from outgrow.store.settle import SettledStack, settle
from tests.unit.store.loops import in_loop, turn_over


@in_loop
async def test_what_the_work_returns_or_raises_comes_back() -> None:
    async def right() -> int:
        return 7

    async def wrong() -> int:
        raise ZeroDivisionError

    assert await settle(right()) == 7
    with pytest.raises(ZeroDivisionError):
        await settle(wrong())


@pytest.mark.parametrize("fails", [False, True], ids=["work that ends", "work that fails"])
@in_loop
async def test_cancelled_often_it_ends_first_and_is_cancelled_then(fails: bool) -> None:
    ended: list[bool] = []

    async def work() -> None:
        await turn_over(20)
        ended.append(True)
        if fails:
            raise ZeroDivisionError

    task = asyncio.create_task(settle(work()))
    for _ in range(3):
        await turn_over(2)
        assert not ended
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]


@in_loop
async def test_a_stack_is_left_whole_by_a_cancelled_task() -> None:
    left: list[str] = []

    async def leave(name: str) -> None:
        await turn_over(5)
        left.append(name)

    async def user() -> None:
        async with SettledStack() as stack:
            stack.push_async_callback(leave, "outer")
            stack.push_async_callback(leave, "inner")
            await asyncio.Event().wait()

    task = asyncio.create_task(user())
    for _ in range(3):
        await turn_over(3)
        task.cancel()
    await asyncio.wait([task])
    assert (task.cancelled(), left) == (True, ["inner", "outer"])
