"""A process that counts in a database, or is killed while it does."""

from __future__ import annotations

import asyncio
import sys

from tests.contracts.shelf import Shelf, count_one, shelves_at


async def count(url: str, tasks_count: int, rounds_count: int) -> None:
    """Count in many tasks."""

    async def some() -> None:
        for _ in range(rounds_count):
            await count_one(db)

    async with shelves_at(url) as db:
        await asyncio.gather(*(some() for _ in range(tasks_count)))


async def write_until_killed(url: str) -> None:
    """Say the id of each committed row; the last one is written, but never committed."""
    async with shelves_at(url) as db:
        for number in range(1, 21):
            async with db.begin() as session:
                session.add(Shelf(id=number))
            sys.stdout.write(f"{number}\n")
        async with db.begin() as session:
            session.add(Shelf(id=1000))
            await session.flush()
            sys.stdout.write("open\n")
            sys.stdout.flush()
            await asyncio.Event().wait()


if __name__ == "__main__":
    if sys.argv[1] == "count":
        asyncio.run(count(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
    else:
        asyncio.run(write_until_killed(sys.argv[2]))
