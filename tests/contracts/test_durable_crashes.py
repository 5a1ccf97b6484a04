"""Nothing is lost and nothing finished is repeated, whoever is killed and when."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from outgrow.store import StoreLostError, durable_at
from outgrow.store.durable.ids import wall_clock
from outgrow.store.durable.protocol import DurableStore
from outgrow.store.durable.records import Lease
from tests.contracts.durable import done, handled, job
from tests.contracts.shelf import in_loop

pytestmark = pytest.mark.timeout(90)  # a server and its disk may be busy

WAIT_SECONDS = 40
FREEZES = 4 if os.environ.get("OUTGROW_FAULTS") == "long" else 2


@contextmanager
def working(
    url: str, ledger: Path, name: str, env: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that works; killed at the latest at the end."""
    command = [sys.executable, "-m", "tests.contracts.working", url, str(ledger), name]
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=env) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_of(ledger: Path) -> list[list[str]]:
    return [line.split() for line in ledger.read_text().splitlines()] if ledger.exists() else []


def wait_for_lines(ledger: Path, process: subprocess.Popen[bytes], count: int) -> None:
    """Until the ledger has so many lines."""
    wait_until(lambda: len(lines_of(ledger)) >= count, ledger, process)


def wait_until(is_so: Callable[[], bool], ledger: Path, process: subprocess.Popen[bytes]) -> None:
    """Until the process has brought this about."""
    end = time.monotonic() + WAIT_SECONDS
    while not is_so():
        if process.poll() is not None:
            stderr = process.stderr
            raise AssertionError(stderr.read().decode() if stderr else "it ended")
        assert time.monotonic() < end, f"{len(lines_of(ledger))} lines were written"
        os.sched_yield()


def wait_for_leases(ledger: Path, process: subprocess.Popen[bytes], count: int) -> None:
    """Until so many workers have begun."""
    while sum(words[0] == "lease" for words in lines_of(ledger)) < count:
        wait_for_lines(ledger, process, len(lines_of(ledger)) + 1)


async def drain(url: str, ledger: Path) -> tuple[list[UUID], list[tuple[str, int]]]:
    """Do all that still waits; the jobs done and the events handled."""
    store = durable_at(url)
    await store.start()
    try:
        for one in await store.crew.sightings():
            await store.crew.bury(one.lease)
        lease = await store.crew.register("drain")
        jobs: list[UUID] = []
        events: list[tuple[str, int]] = []
        while got := await store.queue.claim(lease, "default", limit=200):
            assert all(await store.queue.settle(lease, done(*got)))
            jobs += [one.id for one in got]
        while given := await store.log.take(lease, "count", limit=200):
            events += [(one.event.key or "", int(one.event.body)) for one in given]
            assert all(await store.log.settle(lease, "count", handled(given)))
        assert await store.dead.letters() == []
        (view,) = await store.log.subscriptions()
        assert (view.unread_count, view.parked_count) == (0, 0), "nothing is stuck"
        return jobs, events
    finally:
        await store.stop()


def check(ledger: Path, drained: tuple[list[UUID], list[tuple[str, int]]]) -> None:
    """Compare what the ledger says with what the store had left."""
    jobs, events = drained
    said = defaultdict(list)
    for what, *words in lines_of(ledger):
        said[what].append(words)
    ended = [UUID(words[0]) for words in said["done"]] + jobs
    assert max(Counter(ended).values()) == 1, "finished twice"
    kept = {UUID(words[0]) for words in said["kept"]}
    assert len(kept) > 20, "too little was done to say anything"
    # What was killed between the store's answer and the ledger's line is in history alone.
    unsaid = {UUID(words[0]) for words in said["ran"]}
    assert kept <= set(ended) | unsaid, "lost"
    published = {(key, int(number)) for key, number in said["published"]}
    order = [(key, int(number)) for key, number, _ in said["handled"]] + events
    assert published <= set(order), "lost"
    firsts = dict.fromkeys(order)
    for key in {key for key, _ in firsts}:
        numbers = [number for one, number in firsts if one == key]
        assert numbers == sorted(numbers), "out of order"


@pytest.mark.timeout(180)
def test_a_process_killed_at_any_moment_loses_nothing(engine_url: str, tmp_path: Path) -> None:
    ledger, chance = tmp_path / "ledger", random.Random(7)
    for number in range(5):
        with working(engine_url, ledger, f"w{number}") as process:
            wait_for_lines(ledger, process, len(lines_of(ledger)) + chance.randint(2, 150))
            process.send_signal(signal.SIGKILL)
        if engine_url.startswith("postgresql"):
            asyncio.run(bury_all(engine_url))
    check(ledger, asyncio.run(drain(engine_url, ledger)))


async def bury_all(url: str) -> None:
    """Take all workers for dead, as a supervisor does that saw them die."""
    store = durable_at(url)
    await store.start()
    for one in await store.crew.sightings():
        await store.crew.bury(one.lease)
    await store.stop()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_worker_frozen_beyond_its_lease_repeats_nothing_that_others_finished(
    durable_database: str, tmp_path: Path
) -> None:
    url = fresh(durable_database)
    ledger, chance = tmp_path / "ledger", random.Random(11)
    with working(url, ledger, "a") as frozen, working(url, ledger, "b") as other:
        wait_for_leases(ledger, frozen, 2)
        for _ in range(FREEZES):
            wait_for_lines(ledger, other, len(lines_of(ledger)) + chance.randint(60, 150))
            frozen.send_signal(signal.SIGSTOP)
            asyncio.run(bury_one(url, "a"))
            wait_for_lines(ledger, other, len(lines_of(ledger)) + 60)
            frozen.send_signal(signal.SIGCONT)
        wait_for_lines(ledger, frozen, len(lines_of(ledger)) + 60)
    names = {words[0] for words in lines_of(ledger)}
    assert "refused" in names or sum(words[0] == "lease" for words in lines_of(ledger)) > 2
    check(ledger, asyncio.run(drain(url, ledger)))


def fresh(url: str) -> str:
    """The same database without durable work in it."""
    from tests.contracts.conftest import _forget

    asyncio.run(_forget(url))
    return url


async def bury_one(url: str, name: str) -> None:
    store = durable_at(url)
    await store.start()
    try:
        for one in await store.crew.sightings():
            if one.name == name:
                await store.crew.bury(one.lease)
    finally:
        await store.stop()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_server_stopped_at_once_loses_nothing_that_was_acknowledged(
    durable_database: str, postgres_server: Any, tmp_path: Path
) -> None:
    url = fresh(durable_database)
    ledger = tmp_path / "ledger"
    with working(url, ledger, "a") as process:
        for _ in range(2):
            wait_for_lines(ledger, process, len(lines_of(ledger)) + 80)
            stop_at_once(postgres_server)
            postgres_server.ensure_postgres_running()
            wait_for_lines(ledger, process, len(lines_of(ledger)) + 80)
    assert any(words[0] == "lost" for words in lines_of(ledger)), "it was not even noticed"
    check(ledger, asyncio.run(drain(url, ledger)))


def stop_at_once(server: Any) -> None:
    """What `pg_ctl stop -m immediate` does: no checkpoint, no goodbye."""
    process = server.get_pid()
    os.kill(process, signal.SIGQUIT)
    end = time.monotonic() + WAIT_SECONDS
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < end
        os.sched_yield()


@pytest.mark.timeout(60)
@in_loop
async def test_a_call_that_was_broken_off_can_be_sent_again(
    postgres_url: str, postgres_server: Any
) -> None:
    import asyncpg

    store = durable_at(postgres_url, clock=wall_clock)
    await store.start()
    killer = await asyncpg.connect(postgres_url)
    try:
        kept = 0
        for _ in range(20):
            one = job()
            sending = asyncio.ensure_future(store.queue.enqueue([one]))
            await asyncio.sleep(0)
            await killer.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            try:
                await sending
            except StoreLostError:
                await send_until_kept(store, one)
            kept += 1
        lease = await store.crew.register("w")
        assert len(await store.queue.claim(lease, "default", limit=100)) == kept == 20
    finally:
        await killer.close()
        await store.stop()


async def send_until_kept(store: DurableStore, one: Any) -> None:
    for _ in range(50):
        try:
            await store.queue.enqueue([one])
        except StoreLostError:
            continue
        return
    raise AssertionError("never kept")


@in_loop
async def test_a_lease_that_never_was_holds_nothing(engine_url: str) -> None:
    store = durable_at(engine_url)
    await store.start()
    try:
        assert await store.crew.bury(Lease(UUID(int=1), 1)) is None
        assert await store.crew.leave(Lease(UUID(int=1), 1)) is None
    finally:
        await store.stop()
