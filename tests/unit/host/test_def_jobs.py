"""Jobs and subscriptions that are plain `def`: in threads, which nothing can end from outside."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from outgrow import (
    Backoff,
    EnqueuedJob,
    Event,
    call,
    enqueue,
    job,
    operation,
    progress,
    publish,
    service,
    step,
    subscribe,
    wait,
)
from outgrow.host import Durable, DurableSource, Host, app_of
from outgrow.host.durable import tenure
from outgrow.host.durable.errors import AttemptOverError, JobEndedError
from outgrow.host.threads import ThreadAttempt, attempt_here
from outgrow.store import durable_at, wall_clock
from tests.unit.host.test_durable_runners import until

pytestmark = pytest.mark.timeout(60)

QUICK = Backoff(first_seconds=0.001, jitter_ratio=0)


class Rung(Event, key="door", name="def_jobs.Rung"):
    """Somebody rang."""

    door: str


class Room:
    """Where threads wait until the test lets them go on, one attempt at a time."""

    def __init__(self) -> None:
        self.may_end = threading.Semaphore(0)
        self.inside_count = 0
        self.most_count = 0
        self.begun_count = 0
        self.seen: list[Any] = []
        self.attempts: list[ThreadAttempt] = []
        self._lock = threading.Lock()

    def stay(self) -> None:
        with self._lock:
            attempt = attempt_here.get()
            assert attempt is not None
            self.attempts.append(attempt)
            self.begun_count += 1
            self.inside_count += 1
            self.most_count = max(self.most_count, self.inside_count)
        try:
            assert self.may_end.acquire(timeout=30)
        finally:
            with self._lock:
                self.inside_count -= 1


room = Room()


@service(threads_max=2)
class Plain:
    """All of it in threads."""

    @operation
    def doubled(self, number: int) -> int:
        return number * 2

    @job
    def add(self, number: int) -> int:
        room.seen.append(threading.current_thread().name)
        return number + 1

    @job(timeout=0.05, attempts_max=2, backoff=QUICK)
    def late(self) -> None:
        room.stay()
        try:
            wait(progress("still here"))
        except BaseException as problem:
            room.seen.append(problem)
            raise

    @job(attempts_max=1)
    def patient(self) -> None:
        room.stay()
        wait(progress("still here"))

    @job(attempts_max=1)
    def asking(self) -> None:
        room.begun_count += 1
        try:
            wait(asyncio.Event().wait())
        except AttemptOverError as problem:
            room.seen.append(problem)
            raise

    @job(attempts_max=2, backoff=QUICK)
    def in_steps(self) -> list[str]:
        first = wait(step("first", self.part, "a"))
        if not room.seen:
            room.seen.append("failed")
            raise ValueError("once")
        wait(progress(0.5))
        wait(enqueue(plain_add(), 1))
        return [first, wait(step("second", self.async_part, "b"))]

    def part(self, name: str) -> str:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        room.begun_count += 1
        return name

    async def async_part(self, name: str) -> str:
        return name.upper()

    @job
    def stop_iteration(self) -> None:
        raise StopIteration

    @subscribe
    def on_rung(self, event: Rung) -> None:
        room.seen.append((event.door, threading.current_thread() is threading.main_thread()))


hosts: list[Host] = []


def plain_add() -> Any:
    return hosts[-1].client(Plain).add


@asynccontextmanager
async def started(folder: Path) -> AsyncGenerator[tuple[Any, Durable]]:
    room.__init__()
    source = DurableSource(
        lambda: Durable(
            durable_at(f"sqlite:///{folder}/durable.db", is_fast=True), "test", now_ms=wall_clock
        )
    )
    host = Host(app_of(Plain), source=source)
    await host.start()
    hosts.append(host)
    try:
        yield host.client(Plain), await source.get()
    finally:
        room.may_end.release(100)
        hosts.pop()
        await host.stop()
        await source.close()


async def has_ended(handle: EnqueuedJob[Any]) -> bool:
    return await handle.state() in ("done", "dead", "cancelled")


def test_a_def_job_runs_in_a_thread_of_its_service(tmp_path: Path) -> None:
    async def ask() -> None:
        async with started(tmp_path) as (plain, _):
            assert await (await enqueue(plain.add, 1)).result() == 2
            assert room.seen[0].startswith("outgrow-plain")
            await publish(Rung(door="front"))
            await until(lambda: len(room.seen) == 2)
            assert room.seen[1] == ("front", False)

    asyncio.run(ask())


def test_threads_of_jobs_are_bounded(tmp_path: Path) -> None:
    async def ask() -> None:
        async with started(tmp_path) as (plain, _):
            handles = [await enqueue(plain.patient) for _ in range(6)]
            await until(lambda: room.begun_count == 2)
            room.may_end.release(6)
            for each in handles:
                await each.result()
            assert room.most_count == 2

    asyncio.run(ask())


def test_no_attempt_begins_while_the_thread_of_a_late_one_runs(tmp_path: Path) -> None:
    async def ask() -> None:
        async with started(tmp_path) as (plain, durable):
            handle = await enqueue(plain.late)
            await until(lambda: room.begun_count == 1)
            # Others of the service are still answered meanwhile, also after the timeout.
            assert await call(plain.doubled, 2) == 4
            await until(lambda: room.attempts[-1].is_over)
            assert room.begun_count == 1
            assert durable.held_count == 1
            room.may_end.release()
            await until(lambda: room.begun_count == 2)
            await until(lambda: room.attempts[-1].is_over)
            room.may_end.release()
            await until(lambda: has_ended(handle))
            with pytest.raises(JobEndedError, match="OG502"):
                await handle.result()
            assert room.most_count == 1
            # What they asked for when it was too late was refused.
            assert len(room.seen) == 2
            assert all(isinstance(each, AttemptOverError | TimeoutError) for each in room.seen)

    asyncio.run(ask())


def test_a_cancel_ends_what_a_thread_waits_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenure, "BEAT_SECONDS", 0.01)

    async def ask() -> None:
        async with started(tmp_path) as (plain, durable):
            handle = await enqueue(plain.asking)
            await until(lambda: room.begun_count == 1)
            await handle.cancel()
            await until(lambda: len(room.seen) == 1)
            await until(lambda: has_ended(handle))
            assert await handle.state() == "cancelled"
            await until(lambda: durable.held_count == 0)

    asyncio.run(ask())


def test_a_shutdown_leaves_threads_behind_and_gives_their_jobs_back(tmp_path: Path) -> None:
    async def ask() -> None:
        async with started(tmp_path) as (plain, durable):
            handle = await enqueue(plain.patient)
            await until(lambda: room.begun_count == 1)
            await durable.drain(0.01)
            assert room.inside_count == 1
            view = await durable.store.queue.find(handle.id)
            assert view is not None
            assert (view.state, view.attempt) == ("ready", 0)

    asyncio.run(ask())


def test_steps_of_a_def_job_may_be_def_as_well(tmp_path: Path) -> None:
    async def ask() -> None:
        async with started(tmp_path) as (plain, _):
            assert await (await enqueue(plain.in_steps)).result() == ["a", "B"]
            assert room.begun_count == 1, "a step that is behind it is not done again"
            await until(lambda: len(room.seen) == 2)

    asyncio.run(ask())


def test_an_exception_that_no_future_takes_fails_the_attempt(tmp_path: Path) -> None:
    async def ask() -> None:
        async with started(tmp_path) as (plain, durable):
            handle = await enqueue(plain.stop_iteration)

            async def has_failed() -> bool:
                view = await durable.store.queue.find(handle.id)
                return view is not None and view.failure is not None

            await until(has_failed)

    asyncio.run(ask())


def test_stale_connections_of_django_are_closed_before_and_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed() -> None:
        room.seen.append("closed")

    conf = SimpleNamespace(settings=SimpleNamespace(configured=True))
    for name, module in (
        ("django.db", SimpleNamespace(close_old_connections=closed)),
        ("django.conf", conf),
    ):
        given = ModuleType(name)
        vars(given).update(vars(module))
        monkeypatch.setitem(sys.modules, name, given)

    async def ask() -> None:
        async with started(tmp_path) as (plain, _):
            await (await enqueue(plain.add, 1)).result()
            assert room.seen[0] == room.seen[2] == "closed"
            assert len(room.seen) == 3

    asyncio.run(ask())
