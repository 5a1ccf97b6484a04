"""Storms: whatever is cancelled, late, refused or left half-read, nothing stays behind.

Time passes by a millisecond for each turn of the loop, threads end when they are told to, and all
chance comes from the seed: a storm that fails can be had again.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import random
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import aclosing, contextmanager, suppress
from typing import Any

import pytest

from outgrow import CallError, call, deadline, operation, service
from outgrow.host import Host, app_of
from outgrow.host.gate import Gate
from outgrow.host.services import TestPlacement

CALLERS = 800
CALLERS_AT_ONCE = 16
CALLS_MIN = 20  # of each operation: a storm that reaches none of them would show nothing
TURNS_MAX = 20_000
TURN_NS = 1_000_000
LIMITS_SECONDS = (0.001, 0.003, 0.01, 0.03, 2.0)
THREAD_SECONDS_MAX = 10.0

chance = random.Random(0)
begun: Counter[str] = Counter()
failed: Counter[str] = Counter()


class BrokenError(Exception):
    pass


@contextmanager
def counted(name: str) -> Iterator[None]:
    """Count a run of an operation, for comparison with what the host has counted."""
    begun[name] += 1
    try:
        yield
    except GeneratorExit:
        raise  # whoever read the stream has had enough
    except BaseException:
        failed[name] += 1
        raise


async def some_turns() -> None:
    for _ in range(chance.randrange(6)):
        await asyncio.sleep(0)
    if chance.random() < 0.1:
        raise BrokenError("by chance")


@service(concurrent_calls_max=5, queue_max=4)
class Stock:
    @operation
    async def step(self) -> int:
        with counted("Stock.step"):
            await some_turns()
        return 1

    @operation(timeout=0.004, idempotent=True)
    async def hang(self) -> None:
        with counted("Stock.hang"):
            await asyncio.Event().wait()

    @operation(concurrent_calls_max=2, queue_max=2)
    async def watch(self, last: int) -> AsyncIterator[int]:
        with counted("Stock.watch"):
            for number in range(last):
                await some_turns()
                yield number

    @operation
    def crunch(self, number: int) -> int:
        if number == 0:
            raise BrokenError("in a thread")
        return number


@service(concurrent_calls_max=8, queue_max=4)
class Orders:
    stock: Stock

    @operation
    async def place(self) -> int:
        with counted("Orders.place"):
            await some_turns()
            with deadline(chance.choice(LIMITS_SECONDS)):
                return await asked_of(self.stock)

    @operation
    async def place_two(self) -> None:
        with counted("Orders.place_two"):
            async with asyncio.TaskGroup() as group:
                group.create_task(asked_of(self.stock))
                group.create_task(asked_of(self.stock))


async def asked_of(stock: Stock) -> int:
    """One of the things to ask of the stock, by chance."""
    kind = chance.choice(("step", "hang", "crunch", "whole", "part", "dropped"))
    if kind == "step":
        return await stock.step()
    if kind == "hang":
        await stock.hang()
    if kind == "crunch":
        return await call(stock.crunch, chance.randrange(3))
    read = 0
    if kind == "dropped":  # without a word: only its collection closes the stream
        async for _ in stock.watch(4):
            read += 1
            if chance.random() < 0.5:
                break
        return read
    async with aclosing(stock.watch(4)) as items:  # type: ignore[type-var]
        async for _ in items:
            await some_turns()
            if kind == "part":
                break
    return read


async def caller(host: Host) -> None:
    with suppress(CallError, BrokenError, ExceptionGroup), deadline(chance.choice(LIMITS_SECONDS)):
        kind = chance.randrange(3)
        if kind == 0:
            await asked_of(host.client(Stock))
        elif kind == 1:
            await host.client(Orders).place()
        else:
            await host.client(Orders).place_two()


class Turns(asyncio.SelectorEventLoop):
    """A loop by whose clock a turn takes a millisecond."""

    now_ns = TURN_NS

    def time(self) -> float:
        return self.now_ns / 1e9


class Threads(Executor):
    """A thread for each piece of work, which ends when it is told to."""

    def __init__(self, *_: object) -> None:
        self.count = 0
        self._waiting: list[tuple[threading.Event, threading.Thread]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Begin at once or, as in a pool that is full, at the end; then it can be cancelled."""
        self.count += 1
        work: Future[Any] = Future()
        is_begun = chance.random() < 0.7 and work.set_running_or_notify_cancel()
        may_end = threading.Event()

        def run() -> None:
            assert may_end.wait(THREAD_SECONDS_MAX)
            if is_begun or work.set_running_or_notify_cancel():
                try:
                    work.set_result(fn(*args, **kwargs))
                except BrokenError as problem:
                    work.set_exception(problem)

        thread = threading.Thread(target=run)
        thread.start()
        self._waiting.append((may_end, thread))
        return work

    def end_one(self) -> None:
        """Have one end, and wait until it has told the loop."""
        if self._waiting:
            may_end, thread = self._waiting.pop(chance.randrange(len(self._waiting)))
            may_end.set()
            thread.join(THREAD_SECONDS_MAX)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        while self._waiting:
            self.end_one()


class Storm:
    """What a storm is driven with, and what is left after it."""

    def __init__(self) -> None:
        self.loop = Turns()
        self.gates: list[Gate] = []
        self.threads = Threads()

    def gate(self, *args: Any) -> Gate:
        self.gates.append(Gate(*args))
        return self.gates[-1]

    async def blow(self, host: Host) -> None:
        """Have callers come and go, a few at once, until all have gone."""
        callers: list[asyncio.Task[None]] = []
        left = CALLERS
        for _ in range(TURNS_MAX):
            while left and len(callers) < CALLERS_AT_ONCE:
                callers.append(self.loop.create_task(caller(host)))
                left -= 1
            await self.turn()
            if chance.random() < 0.1:
                chance.choice(callers).cancel()
            callers = [each for each in callers if not self.has_ended(each)]
            if not callers:
                return
        raise AssertionError(f"{len(callers)} callers never ended: {callers}")

    async def settle(self) -> None:
        """Let what is being closed come to its end."""
        for _ in range(100):
            gc.collect(0)
            await self.turn()

    async def turn(self) -> None:
        self.loop.now_ns += TURN_NS
        if chance.random() < 0.3:
            self.threads.end_one()
        await asyncio.sleep(0)

    @staticmethod
    def has_ended(task: asyncio.Task[None]) -> bool:
        return task.done() and (task.cancelled() or task.result() is None)


@pytest.fixture
def storm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Storm]:
    storm = Storm()
    for name in ("outgrow.wire.deadline", "outgrow.host.path"):
        module = importlib.import_module(name)
        monkeypatch.setattr(module, "monotonic_ns", lambda: storm.loop.now_ns)
    monkeypatch.setattr("outgrow.host.services.Gate", storm.gate)
    monkeypatch.setattr("outgrow.host.services.ThreadPoolExecutor", lambda *_: storm.threads)
    begun.clear()
    failed.clear()
    yield storm
    storm.loop.close()


@pytest.mark.parametrize("seed", range(4))
def test_after_a_storm_all_places_are_free_and_all_calls_are_counted(
    storm: Storm, placement: TestPlacement, seed: int
) -> None:
    async def blow() -> Host:
        host = Host(app_of(Orders), placement=placement)
        await host.start()
        try:
            await storm.blow(host)
            await storm.settle()
            assert asyncio.all_tasks() == {asyncio.current_task()}
        finally:
            await host.stop()
        return host

    chance.seed(seed)
    with asyncio.Runner(loop_factory=lambda: storm.loop) as runner:
        host = runner.run(blow())
    assert [(gate.running, len(gate.waiting)) for gate in storm.gates] == [(0, 0)] * 3
    calls, errors = totals_of(host)
    assert calls == begun + Counter({"Stock.crunch": storm.threads.count})
    # A reader that is cancelled as it closes a stream is an error to the host, not to the body.
    assert failed.pop("Stock.watch") <= errors.pop("Stock.watch") <= calls["Stock.watch"]
    assert errors.pop("Stock.crunch") <= calls["Stock.crunch"]
    assert errors == failed
    assert min(calls.values()) >= CALLS_MIN


def totals_of(host: Host) -> tuple[Counter[str], Counter[str]]:
    """How many calls of each operation the host has counted, and how many of them failed."""
    calls: Counter[str] = Counter()
    errors: Counter[str] = Counter()
    for link in host.book.all():
        calls[link.callee] += link.calls
        errors[link.callee] += link.errors
        assert sum(link.buckets) == link.calls
    return calls, errors
