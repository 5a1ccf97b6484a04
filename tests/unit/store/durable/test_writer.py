"""Many callers' writes share a transaction, and each stands or falls by itself."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from outgrow.store import StoreBusyError, StoreLostError
from outgrow.store.durable.sqlite import writer as module
from outgrow.store.durable.sqlite.rows import WriterConnection, next_place
from outgrow.store.durable.sqlite.writer import Writer
from tests.contracts.shelf import in_loop

TABLE = "CREATE TABLE item (id INTEGER PRIMARY KEY, size INTEGER CHECK (size < 10));"
COUNTER = "CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);"


@asynccontextmanager
async def writing(tmp_path: Path) -> AsyncIterator[Writer]:
    writer = Writer(tmp_path / "items.db", versions=[TABLE + COUNTER])
    await writer.start()
    try:
        yield writer
    finally:
        await writer.stop()


def add(db: WriterConnection, size: int) -> int:
    return db.execute("INSERT INTO item VALUES (NULL, ?)", (size,)).lastrowid or 0


def sizes(path: Path) -> list[int]:
    """What another connection sees, as after a crash."""
    db = sqlite3.connect(path)
    try:
        return [row[0] for row in db.execute("SELECT size FROM item ORDER BY id")]
    finally:
        db.close()


@in_loop
async def test_what_a_caller_was_told_is_there_can_be_seen_by_all(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:
        await writer.run(lambda db: add(db, 1))
        assert sizes(writer.path) == [1]


@in_loop
async def test_writes_that_are_asked_for_at_once_share_a_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GROUP_SECONDS_MAX", 10)
    async with writing(tmp_path) as writer:
        may_go = threading.Event()
        held = asyncio.ensure_future(writer.run(lambda _: may_go.wait(5)))
        several = [asyncio.ensure_future(writer.run(lambda db: add(db, 1))) for _ in range(100)]
        await asyncio.sleep(0)
        assert sizes(writer.path) == []
        may_go.set()
        await held
        done, _ = await asyncio.wait(several, return_when=asyncio.FIRST_COMPLETED)
        assert len(done) == 100, "all are answered after the one commit"


@in_loop
async def test_a_write_that_fails_undoes_itself_and_nobody_else(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:

        def half(db: WriterConnection) -> None:
            add(db, 5)
            raise KeyError

        answers = await asyncio.gather(
            writer.run(lambda db: add(db, 1)),
            writer.run(half),
            writer.run(lambda db: add(db, 99)),
            writer.run(lambda db: add(db, 2)),
            return_exceptions=True,
        )
        kinds = [type(answer) for answer in answers]
        assert kinds == [int, KeyError, sqlite3.IntegrityError, int]
        assert sizes(writer.path) == [1, 2]


@in_loop
async def test_a_disk_that_refuses_fails_all_of_a_group_and_the_next_goes_on(
    tmp_path: Path,
) -> None:
    async with writing(tmp_path) as writer:

        def full(db: WriterConnection) -> None:
            add(db, 1)
            db.execute("PRAGMA max_page_count = 1")  # no page more
            for _ in range(2_000):
                add(db, 2)

        with pytest.raises(StoreLostError, match="could not be written"):
            await writer.run(full)
        await writer.run(lambda db: db.execute("PRAGMA max_page_count = 100000"))
        await writer.run(lambda db: add(db, 3))
        assert sizes(writer.path) == [3]


@in_loop
async def test_places_go_on_after_a_failure_and_after_a_restart(tmp_path: Path) -> None:
    async with writing(tmp_path) as writer:

        def take_and_fail(db: WriterConnection) -> None:
            next_place(db)
            raise KeyError

        first = await writer.run(next_place)
        with pytest.raises(KeyError):
            await writer.run(take_and_fail)
        second = await writer.run(next_place)
    async with writing(tmp_path) as writer:
        third = await writer.run(next_place)
        last = 0
        for _ in range(3):
            last = await writer.run(lambda db: [next_place(db) for _ in range(10_000)][-1])
    assert first < second < third < last


@in_loop
async def test_all_that_was_asked_for_before_the_end_is_done(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "items.db", versions=[TABLE + COUNTER])
    await writer.start()
    asked = [asyncio.ensure_future(writer.run(lambda db: add(db, 1))) for _ in range(50)]
    await asyncio.sleep(0)
    await writer.stop()
    await asyncio.gather(*asked)
    assert len(sizes(writer.path)) == 50
    with pytest.raises(StoreLostError, match="closed"):
        await writer.run(lambda db: add(db, 1))


@in_loop
async def test_too_many_writes_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAITING_COUNT_MAX", 3)
    async with writing(tmp_path) as writer:
        may_go = threading.Event()
        held = asyncio.ensure_future(writer.run(lambda _: may_go.wait(5)))
        refused = 0
        asked: list[asyncio.Future[int]] = []
        for _ in range(20):
            asked.append(asyncio.ensure_future(writer.run(lambda db: add(db, 1))))
            await asyncio.sleep(0)
        refused = sum(one.done() and isinstance(one.exception(), StoreBusyError) for one in asked)
        may_go.set()
        await held
        await asyncio.gather(*asked, return_exceptions=True)
        assert refused >= 16
        assert len(sizes(writer.path)) == 20 - refused


@in_loop
async def test_the_wal_does_not_grow_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown: dict[int, int] = {}
    for rows_count in (20, 1_000_000):
        monkeypatch.setattr(module, "CHECKPOINT_ROWS_COUNT", rows_count)
        writer = Writer(tmp_path / f"{rows_count}.db", is_fast=True, versions=[TABLE + COUNTER])
        await writer.start()
        for _ in range(200):
            await writer.run(lambda db: [add(db, 1) for _ in range(20)][-1])
        grown[rows_count] = Path(f"{writer.path}-wal").stat().st_size
        await writer.stop()
        assert not Path(f"{writer.path}-wal").exists()
    assert grown[20] * 4 < grown[1_000_000]
