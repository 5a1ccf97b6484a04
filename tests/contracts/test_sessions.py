"""What `begin()` and `read()` promise, on SQLite and on PostgreSQL in the same words."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError, InvalidRequestError

from outgrow.errors import DatabaseUnreachableError, ReadOnlyError, WriteTurnError
from outgrow.store import Database
from tests.contracts.shelf import (
    Item,
    Shelf,
    Write,
    count_one,
    counted,
    ids_in,
    in_loop,
    shelves_at,
)


@in_loop
async def test_what_a_block_has_written_is_there_after_it(url: str) -> None:
    async with shelves_at(url) as db:
        async with db.begin() as session:
            session.add(Shelf(id=1))
            await session.execute(text("INSERT INTO shelf (id, count) VALUES (2, 0)"))
        assert await ids_in(db) == [1, 2]


@in_loop
async def test_what_was_written_outlives_the_database_object(url: str) -> None:
    async with shelves_at(url) as db, db.begin() as session:
        session.add(Shelf(id=1))
    async with shelves_at(url) as db:
        assert await ids_in(db) == [1]


async def fail(db: Database) -> None:
    async with db.begin() as session:
        session.add(Shelf(id=1))
        await session.flush()
        raise ZeroDivisionError


@in_loop
async def test_nothing_remains_of_a_block_that_raised(url: str) -> None:
    async with shelves_at(url) as db:
        with pytest.raises(ZeroDivisionError):
            await fail(db)
        assert await ids_in(db) == []


@in_loop
async def test_nothing_remains_of_a_block_that_was_cancelled(url: str) -> None:
    async with shelves_at(url) as db:
        written, never = asyncio.Event(), asyncio.Event()

        async def write() -> None:
            async with db.begin() as session:
                session.add(Shelf(id=1))
                await session.flush()
                written.set()
                await never.wait()

        task = asyncio.create_task(write())
        await written.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await ids_in(db) == []


@in_loop
async def test_a_savepoint_takes_back_a_part(url: str) -> None:
    async with shelves_at(url) as db:
        async with db.begin() as session:
            session.add(Shelf(id=1))
            with pytest.raises(IntegrityError):
                async with session.begin_nested():
                    session.add(Item(id=1, shelf_id=77))
            session.add(Shelf(id=2))
        assert (await ids_in(db), await ids_in(db, Item)) == ([1, 2], [])


@in_loop
async def test_a_row_that_points_nowhere_is_refused(url: str) -> None:
    async with shelves_at(url) as db:
        with pytest.raises(IntegrityError):
            async with db.begin() as session:
                session.add(Item(id=1, shelf_id=77))
        assert await ids_in(db, Item) == []


@in_loop
async def test_objects_can_be_read_after_their_session(url: str) -> None:
    async with shelves_at(url) as db:
        async with db.begin() as session:
            shelf = Shelf(count=3)
            session.add(shelf)
        async with db.read() as session:
            again = (await session.scalars(select(Shelf))).one()
        assert (shelf.id, shelf.count) == (again.id, again.count) == (1, 3)


@in_loop
async def test_a_block_is_one_transaction_that_its_user_cannot_split(url: str) -> None:
    async with shelves_at(url) as db:
        async with db.begin() as session:
            session.add(Shelf(id=1))
            await session.commit()
            with pytest.raises(InvalidRequestError):
                await session.execute(text("DELETE FROM shelf"))
        assert await ids_in(db) == [1]


@in_loop
async def test_a_reader_sees_one_moment_while_others_write(url: str) -> None:
    async with shelves_at(url) as db:
        async with db.read() as session:
            await session.execute(text("SELECT count(*) FROM item"))
            async with db.begin() as other:
                other.add(Shelf(id=1))
            assert (await session.execute(text("SELECT count(*) FROM shelf"))).scalar() == 0
        assert await ids_in(db) == [1]


@in_loop
async def test_reading_waits_for_no_writer_and_sees_what_was_committed(url: str) -> None:
    async with shelves_at(url) as db:
        async with db.begin() as session:
            session.add(Shelf(id=1))
            await session.flush()
            assert await ids_in(db) == []
        assert await ids_in(db) == [1]


WRITES: list[tuple[str, Write]] = [
    ("text", lambda session: session.execute(text("DELETE FROM shelf"))),
    ("an expression", lambda session: session.execute(insert(Shelf).values(id=2))),
    ("a table", lambda session: session.execute(text("CREATE TABLE other (id INTEGER)"))),
]


@pytest.mark.parametrize("write", [pytest.param(write, id=name) for name, write in WRITES])
@in_loop
async def test_a_reader_cannot_write(url: str, write: Write) -> None:
    async with shelves_at(url) as db:
        async with db.begin() as session:
            session.add(Shelf(id=1))
        with pytest.raises(ReadOnlyError, match=r"cannot write: [A-Z]+ (.|\n)*begin\(\)"):
            async with db.read() as session:
                await write(session)
        assert await ids_in(db) == [1]
        await count_one(db)  # no connection remembers that it could only read
        assert await counted(db) == 1


@in_loop
async def test_a_reader_is_told_of_changes_that_would_be_forgotten(url: str) -> None:
    async with shelves_at(url) as db:
        async with db.begin() as session:
            session.add(Shelf(id=1))
        with pytest.raises(ReadOnlyError, match="changed `Shelf`"):
            async with db.read() as session:
                session.add(Shelf(id=2))
        with pytest.raises(ReadOnlyError, match="changed `Shelf`"):
            async with db.read() as session:
                (await session.scalars(select(Shelf))).one().count = 5
        async with db.read() as session:
            (await session.scalars(select(Shelf))).one().count = 0  # as it was
        assert await counted(db) == 0


@in_loop
async def test_beginning_twice_in_one_task_is_refused_at_once(url: str) -> None:
    async with shelves_at(url) as db:
        async with db.begin() as session:
            with pytest.raises(WriteTurnError, match=r"test_sessions\.py:\d+ in test_beginning.*"):
                async with db.begin():
                    pass
            session.add(Shelf(id=1))
        async with db.begin() as session:
            session.add(Shelf(id=2))
        assert await ids_in(db) == [1, 2]


@in_loop
async def test_tasks_that_read_and_write_lose_no_count(url: str) -> None:
    async with shelves_at(url) as db:
        async with db.begin() as session:
            session.add(Shelf(id=1))
        await asyncio.gather(*(count_one(db) for _ in range(40)))
        assert await counted(db) == 40


@in_loop
async def test_who_finds_no_free_connection_is_told_who_has_them(url: str) -> None:
    async with shelves_at(url, connections_max=2, turn_seconds_max=0.05) as db:
        async with db.read(), db.read():
            with pytest.raises(DatabaseUnreachableError, match=r"all 2 .*test_sessions\.py:\d+ in"):
                async with db.read():
                    pass
        assert await ids_in(db) == []


@in_loop
async def test_a_database_can_be_stopped_and_started_again(url: str) -> None:
    db = shelves_at(url)
    with pytest.raises(DatabaseUnreachableError, match="is not open"):
        db.begin()
    await db.stop()
    for number in (1, 2):
        await db.start()
        await db.start()
        async with db.begin() as session:
            session.add(Shelf(id=number))
        await db.stop()
    with pytest.raises(DatabaseUnreachableError, match="is not open"):
        db.read()
    async with db:
        assert await ids_in(db) == [1, 2]


def test_a_database_says_that_it_belongs_to_another_loop(url: str) -> None:
    db = shelves_at(url)

    async def use() -> None:
        with pytest.raises(DatabaseUnreachableError, match="another event loop"):
            db.read()

    with asyncio.Runner() as runner:
        runner.run(db.start())
        asyncio.run(use())
        runner.run(db.stop())


@in_loop
async def test_a_cancelled_statement_leaves_the_database_usable(url: str) -> None:
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) "
        "SELECT count(*) FROM n"
    )
    async with shelves_at(url) as db:
        async with db.begin() as session:
            session.add(Shelf(id=1))
        for way in (db.begin, db.read):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2), way() as session:
                    await session.execute(text(endless))
            await count_one(db)
        assert await counted(db) == 2
