"""What is particular to SQLite: the file, the turn to write, and who stands in the way."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from outgrow.errors import DatabaseUnreachableError, WriteTurnError
from outgrow.store import Database, DatabaseOptions
from outgrow.store.locks import writer_of
from tests.unit.store.loops import in_loop, until

LOCKED = """
import sqlite3, sys
file = sqlite3.connect(sys.argv[1], isolation_level=None)
file.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'a.db'}"


@pytest.fixture
def rival(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, which writes to the file until its input ends."""
    with sqlite3.connect(tmp_path / "a.db") as file:
        file.execute("PRAGMA journal_mode=WAL")
    file.close()
    command = [sys.executable, "-c", LOCKED, str(tmp_path / "a.db")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


@in_loop
async def test_a_file_is_kept_as_safe_as_sqlite_can(url: str) -> None:
    async with Database(url) as db:
        for way in (db.begin, db.read):
            async with way() as session:
                asked = ("journal_mode", "synchronous", "foreign_keys")
                found = [await session.scalar(text(f"PRAGMA {name}")) for name in asked]
                assert found == ["wal", 2, 1]
        async with db.read() as session:
            assert await session.scalar(text("PRAGMA busy_timeout")) == 5000


@in_loop
async def test_who_waits_too_long_is_told_who_writes(url: str) -> None:
    async with Database(url, turn_seconds_max=0.05) as db, db.begin():
        here = r"tests/unit/store/test_sqlite\.py:\d+ in "

        async def late() -> None:
            async with db.begin():
                pass

        with pytest.raises(WriteTurnError, match=rf"{here}.*late got no turn .*: {here}.*has had"):
            await asyncio.create_task(late())


@in_loop
async def test_who_writes_for_long_is_named_in_the_log(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Database(url, held_seconds_warn=0.01) as db:
        async with db.begin():
            await until(lambda: "has been writing to sqlite:///" in caplog.text)
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "test_sqlite.py" in record.getMessage()


@in_loop
async def test_two_databases_on_one_file_share_its_turn(url: str) -> None:
    async with Database(url) as one, Database(url) as other, one.begin():
        with pytest.raises(WriteTurnError, match="would wait for itself"):
            async with other.begin():
                pass


@in_loop
async def test_tasks_write_in_the_order_in_which_they_asked(url: str) -> None:
    order: list[int] = []

    async def write(number: int) -> None:
        async with db.begin() as session:
            await session.execute(text("SELECT 1"))
            order.append(number)

    async with Database(url) as db:
        await asyncio.gather(*(write(number) for number in range(20)))
    assert order == list(range(20))


@in_loop
async def test_another_process_that_writes_is_waited_for(
    url: str, rival: subprocess.Popen[str]
) -> None:
    assert rival.stdin is not None
    async with Database(url) as db:
        done: list[bool] = []

        async def write() -> None:
            async with db.begin():
                done.append(True)

        task = asyncio.create_task(write())
        async with db.read() as session:  # readers need not wait
            await session.execute(text("SELECT 1"))
        assert not done
        rival.stdin.close()
        await task


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/locks")
@in_loop
async def test_another_process_that_writes_for_too_long_is_named(
    url: str, tmp_path: Path, rival: subprocess.Popen[str]
) -> None:
    assert writer_of(str(tmp_path / "a.db")) == rival.pid
    async with Database(url, turn_seconds_max=0.05) as db:
        with pytest.raises(WriteTurnError, match=f"process {rival.pid} holds"):
            async with db.begin():
                pass


def test_a_file_that_nobody_writes_to_has_no_writer(tmp_path: Path) -> None:
    assert writer_of(str(tmp_path / "a.db")) is None


@in_loop
async def test_a_database_without_a_path_lasts_from_start_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    db = Database("sqlite://")
    for _ in range(2):
        async with db:
            async with db.begin() as session:
                await session.execute(text("CREATE TABLE a (id INTEGER)"))
                async with db.read() as other:  # as with a file, it waits for no writer
                    query = text("SELECT count(*) FROM sqlite_schema")
                    assert await other.scalar(query) == 0
            assert len(list(tmp_path.iterdir())) == 1
        assert list(tmp_path.iterdir()) == []


@in_loop
async def test_the_default_folder_is_made_and_never_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with Database.of_service("orders", DatabaseOptions(), {}):
        assert (tmp_path / ".outgrow" / "orders.db").exists()
    assert (tmp_path / ".outgrow" / ".gitignore").read_text() == "*\n"
    assert (tmp_path / ".outgrow").stat().st_mode & 0o777 == 0o700


@in_loop
async def test_a_file_that_cannot_be_opened_is_named_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("no database" * 100)
    variable = "ORDERS_DATABASE_URL"
    environments = [
        {variable: f"sqlite:///{tmp_path}/text.db"},
        {variable: f"sqlite:///{tmp_path}/no/such/folder.db"},
        {variable: f"sqlite:///{tmp_path}"},
    ]
    for environment in environments:
        db = Database.of_service("orders", DatabaseOptions(), environment)
        with pytest.raises(DatabaseUnreachableError, match=str(tmp_path)) as caught:
            await db.start()
        assert f"correct {variable}" in caught.value.hint


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everything")
@in_loop
async def test_a_file_that_may_not_be_written_is_named(url: str, tmp_path: Path) -> None:
    async with Database(url):
        pass
    (tmp_path / "a.db").chmod(0o400)
    with pytest.raises(DatabaseUnreachableError, match="may not be written"):
        await Database(url).start()
