"""Many tasks, many processes, cancellations and kills: nothing is lost, nothing hangs."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

from outgrow.store import Database
from tests.contracts.shelf import (
    PATIENCE_SECONDS,
    Item,
    Shelf,
    count_one,
    counted,
    ids_in,
    in_loop,
    shelves_at,
)

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 60
TASKS = 8


async def add_item(db: Database, committed: set[int], number: int) -> None:
    """Write one item, going through every kind of step where one may be cancelled."""
    async with db.begin() as session:
        count = await session.scalar(select(func.count()).select_from(Item))
        assert count is not None
        await asyncio.sleep(0)
        session.add(Item(id=number, shelf_id=1))
    committed.add(number)


@pytest.mark.parametrize("seed", [1, 2, 3])
@in_loop
async def test_random_cancellations_lose_nothing_and_leave_nothing_behind(
    url: str, seed: int
) -> None:
    dice = random.Random(seed)
    committed: set[int] = set()
    loop = asyncio.get_running_loop()
    async with shelves_at(url, connections_max=4) as db:
        async with db.begin() as session:
            session.add(Shelf(id=1))
        for first in range(0, ROUNDS * TASKS, TASKS):
            tasks = [
                asyncio.create_task(add_item(db, committed, first + number))
                for number in range(TASKS)
            ]
            for task in dice.sample(tasks, 5):
                moment = dice.random() * dice.choice((0.0005, 0.004, 0.02))
                loop.call_later(moment, task.cancel)
                if dice.random() < 0.4:  # once more, while it ends
                    loop.call_later(moment + dice.random() * 0.002, task.cancel)
            async with asyncio.timeout(PATIENCE_SECONDS):
                await asyncio.wait(tasks)
            assert {type(task.exception()) for task in tasks if not task.cancelled()} <= {
                type(None)
            }
        # A task may be cancelled after its commit; none was told of a commit that was not.
        assert committed <= set(await ids_in(db, Item))
        await asyncio.gather(*(count_one(db) for _ in range(TASKS)))
        assert await counted(db) == TASKS
    assert asyncio.all_tasks() == {asyncio.current_task()}


def counting(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-m", "tests.contracts.counting", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.timeout(90)
def test_four_processes_of_eight_tasks_count_exactly(url: str) -> None:
    async def begin() -> None:
        async with shelves_at(url) as db, db.begin() as session:
            session.add(Shelf(id=1))

    async def end() -> int:
        async with shelves_at(url) as db:
            return await counted(db)

    asyncio.run(begin())
    running = [counting("count", url, "8", "5") for _ in range(4)]
    ended = [one.communicate(timeout=60) and one.returncode for one in running]
    assert ended == [0] * 4
    assert asyncio.run(end()) == 4 * 8 * 5


def test_a_killed_process_loses_what_was_open_and_nothing_committed(url: str) -> None:
    process = counting("write", url)
    assert process.stdout is not None
    said = [line.strip() for line in iter(process.stdout.readline, "open\n")]
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=10)

    async def left() -> list[int]:
        async with shelves_at(url) as db:
            await count_one(db)  # the dead process holds no lock
            return await ids_in(db)

    assert said == [str(number) for number in range(1, 21)]
    assert asyncio.run(left()) == list(range(1, 21))


@in_loop
async def test_many_that_start_at_once_make_the_tables_once(url: str) -> None:
    databases = [shelves_at(url) for _ in range(6)]
    await asyncio.gather(*(db.start() for db in databases))
    async with databases[0].begin() as session:
        session.add(Shelf(id=1))
    assert [await ids_in(db) for db in databases] == [[1]] * 6
    await asyncio.gather(*(db.stop() for db in databases))


@in_loop
async def test_a_start_that_is_cancelled_can_be_done_again(url: str) -> None:
    dice = random.Random(5)
    for _ in range(10):
        db = shelves_at(url)
        task = asyncio.create_task(db.start())
        asyncio.get_running_loop().call_later(dice.random() * 0.03, task.cancel)
        await asyncio.wait([task])
        await db.stop()
    async with shelves_at(url) as db:
        assert await ids_in(db) == []
