"""Statements of the libraries that apps use are seen, each once, with no changed line."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiosqlite
import asyncpg
import psycopg
import pytest
import sqlalchemy
from sqlalchemy import Column, Integer, MetaData, NullPool, String, Table, event, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from outgrow.telemetry import watch_outside
from tests.adopt.seeing import CALLER, seeing
from tests.adopt.serving import ADOPT, ROOT, served
from tests.contracts.conftest import postgres_server, postgres_url  # noqa: F401

FIND = "SELECT orders.id, orders.sku FROM orders WHERE orders.id = ?"
FIND_TYPED = "SELECT orders.id, orders.sku FROM orders WHERE orders.id = ?::INTEGER"

tables = MetaData()
orders = Table("orders", tables, Column("id", Integer, primary_key=True), Column("sku", String))


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    watch_outside(lambda: CALLER)
    monkeypatch.setattr("outgrow.telemetry.outside.noting._name_caller", [lambda: CALLER])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
def engine(file: Path) -> Iterator[sqlalchemy.Engine]:
    made = sqlalchemy.create_engine(f"sqlite:///{file}")
    tables.create_all(made)
    yield made
    made.dispose()


def test_statements_of_sqlalchemy_are_counted_and_noted(engine: sqlalchemy.Engine) -> None:
    with seeing() as seen, engine.begin() as connection:
        connection.execute(orders.insert(), [{"sku": "tea"}, {"sku": "secret"}])
        for number in (1, 2, 3):
            connection.execute(select(orders).where(orders.c.id == number))
    insert, find = sorted(seen.statements, key=lambda each: each.text)
    assert (insert.text, insert.rows) == ("INSERT INTO orders(sku) VALUES (?)", 2)
    assert (find.text, find.calls, find.per_parent) == (FIND, 3, {1: 1})
    assert (find.database, find.caller, find.reads) == ("sqlite:shop.db", CALLER, ["orders"])
    assert insert.writes == ["orders"]
    assert [span[2] for span in seen.spans] == ["INSERT orders", *3 * ["SELECT orders"]]
    assert "secret" not in str(seen.spans)


def test_a_statement_of_sqlalchemy_that_fails_is_an_error(engine: sqlalchemy.Engine) -> None:
    with seeing() as seen:
        for _ in range(2):
            with engine.connect() as connection:
                twice = [{"id": 1}, {"id": 1}]
                with pytest.raises(IntegrityError):
                    connection.execute(orders.insert(), twice)
        with engine.connect() as connection, pytest.raises(OperationalError):
            connection.execute(text("SELECT nothing FROM nowhere"))
    assert sorted((each.calls, each.errors) for each in seen.statements) == [(1, 1), (2, 2)]
    assert seen.spans[0][6] == "IntegrityError"


def test_listeners_of_the_app_still_execute_in_the_place_of_sqlalchemy(
    engine: sqlalchemy.Engine,
) -> None:
    heard: list[str] = []

    @event.listens_for(engine, "do_execute")
    def execute(cursor: Any, statement: str, parameters: Any, _context: Any) -> bool:
        heard.append(statement)
        cursor.execute("SELECT 7", ())
        return True

    with seeing() as seen, engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 7
    assert heard == ["SELECT 1"]
    assert sorted(seen.texts) == [("SELECT ?", 1, 0)]


async def _use(url: str, **options: Any) -> None:
    engine = create_async_engine(url, **options)
    async with engine.begin() as connection:
        await connection.execute(orders.insert().values(id=1, sku="tea"))
        await connection.execute(select(orders).where(orders.c.id == 1))
        await connection.execute(select(orders).where(orders.c.id.in_([1, 2, 3])))
        await connection.execute(select(orders).where(orders.c.id.in_([1, 2])))
    await engine.dispose()


def test_statements_over_aiosqlite_are_counted_once(file: Path, engine: sqlalchemy.Engine) -> None:
    with seeing() as seen:
        asyncio.run(_use(f"sqlite+aiosqlite:///{file}"))
    assert sorted(seen.texts) == [
        ("INSERT INTO orders(id, sku) VALUES (?)", 1, 1),
        (FIND, 1, 1),
        (FIND.replace("= ?", "IN (?)"), 2, 2),
    ]
    assert {each.database for each in seen.statements} == {"sqlite:shop.db"}


def test_statements_over_asyncpg_are_counted_once(postgres_url: str) -> None:  # noqa: F811
    url = postgres_url.replace("postgresql:", "postgresql+asyncpg:")

    async def prepare() -> None:
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.run_sync(tables.create_all)
        await engine.dispose()

    asyncio.run(prepare())
    with seeing() as seen:
        asyncio.run(_use(url))
    own = [each for each in seen.texts if "orders" in each[0]]
    assert own == [
        ("INSERT INTO orders(id, sku) VALUES (?::INTEGER, ?::VARCHAR)", 1, 1),
        (FIND_TYPED, 1, 1),
        (FIND_TYPED.replace("= ?::INTEGER", "IN (?::INTEGER)"), 2, 2),
    ]
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    (database,) = {each.database for each in seen.statements}
    assert database.startswith("postgresql://localhost")
    assert database.endswith(f"/{name}")
    assert "postgres:" not in database


def test_statements_of_asyncpg_itself_are_counted(postgres_url: str) -> None:  # noqa: F811
    async def use() -> None:
        async with asyncpg.create_pool(postgres_url, min_size=1, max_size=2) as pool:
            async with pool.acquire() as connection:
                await connection.execute("CREATE TABLE t (a int primary key)")
                await connection.execute("INSERT INTO t VALUES ($1)", 1)
                await connection.executemany("INSERT INTO t VALUES ($1)", [(2,), (3,)])
                assert await connection.fetchval("SELECT array_agg(a) FROM t") == [1, 2, 3]
                prepared = await connection.prepare("SELECT a FROM t WHERE a > $1")
                assert len(await prepared.fetch(1)) == 2
                with pytest.raises(asyncpg.UniqueViolationError):
                    await connection.execute("INSERT INTO t VALUES (1)")
            assert len(await pool.fetch("SELECT a FROM t")) == 3

    with seeing() as seen:
        asyncio.run(use())
    counted = {each.text: each for each in seen.statements if "advisory" not in each.text}
    assert {name: (one.calls, one.rows, one.errors) for name, one in counted.items()} == {
        "CREATE TABLE t(a int primary KEY)": (1, 0, 0),
        "INSERT INTO t VALUES (?)": (3, 1, 1),
        "SELECT array_agg(a) FROM t": (1, 1, 0),
        "SELECT a FROM t WHERE a > ?": (1, 2, 0),
        "SELECT a FROM t": (1, 3, 0),
    }
    errors = [span[6] for span in seen.spans if span[6]]
    assert errors == ["UniqueViolationError"]


def test_a_statement_that_is_cancelled_is_counted(postgres_url: str) -> None:  # noqa: F811
    async def use() -> None:
        engine = create_async_engine(postgres_url.replace("postgresql:", "postgresql+asyncpg:"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), engine.connect() as connection:
                await connection.execute(text("SELECT pg_sleep(15)"))
        await engine.dispose()

    with seeing() as seen:
        asyncio.run(use())
    (slept,) = [each for each in seen.statements if "pg_sleep" in each.text]
    assert (slept.calls, slept.errors) == (1, 1)


def test_statements_of_psycopg_itself_are_counted(postgres_url: str) -> None:  # noqa: F811
    async def use() -> None:
        async with await psycopg.AsyncConnection.connect(postgres_url) as connection:
            await connection.execute("SELECT a FROM t WHERE a = %s", (2,))

    with seeing() as seen:
        with psycopg.connect(postgres_url) as connection:
            connection.execute("CREATE TABLE t (a int)")
            connection.execute(b"INSERT INTO t VALUES (1), (2)")
        asyncio.run(use())
    assert sorted(seen.texts) == [
        ("CREATE TABLE t(a int)", 1, 0),
        ("INSERT INTO t VALUES (?)", 1, 2),
        ("SELECT a FROM t WHERE a = ?", 1, 1),
    ]


def test_statements_of_sqlite_itself_are_counted(file: Path) -> None:
    with seeing() as seen:
        connection = sqlite3.connect(file)
        assert isinstance(connection, sqlite3.Connection)
        connection.execute("CREATE TABLE t (a)")
        connection.executemany("INSERT INTO t VALUES (?)", [(1,), (2,)])
        assert connection.cursor().execute("SELECT a FROM t").fetchall() == [(1,), (2,)]
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("SELECT b FROM t")
        connection.close()
    assert sorted(seen.texts) == [
        ("CREATE TABLE t(a)", 1, 0),
        ("INSERT INTO t VALUES (?)", 1, 2),
        ("SELECT a FROM t", 1, 0),
        ("SELECT b FROM t", 1, 0),
    ]
    assert [each.database for each in seen.statements] == 4 * ["sqlite:shop.db"]


def test_statements_of_aiosqlite_itself_belong_to_who_asked(file: Path) -> None:
    async def use() -> None:
        async with aiosqlite.connect(file) as connection:
            await connection.execute("CREATE TABLE t (a)")
            async with connection.execute("SELECT a FROM t") as cursor:
                assert await cursor.fetchall() == []

    with seeing() as seen:
        asyncio.run(use())
    assert [span[2] for span in seen.spans] == ["CREATE t", "SELECT t"]


DJANGO = """
import json, os, sys, warnings
os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
from outgrow.telemetry import statements, watch_outside
watch_outside(lambda: "GET /polls/")
import django
django.setup()
from django.conf import settings
from django.db import connections
from polls.models import Question
from django.utils import timezone
connections.databases["other"] = {**connections.databases["default"], "NAME": sys.argv[1]}
for name in ("default", "other"):
    list(Question.objects.using(name).filter(id=1))
    Question.objects.using(name).create(question_text="hidden", pub_date=timezone.now())
try:
    connections["default"].cursor().execute("SELECT nothing FROM nowhere")
except Exception:
    pass
print(json.dumps([
    [each.database, each.text.partition(" ")[0], each.reads + each.writes, each.calls, each.errors]
    for each in statements.all()
]))
"""


def test_statements_of_django_are_counted_for_each_of_its_databases(
    polls_database: Path, tmp_path: Path
) -> None:
    for name in ("polls.db", "others.db"):
        shutil.copy(polls_database, tmp_path / name)
    run = subprocess.run(
        [sys.executable, "-c", DJANGO, str(tmp_path / "others.db")],
        cwd=ADOPT / "django_app",
        env={
            "PATH": "",
            "PYTHONPATH": f"{ROOT / 'src'}",
            "POLLS_DATABASE": str(tmp_path / "polls.db"),
        },
        capture_output=True,
        check=False,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert "hidden" not in run.stdout
    found = [each for each in json.loads(run.stdout) if each[1] in ("SELECT", "INSERT")]
    assert found == [
        ["sqlite:polls.db", "SELECT", ["polls_question"], 1, 0],
        ["sqlite:polls.db", "INSERT", ["polls_question"], 1, 0],
        ["sqlite:others.db", "SELECT", ["polls_question"], 1, 0],
        ["sqlite:others.db", "INSERT", ["polls_question"], 1, 0],
        ["sqlite:polls.db", "SELECT", ["nowhere"], 1, 1],
    ]


SHOP = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
from sqlalchemy import create_engine, text
from outgrow.telemetry import start_recording, statements

engine = create_engine("sqlite:///shop.db")

@asynccontextmanager
async def recorded(app):
    start_recording("shop", "web/1")  # as whoever fetches what is recorded does
    yield

app = FastAPI(lifespan=recorded)

@app.get("/threads/{number}")
def in_a_thread(number: int) -> str:
    with engine.connect() as connection:
        for each in range(number):
            connection.execute(text("SELECT :number"), {"number": each})
    return "ok"

@app.get("/loop/{number}")
async def on_the_loop(number: int) -> str:
    return in_a_thread(number)

@app.get("/seen")
def seen() -> list[list]:
    return [[each.caller, each.calls, each.per_parent] for each in statements.all()]
"""


def test_statements_belong_to_the_route_that_ran_them(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    with (
        served("shop:app", server="outgrow", cwd=tmp_path, folder=tmp_path / "run") as running,
        running.client() as client,
    ):
        for path in ("/threads/1", "/threads/5", "/loop/7", "/loop/7"):
            assert client.get(path).status_code == 200
        found = client.get("/seen").json()
    assert sorted(found) == [
        ["GET /loop/{number}", 14, {"2": 2}],
        ["GET /threads/{number}", 6, {"0": 1, "2": 1}],
    ]
