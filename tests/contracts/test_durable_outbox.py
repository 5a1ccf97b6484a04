"""What is written in a transaction exists if and only if it commits, on both databases."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from outgrow.store import Database, MessageSizeError, StoreLostError
from outgrow.store.durable.ids import new_id
from outgrow.store.durable.outbox import (
    Mover,
    mark_handled,
    statements_for,
    write_to_outbox,
)
from outgrow.store.durable.protocol import DurableStore
from tests.contracts.durable import HOUR_MS, bodies, claimed_ids, event, handled, job, opened
from tests.contracts.shelf import in_loop

pytestmark = pytest.mark.timeout(90)  # a server and its disk may be busy

TOPIC = "OrderPlaced"


class Taker:
    """Keeps in a store what is moved."""

    def __init__(self, store: DurableStore) -> None:
        self.append = store.log.append
        self.enqueue = store.queue.enqueue


@asynccontextmanager
async def shop_at(url: str, tmp_path: Path) -> AsyncIterator[tuple[Database, DurableStore, Mover]]:
    """A service's database with an outbox, and the store beside it; on SQLite another file."""
    if "pgbouncer" in url:
        pytest.skip("a service's own Database is not made for PgBouncer")
    is_sqlite = not url.startswith("postgresql")
    database = Database(f"sqlite:///{tmp_path / 'shop.db'}" if is_sqlite else url)
    async with opened(url) as store, database:
        mover = Mover(database, Taker(store))
        await mover.prepare()
        async with database.begin() as session:
            for table in ("outgrow_outbox", "outgrow_inbox"):
                await session.execute(text(f"DELETE FROM {table}"))
        await store.log.subscribe("mail", TOPIC)
        yield database, store, mover


@in_loop
async def test_what_a_transaction_writes_exists_when_it_has_committed(
    engine_url: str, tmp_path: Path
) -> None:
    async with shop_at(engine_url, tmp_path) as (database, store, mover):
        lease = await store.crew.register("w")
        placed, send = event("o1", body=b"1"), job(delay_ms=0, body=b"2")
        async with database.begin() as session:
            await write_to_outbox(session, [placed, send])
            assert await mover.move() == 0, "not before it commits"
        assert await mover.move() == 2
        assert await mover.move() == 0
        (got,) = await store.log.take(lease, "mail")
        assert got.event == placed
        assert await claimed_ids(store, lease) == [send.id]


async def write_and_fail(database: Database) -> None:
    async with database.begin() as session:
        await write_to_outbox(session, [event(), job()])
        raise ZeroDivisionError


async def mark_and_fail(database: Database, id: UUID) -> None:
    async with database.begin() as session:
        assert await mark_handled(session, "mail", id, 0)
        raise ZeroDivisionError


@in_loop
async def test_nothing_exists_of_a_transaction_that_failed(engine_url: str, tmp_path: Path) -> None:
    async with shop_at(engine_url, tmp_path) as (database, _store, mover):
        with pytest.raises(ZeroDivisionError):
            await write_and_fail(database)
        assert await mover.move() == 0


@in_loop
async def test_a_move_broken_off_before_the_rows_are_deleted_repeats_nothing(
    engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shop_at(engine_url, tmp_path) as (database, store, mover):
        lease = await store.crew.register("w")
        async with database.begin() as session:
            await write_to_outbox(session, [event("k"), job()])
        begin = database.begin
        with monkeypatch.context() as broken:

            def lost() -> Any:
                raise ConnectionError

            broken.setattr(database, "begin", lost)
            with pytest.raises(ConnectionError):
                await mover.move()
        assert database.begin == begin
        # What was moved is handled and gone before it is moved again.
        given = await store.log.take(lease, "mail")
        await store.log.settle(lease, "mail", handled(given))
        (claimed,) = await store.queue.claim(lease, "default")
        from tests.contracts.durable import done

        await store.queue.settle(lease, done(claimed))
        assert await mover.move() == 2
        assert await store.log.take(lease, "mail") == []
        assert await claimed_ids(store, lease) == []


@in_loop
async def test_rows_stay_while_the_store_is_away(engine_url: str, tmp_path: Path) -> None:
    async with shop_at(engine_url, tmp_path) as (database, store, mover):
        async with database.begin() as session:
            await write_to_outbox(session, [job()])
        await store.stop()
        with pytest.raises(StoreLostError):
            await mover.move()
        async with opened(engine_url) as again:
            assert await Mover(database, Taker(again)).move() == 1


@in_loop
async def test_those_who_move_at_once_move_each_row_once_and_in_order(
    engine_url: str, tmp_path: Path
) -> None:
    async with shop_at(engine_url, tmp_path) as (database, store, mover):
        lease = await store.crew.register("w")
        for number in range(20):
            async with database.begin() as session:
                await write_to_outbox(session, [event("k", body=b"%d" % number)])
            await asyncio.gather(mover.move(), mover.move(), Mover(database, Taker(store)).move())
        seen: list[bytes] = []
        while given := await store.log.take(lease, "mail"):
            seen += bodies(given)
            await store.log.settle(lease, "mail", handled(given))
        assert seen == [b"%d" % number for number in range(20)]


@in_loop
async def test_a_transaction_that_began_first_and_commits_last_stands_last(
    postgres_url: str, tmp_path: Path
) -> None:
    async with shop_at(postgres_url, tmp_path) as (database, store, mover):
        lease = await store.crew.register("w")
        has_begun, may_end = asyncio.Event(), asyncio.Event()

        async def slow() -> None:
            async with database.begin() as session:
                # It has its number of a transaction already.
                await session.execute(text("CREATE TEMPORARY TABLE t (id int) ON COMMIT DROP"))
                has_begun.set()
                await may_end.wait()
                await write_to_outbox(session, [event("k", body=b"last")])

        task = asyncio.create_task(slow())
        await has_begun.wait()
        async with database.begin() as session:
            await write_to_outbox(session, [event("k", body=b"first")])
        await mover.move()
        may_end.set()
        await task
        await mover.move()
        assert bodies(await store.log.take(lease, "mail")) == [b"first", b"last"]


@in_loop
async def test_what_the_store_cannot_hold_fails_the_transaction(
    engine_url: str, tmp_path: Path
) -> None:
    async with shop_at(engine_url, tmp_path) as (database, _, mover):
        with pytest.raises(MessageSizeError):
            async with database.begin() as session:
                await write_to_outbox(session, [job(), job(body=b"x" * 300_000)])
        assert await mover.move() == 0


@in_loop
async def test_a_message_is_marked_as_handled_once_for_each_handler(
    engine_url: str, tmp_path: Path
) -> None:
    async with shop_at(engine_url, tmp_path) as (database, _, mover):
        id = new_id()
        with pytest.raises(ZeroDivisionError):
            await mark_and_fail(database, id)
        for handler in ("mail", "stock"):
            async with database.begin() as session:
                assert await mark_handled(session, handler, id, 0), "what failed does not count"
            async with database.begin() as session:
                assert not await mark_handled(session, handler, id, 0)
        await mover.forget_handled(2 * HOUR_MS, keep_ms=HOUR_MS)
        async with database.begin() as session:
            assert await mark_handled(session, "mail", id, 0)


@in_loop
async def test_a_plain_connection_and_a_sync_session_can_write_as_well(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'durable.db'}"
    async with shop_at(url, tmp_path) as (_, store, mover):
        first, second = job(), job()
        with sqlite3.connect(tmp_path / "shop.db") as plain:
            for statement, values in statements_for("sqlite", [first]):
                plain.execute(statement, values)
        plain.close()
        engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
        with Session(engine) as session, session.begin():
            for statement, values in statements_for("sqlite", [second]):
                session.execute(text(statement), values)
        engine.dispose()
        assert await mover.move() == 2
        assert await claimed_ids(store, await store.crew.register("w")) == [first.id, second.id]
