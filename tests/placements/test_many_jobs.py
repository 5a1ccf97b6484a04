"""Many jobs are enqueued at once, all of them or none, and mean the same in every placement."""

from __future__ import annotations

import asyncio

import pytest

from outgrow import (
    Database,
    EnqueuedJob,
    ValueMismatchError,
    database,
    enqueue_many,
    job,
    operation,
    service,
)
from outgrow.store import MessageSizeError
from outgrow.testing import Placement, running

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.parametrize("placement", ["local", "rpc", "split"]),
]
IN_MEMORY = {"DATABASE_URL": "sqlite://"}


@service
class Sums:
    """Adds, in jobs."""

    db: Database = database()

    @job
    async def add(self, one: int, other: int = 0) -> int:
        return one + other

    @job(unique=("name",))
    async def greet(self, name: str) -> str:
        return f"hello {name}"

    @operation
    async def add_in_block(self, count: int, fails: bool) -> bool:
        async with self.db.begin():
            handles = await enqueue_many(self.add.given(number) for number in range(count))
            assert {one.is_new for one in handles} == {None}
            if fails:
                raise ZeroDivisionError
        return len(handles) == count


async def results(handles: list[EnqueuedJob[object]]) -> list[object]:
    async with asyncio.timeout(20):
        return [await one.result() for one in handles]


def test_each_of_many_is_answered_for_in_their_order(placement: Placement) -> None:
    async def ask() -> None:
        async with running(Sums, placement, environment=IN_MEMORY) as app:
            sums = app.client(Sums)
            handles = await enqueue_many(
                [sums.add.given(1, other=2), sums.greet.given("ann"), sums.add.given(5)]
            )
            assert await results([*handles]) == [3, "hello ann", 5]
            assert await enqueue_many([]) == []

    asyncio.run(ask())


def test_of_those_that_must_be_unique_the_first_counts(placement: Placement) -> None:
    async def ask() -> None:
        async with running(Sums, placement, environment=IN_MEMORY) as app:
            greet = app.client(Sums).greet.options(delay_seconds=600)
            handles = await enqueue_many(greet.given(name) for name in ("ann", "bob", "ann"))
            assert [one.is_new for one in handles] == [True, True, False]
            assert handles[0].id == handles[2].id

    asyncio.run(ask())


def test_none_is_kept_where_one_cannot_be(placement: Placement) -> None:
    async def ask() -> None:
        async with running(Sums, placement, environment=IN_MEMORY) as app:
            sums = app.client(Sums)
            with pytest.raises(ValueMismatchError):
                await enqueue_many([sums.greet.given("ann"), sums.greet.given(7)])  # type: ignore[arg-type]
            with pytest.raises(MessageSizeError, match="262144"):
                await enqueue_many([sums.greet.given("ann"), sums.greet.given("x" * 300_000)])
            large = "x" * 250_000
            with pytest.raises(MessageSizeError, match="bytes of arguments"):
                await enqueue_many(sums.greet.given(f"{number}{large}") for number in range(40))
            with pytest.raises(MessageSizeError, match="10001 messages"):
                await enqueue_many(sums.add.given(number) for number in range(10_001))
            (handle,) = await enqueue_many([sums.greet.given("ann")])
            assert handle.is_new

    asyncio.run(ask())


def test_many_are_part_of_a_transaction(placement: Placement) -> None:
    async def ask() -> None:
        async with running(Sums, placement, environment=IN_MEMORY) as app:
            sums = app.client(Sums)
            with pytest.raises(ZeroDivisionError):
                await sums.add_in_block(3, True)
            assert await sums.add_in_block(2, False)
            await app.until_idle()

    asyncio.run(ask())
