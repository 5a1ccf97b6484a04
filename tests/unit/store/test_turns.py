"""Turns are had one after the other, in order, and none is ever lost."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

import outgrow.store.turns as turns_module
from outgrow.errors import WriteTurnError
from outgrow.store.turns import Place, Turns, not_nested, place_of_caller, turns_of_file
from tests.unit.store.loops import in_loop, turn_over, until

HERE = Place("shop.py", 1, "buy")
LATER_SECONDS = 30.0


async def taken(turns: Turns, order: list[int], number: int) -> None:
    turn = await turns.take(HERE, turns.loop.time() + LATER_SECONDS)
    try:
        order.append(number)
        await turn_over()
    finally:
        turns.give_back(turn)


@in_loop
async def test_who_asks_first_is_served_first() -> None:
    turns, order = Turns(1), list[int]()
    await asyncio.gather(*(taken(turns, order, number) for number in range(20)))
    assert order == list(range(20))
    assert (turns.had_count, turns.waiting_count) == (0, 0)


@in_loop
async def test_no_newcomer_overtakes_who_waits() -> None:
    turns, order = Turns(1), list[int]()
    first = await turns.take(HERE, turns.loop.time())
    waiting = asyncio.create_task(taken(turns, order, 1))
    await until(lambda: turns.waiting_count == 1)
    turns.give_back(first)  # handed over, though the other has not yet run
    late = asyncio.create_task(taken(turns, order, 2))
    await asyncio.gather(waiting, late)
    assert order == [1, 2]


@in_loop
async def test_as_many_at_once_as_there_are_turns() -> None:
    turns = Turns(3)
    had = [await turns.take(HERE, turns.loop.time()) for _ in range(3)]
    assert turns.had_count == 3
    with pytest.raises(TimeoutError):
        await turns.take(HERE, turns.loop.time())
    assert "and 2 others theirs" in turns.why_none()
    for turn in had:
        turns.give_back(turn)


@in_loop
async def test_who_waits_too_long_leaves_the_queue() -> None:
    turns, order = Turns(1), list[int]()
    turn = await turns.take(Place("shop.py", 31, "Orders.place"), turns.loop.time())
    with pytest.raises(TimeoutError):
        await turns.take(HERE, turns.loop.time() + 0.01)
    assert turns.waiting_count == 0
    assert turns.why_none().startswith("shop.py:31 in Orders.place has had it for 0.0 s")
    turns.give_back(turn)
    await taken(turns, order, 1)


@in_loop
async def test_a_turn_given_to_a_cancelled_task_goes_to_the_next() -> None:
    turns, order = Turns(1), list[int]()
    turn = await turns.take(HERE, turns.loop.time())
    doomed = asyncio.create_task(taken(turns, order, 1))
    next_one = asyncio.create_task(taken(turns, order, 2))
    await until(lambda: turns.waiting_count == 2)
    turns.give_back(turn)
    doomed.cancel()  # in the moment between getting it and running
    await asyncio.wait([doomed, next_one])
    assert (doomed.cancelled(), order, turns.had_count) == (True, [2], 0)


@in_loop
async def test_no_turn_is_lost_by_random_cancellations() -> None:
    dice = random.Random(3)
    turns, order = Turns(2), list[int]()
    for _ in range(300):
        tasks = [asyncio.create_task(taken(turns, order, number)) for number in range(8)]
        for task in dice.sample(tasks, 5):
            await turn_over(dice.randrange(4))
            task.cancel()
        await asyncio.wait(tasks, timeout=10)
        assert (turns.had_count, turns.waiting_count) == (0, 0)
    both = [await turns.take(HERE, turns.loop.time()) for _ in range(2)]
    assert len(both) == 2


@in_loop
async def test_a_file_has_one_queue_however_often_it_is_opened() -> None:
    assert turns_of_file("/a") is turns_of_file("/a")
    kept = turns_of_file("/a")
    assert turns_of_file("/b") is not kept
    del kept
    gc.collect()


@in_loop
async def test_one_task_begins_once_and_others_are_free() -> None:
    async def other() -> None:
        with not_nested("file", HERE, "sqlite:///file"):
            await turn_over()

    with not_nested("file", HERE, "sqlite:///file"):
        with pytest.raises(WriteTurnError, match=r"since shop\.py:1 in buy"):
            await other()
        await asyncio.create_task(other())
        with not_nested("another", HERE, "sqlite:///another"):
            pass
    await other()


def test_a_place_names_file_line_and_function() -> None:
    def asked() -> Place:
        return place_of_caller()

    shown = str(asked())
    name = "test_a_place_names_file_line_and_function"
    assert shown.startswith(("tests/unit/store/test_turns.py:", "/"))
    assert shown.endswith(f" in {name}")


@dataclass
class Noted:
    """A wish for a turn, as it is told."""

    said: list[str]

    def begin(self) -> None:
        self.said.append("begin")

    def end(self) -> None:
        self.said.append("end")


@in_loop
async def test_who_counts_turns_is_told_of_each_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def watch(name: str, kind: str, count: int) -> Callable[[bool], Noted]:
        said.append(f"{name}, {kind} of {count}")
        return lambda waits: said.append("waits" if waits else "asks") or Noted(said)

    monkeypatch.setattr(turns_module, "_watch", [watch])
    assert Turns(2)._visit is None, "one without a name"
    turns = Turns(1, "writer shop.db")
    first = await turns.take(HERE, turns.loop.time())
    with pytest.raises(TimeoutError):
        await turns.take(HERE, turns.loop.time())
    turns.give_back(first)
    assert said == ["writer shop.db, lock of 1", "asks", "begin", "waits", "end", "end"]
