"""A move from SQLite to PostgreSQL: nothing is lost or repeated, whenever it is broken off."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from shutil import copyfile
from typing import Any
from urllib.parse import urlsplit

import pytest

from outgrow.host import is_gone
from outgrow.store import (
    DurableStore,
    StoreLostError,
    StoreMovedError,
    StoreMoveError,
    check_not_moved,
    durable_at,
    give_up_move,
    look_at_move,
    move_store,
)
from outgrow.store.durable.moving import source as source_file
from outgrow.store.durable.moving.source import Source
from outgrow.store.durable.moving.tables import TABLES
from outgrow.store.durable.moving.target import Target
from tests.contracts.conftest import BOUNCER_PORT, ENGINES, _forget
from tests.contracts.durable import event, handled, job
from tests.contracts.moving import fill, fill_much, gone, seen, untold, worked_off
from tests.contracts.shelf import in_loop
from tests.unit.cli.typing_verbs import Outgrow, outgrow_in

pytestmark = pytest.mark.timeout(60)

# What only a lease, or the engine itself, needs.
LEFT_OUT = {
    *{("worker", "id"), ("worker", "epoch"), ("worker", "name"), ("worker", "beat")},
    *{("job", "worker"), ("job", "epoch"), ("job", "queue_slot"), ("job", "is_cancelled")},
    *{("cursor", "worker"), ("cursor", "epoch"), ("parked", "worker"), ("parked", "epoch")},
    *{("counter", "name"), ("counter", "value"), ("message", "number"), ("version", "number")},
}


@pytest.fixture
def target(durable_database: str) -> str:
    """A database without events and jobs."""
    asyncio.run(_forget(durable_database))
    return durable_database


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A file with work of every kind."""
    url = f"sqlite:///{tmp_path / 'durable.db'}"
    asyncio.run(_filled(url))
    return url


@pytest.fixture
def outgrow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Outgrow:
    return outgrow_in(tmp_path, monkeypatch, capsys)


async def _filled(url: str) -> None:
    async with working_at(url) as store:
        await fill(store)


@asynccontextmanager
async def working_at(url: str) -> AsyncIterator[DurableStore]:
    """The store at a URL, open for as long as the block."""
    store = durable_at(url)
    await store.start()
    try:
        yield store
    finally:
        await store.stop()


async def moved(source: str, target: str) -> dict[str, int]:
    return (await move_store(source, target, is_gone=gone, tell=untold)).counts


def copied(url: str) -> str:
    """A copy of a file that nobody has open."""
    path = Path(url.removeprefix("sqlite:///"))
    copy = path.with_name("copy.db")
    copyfile(path, copy)
    return f"sqlite:///{copy}"


@in_loop
async def test_what_is_kept_is_the_same_after_a_move(source: str, target: str) -> None:
    async with working_at(source) as store:
        before = await seen(store)
    assert all(before[f"{state} jobs"] for state in ("ready", "held", "later", "dead"))
    await moved(source, target)
    async with working_at(target) as store:
        after = await seen(store)
    for what, found in before.items():
        assert after[what] == found, what


@pytest.mark.skipif("pgbouncer" not in ENGINES, reason="PgBouncer is not installed")
def test_a_move_goes_through_pgbouncer(source: str, target: str, pgbouncer_folder: Path) -> None:
    place = f"host={pgbouncer_folder}&port={BOUNCER_PORT}&pgbouncer=true"
    pooled = f"postgresql://postgres@{urlsplit(target).path}?{place}"
    assert asyncio.run(moved(f"{source}?fast=true", pooled))["jobs that wait"]


@in_loop
async def test_work_goes_on_as_it_would_have_where_it_was(source: str, target: str) -> None:
    copy = copied(source)
    await moved(source, target)
    async with working_at(copy) as stayed, working_at(target) as went:
        assert await worked_off(went) == await worked_off(stayed)


@in_loop
async def test_what_was_received_before_a_move_is_refused_after_it(
    source: str, target: str
) -> None:
    first, sent, only = job(), event("key 1"), job(unique="9", unique_for_ms=3_600_000)
    async with working_at(source) as store:
        await store.queue.enqueue([first, only])
        (place,) = await store.log.append([sent])
        await store.queue.cancel(only.id)
    await moved(source, target)
    async with working_at(target) as store:
        again, beside = await store.queue.enqueue([first, job(unique="9")])
        assert (again.is_new, beside.is_new, beside.id) == (False, False, only.id)
        assert not await store.queue.tick("nightly", 7_000, [job()])
        assert place is not None
        (twice, later) = await store.log.append([sent, event("key 1")])
        assert twice is None
        assert later is not None
        assert later.offset == place.offset + 1, "offsets go on"


@in_loop
async def test_numbers_go_on_after_a_move(source: str, target: str) -> None:
    async with working_at(source) as store:
        before = await store.crew.register("w")
        await store.crew.leave(before)
        last = (await store.dead.letters())[0].number
    await moved(source, target)
    async with working_at(target) as store:
        lease = await store.crew.register("w")
        assert lease.epoch > before.epoch
        await store.queue.enqueue([job("doomed", queue="new", attempts_max=1)])
        (one,) = await store.queue.claim(lease, "new")
        await store.crew.bury(lease)
        letter = (await store.dead.letters())[0]
        assert (letter.id, letter.number) == (one.id, last + 1)
        assert await store.dead.replay() == len(await seen_letters(source)) + 1


async def seen_letters(url: str) -> list[Any]:
    path = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT number FROM dead").fetchall()


@in_loop
async def test_every_column_of_every_table_moves(source: str, target: str) -> None:
    import asyncpg

    await moved(source, target)
    taken = {(table.name, name) for table in TABLES for name in table.columns}
    taken -= {("job", "has_steps")}  # SQLite asks for the steps themselves
    with closing(sqlite3.connect(source.removeprefix("sqlite:///"))) as db:
        asked = (
            "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c "
            "WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' AND m.name <> 'moving'"
        )
        assert taken == set(db.execute(asked).fetchall()) - LEFT_OUT
    connection = await asyncpg.connect(target)
    try:
        rows = await connection.fetch(
            "SELECT table_name, column_name FROM information_schema.columns WHERE "
            "table_schema = 'outgrow' AND table_name !~ '^job_done_' AND table_name <> 'moving'"
        )
        placed = {(table.name, name) for table in TABLES for name in table.postgres_columns}
        assert placed == {(row[0], row[1]) for row in rows} - LEFT_OUT
    finally:
        await connection.close()


class BrokenOffError(Exception):
    """What a test breaks a move off with."""


def break_after(monkeypatch: pytest.MonkeyPatch, steps_count: int) -> list[str]:
    """Have a move end right after so many steps; returns the steps, as they are done."""
    done: list[str] = []

    def counting(owner: type, name: str) -> None:
        step = getattr(owner, name)

        async def counted(*args: Any, **kwargs: Any) -> Any:
            answer = await step(*args, **kwargs)
            done.append(name)
            if len(done) == steps_count:
                raise BrokenOffError
            return answer

        monkeypatch.setattr(owner, name, counted)

    counting(Source, "set_mark")
    for name in ("begin", "add", "count_on", "end"):
        counting(Target, name)
    return done


@in_loop
async def test_a_move_goes_on_after_whichever_step_it_was_broken_off(
    source: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_file, "PAGE_COUNT", 200)
    async with working_at(source) as store:
        before = await seen(store)
    steps: list[str] = []
    for steps_count in range(1, 100):
        with monkeypatch.context() as patched:
            copy, steps = copied(source), break_after(patched, steps_count)
            await _forget(target)
            try:
                await moved(copy, target)
            except BrokenOffError:
                pass
            else:
                break  # it has no more steps than that
        await never_both(copy, target)
        await moved(copy, target)
        async with working_at(target) as store:
            assert await seen(store) == before, steps
    assert steps[:2] == ["begin", "set_mark"]
    assert steps[-3:] == ["count_on", "set_mark", "end"]
    assert steps.count("add") > len(TABLES) // 2


async def never_both(source: str, target: str) -> None:
    """Of the two, at most one can be opened."""
    opened: list[str] = []
    for url in (source, target):
        try:
            async with working_at(url):
                opened.append(url)
        except StoreMovedError:
            continue
    assert len(opened) <= 1


@pytest.mark.slow
def test_a_move_that_is_killed_again_and_again_brings_all(tmp_path: Path, target: str) -> None:
    source, drawn = f"sqlite:///{tmp_path / 'durable.db'}", random.Random(3)

    async def begin() -> dict[str, Any]:
        async with working_at(source) as store:
            await fill_much(store, 20_000, 10_000)
            return await seen(store)

    async def given_out(url: str) -> tuple[dict[str, Any], dict[str, list[Any]]]:
        async with working_at(url) as store:
            return await seen(store), await worked_off_much(store)

    before = asyncio.run(begin())
    copy, killed_count = copied(source), 0
    command = [sys.executable, "-m", "tests.contracts.moving", source, target]
    while True:
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            for _ in range(drawn.randint(1, 6)):
                process.stdout.readline()
            if process.poll() is None and killed_count < 3:
                process.kill()
                killed_count += 1
                continue
            process.stdout.read()
            assert process.wait() == 0
            break
    assert killed_count == 3, "it was over before it could be killed"
    after, went = asyncio.run(given_out(target))
    _, stayed = asyncio.run(given_out(copy))
    assert after == before
    assert went == stayed


async def worked_off_much(store: DurableStore) -> dict[str, list[Any]]:
    """The ids of jobs in the order in which they start, and events by their keys."""
    lease = await store.crew.register("last")
    jobs, events = list[Any](), list[Any]()
    while claimed := await store.queue.claim(lease, "default", limit=500):
        jobs += [one.id for one in claimed]
    while given := await store.log.take(lease, "mail", limit=500):
        events += [(one.event.key, one.position.partition, one.position.offset) for one in given]
        await store.log.settle(lease, "mail", handled(given))
    return {"jobs": jobs, "events": sorted(events)}


# Who is refused.


@in_loop
async def test_a_file_that_somebody_works_with_does_not_move(
    source: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outgrow.store.durable.sqlite.writer.OWNER_SECONDS_MAX", 0.05)
    async with working_at(source):
        with pytest.raises(StoreMoveError, match="another process works with"):
            await moved(source, target)


@in_loop
async def test_a_file_in_which_a_lease_may_be_alive_does_not_move(source: str, target: str) -> None:
    async with working_at(source) as store:
        await store.crew.register("web/1 @elsewhere 7 8")
    with pytest.raises(StoreMoveError, match="web/1 @elsewhere"):
        await move_store(source, target, is_gone=is_gone, tell=untold)
    async with working_at(source) as store:
        assert await store.crew.sightings(), "it can be worked with as before"


@in_loop
async def test_what_a_dead_worker_held_moves_as_tried(source: str, target: str) -> None:
    async with working_at(source) as store:
        lease = await store.crew.register("dead")
        held = await store.queue.claim(lease, "default")
        assert held
    await moved(source, target)
    async with working_at(target) as store:
        views = [await store.queue.find(one.id) for one in held]
        assert [view and view.attempt for view in views] == [1] * len(held)


@in_loop
async def test_a_database_with_events_and_jobs_is_not_moved_to(source: str, target: str) -> None:
    async with working_at(target) as store:
        await store.declare("mail.send", "abc", b"")
    with pytest.raises(StoreMoveError, match="has shapes of arguments and events already"):
        await moved(source, target)
    told = await look_at_move(source, target)
    assert "already" in told.held_up_by


@pytest.mark.parametrize(
    ("from_url", "to_url", "why"),
    [
        ("postgresql://a@b/c", "postgresql://a@b/d", "no file of SQLite"),
        ("sqlite:///{}/none.db", "postgresql://a@b/d", "there is no file"),
        ("sqlite:///{}/durable.db", "sqlite:///other.db", "moves go to PostgreSQL"),
        ("sqlite:///{}/durable.db?fast=true", "sqlite:///o.db?fast=true", "moves go to PostgreSQL"),
    ],
    ids=["from PostgreSQL", "from nowhere", "to a file", "with options"],
)
@in_loop
async def test_only_a_file_moves_and_only_to_postgresql(
    source: str, tmp_path: Path, from_url: str, to_url: str, why: str
) -> None:
    assert source
    with pytest.raises(StoreMoveError, match=why):
        await moved(from_url.format(tmp_path), to_url)


@in_loop
async def test_a_move_that_was_begun_is_finished_or_given_up(
    source: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreMoveError, match="no move of"):
        await give_up_move(source)
    with monkeypatch.context() as patched:
        break_after(patched, 4)
        with pytest.raises(BrokenOffError):
            await moved(source, target)
    other = copied(source)
    with pytest.raises(StoreMovedError, match="are on their way to"):
        await durable_at(source).start()
    with pytest.raises(StoreMovedError, match="not all events and jobs"):
        await durable_at(target).start()
    with closing(sqlite3.connect(other.removeprefix("sqlite:///"))) as db:
        db.execute("DELETE FROM moving")
        db.commit()
    with pytest.raises(StoreMoveError, match="is being filled"):
        await moved(other, target)
    await give_up_move(source)
    async with working_at(source) as store:
        await store.queue.enqueue([job("since")])
        before = await seen(store)
    await moved(source, target)
    async with working_at(target) as store:
        assert await seen(store) == before, "it began anew"
    with pytest.raises(StoreMovedError, match="have moved to"):
        await give_up_move(source)


@in_loop
async def test_a_move_that_is_over_is_not_made_again(
    source: str, target: str, postgres_url: str
) -> None:
    counts = await moved(source, target)
    assert await moved(source, target) == counts
    with pytest.raises(StoreMovedError, match="have moved to"):
        await moved(source, postgres_url)


@in_loop
async def test_a_server_that_is_away_is_named_with_what_to_do(source: str) -> None:
    with pytest.raises(StoreLostError, match="same `outgrow store move` again"):
        await moved(source, "postgresql://nobody@127.0.0.1:1/none")


# What is typed.


def test_a_move_is_counted_before_and_told_after(
    outgrow: Outgrow, source: str, target: str
) -> None:
    dry = outgrow("store", "move", source, target, "--dry-run")
    assert dry.code == 0, dry.err
    assert "jobs that wait" in dry.out
    assert "which is empty" in dry.err
    done = outgrow("store", "move", source, target, "--json")
    assert done.code == 0, done.err
    assert '"jobs that wait": ' in done.out
    assert outgrow("store", "move", source, target, "--dry-run").code == 1


def test_an_app_is_not_started_on_a_file_that_has_moved(
    outgrow: Outgrow, source: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTGROW_DURABLE_URL", f"{source}?fast=true")
    assert outgrow("store", "move", source, target).code == 0
    for option, *words in (("", "run", "nothing:app"), ("?fast=true", "run", "a:b"), ("", "jobs")):
        monkeypatch.setenv("OUTGROW_DURABLE_URL", f"{source}{option}")
        refused = outgrow(*words)
        assert refused.code == 1
        assert "have moved to postgresql://" in refused.err
        assert "OG718" in refused.err


def test_a_database_that_others_understand_otherwise_is_not_looked_at() -> None:
    check_not_moved("postgres://joe:pass/word@db/shop")


def test_a_move_that_was_not_begun_cannot_be_given_up(
    outgrow: Outgrow, source: str, target: str
) -> None:
    refused = outgrow("store", "move", source, target, "--give-up")
    assert (refused.code, "no move of" in refused.err) == (1, True)
    assert outgrow("store", "forget", source, target).code == 2
