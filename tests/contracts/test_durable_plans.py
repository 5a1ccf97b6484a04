"""What is asked for at each claim reads what it gives out, and not the whole table."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from outgrow.store.durable.ids import new_id
from outgrow.store.durable.postgres import jobs, log, queue
from outgrow.store.durable.sqlite.store import SqliteDurable
from tests.contracts.conftest import _forget
from tests.contracts.durable import event, job, opened
from tests.contracts.shelf import in_loop

pytestmark = pytest.mark.timeout(90)  # a server and its disk may be busy

JOBS_COUNT = 6_000
ID = new_id()
MARKS = (list(range(-9, 10)), [0] * 19)
STATEMENTS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "a claim": (queue._CLAIM, (ID, 1, "default", *MARKS, 5, 50)),
    "a slot that passes on": (jobs._ADMIT, (["default"], ["hot"])),
    "jobs that are done": (jobs._DONE, (ID, 1, [ID] * 50, [1] * 50, [None] * 50, 5)),
    "parked events that are due": (log._PARKED, ("mail", 5, 50, ID, 1, "OrderPlaced")),
    "partitions that have news": (log._LAGGING, ("OrderPlaced", "mail", 0)),
    "events of these partitions": (
        log._WINDOW,
        ("OrderPlaced", list(range(64)), [90] * 64, 50),
    ),
}


@pytest.fixture(scope="module")
def filled_url(durable_database: str) -> str:
    """A database with many jobs, of which most wait for one key, and many events."""
    asyncio.run(_forget(durable_database))
    asyncio.run(_fill(durable_database))
    return durable_database


async def _fill(url: str) -> None:
    import asyncpg

    async with opened(url) as store:
        await store.log.subscribe("mail", "OrderPlaced")
        for _ in range(0, JOBS_COUNT, 500):
            hot = [job(key="hot", key_slots=1) for _ in range(250)]
            await store.queue.enqueue([*hot, *(job() for _ in range(250))])
            await store.log.append([event(body=b"x" * 100) for _ in range(500)])
    connection = await asyncpg.connect(url)
    await connection.execute("ANALYZE")
    await connection.close()


@pytest.mark.parametrize("what", STATEMENTS)
def test_a_statement_of_postgresql_reads_no_large_table_whole(filled_url: str, what: str) -> None:
    plan = asyncio.run(_plan(filled_url, *STATEMENTS[what]))
    whole = [line for line in plan if "Seq Scan on job" in line or "Seq Scan on message" in line]
    assert not whole, "\n".join(plan)


async def _plan(url: str, statement: str, values: tuple[Any, ...]) -> list[str]:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch(f"EXPLAIN {statement}", *values)]
    finally:
        await connection.close()


@in_loop
async def test_a_statement_of_sqlite_reads_no_large_table_whole(tmp_path: Path) -> None:
    import sqlite3

    asked: list[str] = []
    store = SqliteDurable(tmp_path / "durable.db")
    await store.start()
    try:
        await store.log.subscribe("mail", "OrderPlaced")
        await store.queue.enqueue([job(key="hot", key_slots=1) for _ in range(3)])
        await store.log.append([event("k") for _ in range(3)])
        trace: Callable[[Any], None] = lambda db: db.set_trace_callback(asked.append)  # noqa: E731
        await store._writer.run(trace)
        lease = await store.crew.register("w")
        claimed = await store.queue.claim(lease, "default")
        from tests.contracts.durable import done, failed, handled, unhandled

        await store.queue.settle(lease, failed(claimed[0], 5))
        await store.queue.settle(lease, done(*await store.queue.claim(lease, "default")))
        first, *rest = await store.log.take(lease, "mail")
        await store.log.settle(lease, "mail", unhandled(first, 5) + handled(rest))
        await store.log.take(lease, "mail")
        await store.sweep()
        await store.crew.bury(lease)
        await store._writer.run(lambda db: db.set_trace_callback(None))
    finally:
        await store.stop()
    with closing(sqlite3.connect(tmp_path / "durable.db")) as db:
        statements = {one for one in asked if one.split()[0] in ("SELECT", "UPDATE", "DELETE")}
        assert len(statements) > 15
        for statement in statements:
            plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")]
            for table in ("job", "message", "parked", "received"):
                assert f"SCAN {table}" not in plan, statement
