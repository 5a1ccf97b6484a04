"""Callers that are cancelled at any moment, and replicas that are replaced under load."""

from __future__ import annotations

import asyncio
import gc
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, cast

import pytest

from outgrow import CallError, deadline, operation, service
from outgrow.host.gate import Gate
from outgrow.wire.frames import FrameReader
from tests.contracts.connecting import LOOPS, Factory, Kind, Stage, run_in, staged, until

IS_LONG = os.environ.get("OUTGROW_FAULTS") == "long"
CANCELLATIONS = 500_000 if IS_LONG else 10_000
CALLERS_AT_ONCE = 40
REPLACEMENTS = 500 if IS_LONG else 20
LOAD = 30
FEW_BYTES, MANY_BYTES = 100, 40_000
LIMITS_SECONDS = (0.0005, 0.002, 0.01)

dice = random.Random(0)
gates: list[Gate] = []
ends: Counter[str] = Counter()


class BrokenError(Exception):
    pass


async def some_turns(turns_max: int = 5) -> None:
    for _ in range(dice.randrange(turns_max)):
        await asyncio.sleep(0)


@service(concurrent_calls_max=16, queue_max=16)
class Stock:
    @operation
    async def take(self, what: bytes) -> bytes:
        await some_turns()
        if dice.random() < 0.2:
            raise BrokenError("by chance")
        return what

    @operation(idempotent=True)
    async def hang(self) -> None:
        await asyncio.Event().wait()

    @operation
    async def flood(self, count: int, size_bytes: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            await some_turns(3)
            yield bytes(size_bytes)


async def asked_of(stock: Any) -> None:
    kind = dice.choice(("small", "large", "hang", "late", "whole", "part", "dropped"))
    if kind in ("small", "large"):
        size_bytes = FEW_BYTES if kind == "small" else MANY_BYTES
        await stock.take(bytes(size_bytes))
    elif kind == "hang":
        await stock.hang()
    elif kind == "late":
        with deadline(dice.choice(LIMITS_SECONDS)):
            await stock.hang()
    elif kind == "dropped":  # without a word: only its collection closes the stream
        async for _ in stock.flood(50, MANY_BYTES):
            break
    else:
        async with aclosing(stock.flood(20, MANY_BYTES)) as items:
            async for _ in items:
                await some_turns(3)
                if kind == "part" and dice.random() < 0.2:
                    break


async def caller(stock: Any) -> None:
    try:
        await asked_of(stock)
        ends["answered"] += 1
    except (CallError, BrokenError) as error:
        ends[type(error).__name__] += 1


async def cancel_many(stage: Stage, cancellations: int) -> None:
    """Have callers come, and cancel one by chance after a few turns, so many times."""
    callers: list[asyncio.Task[None]] = []
    while ends["cancelled"] < cancellations:
        while len(callers) < CALLERS_AT_ONCE:
            callers.append(asyncio.ensure_future(caller(stage.client)))
        await some_turns(4)
        for each in dice.sample(callers, 2):
            each.cancel()
        done, _ = await asyncio.wait(callers, timeout=0)
        ends["cancelled"] += sum(each.cancelled() for each in done)
        callers = [each for each in callers if not each.done()]
    for each in callers:
        each.cancel()
    await asyncio.gather(*callers, return_exceptions=True)


def kept() -> Counter[str]:
    """What is in memory of what calls are made of."""
    gc.collect()
    kinds = (asyncio.Future, FrameReader)
    every = gc.get_objects()
    return Counter(type(each).__name__ for each in every if issubclass(type(each), kinds))


@pytest.fixture(params=["unix", "tcp", "tls", "unix on uvloop", "tls on uvloop"])
def place(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def kind(place: str) -> Kind:
    return cast("Kind", place.split(" ", maxsplit=1)[0])


@pytest.fixture
def factory(place: str) -> Factory:
    return LOOPS["uvloop" if place.endswith("uvloop") else "asyncio"]


@pytest.mark.timeout(3600 if IS_LONG else 60)
def test_cancellations_at_any_moment_leave_nothing_behind(
    kind: Kind, factory: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gate(*args: Any) -> Gate:
        gates.append(Gate(*args))
        return gates[-1]

    cancellations = CANCELLATIONS
    if (kind, factory) != ("unix", LOOPS["asyncio"]):
        cancellations //= 5

    async def run() -> None:
        async with staged(Stock, kind, tmp_path) as stage:
            await stage.client.flood(1, 1).aclose()
            await asyncio.gather(stage.client.take(b""), return_exceptions=True)
            tasks, before = asyncio.all_tasks(), kept()
            await cancel_many(stage, cancellations)
            gc.collect()
            await until(lambda: not stage.in_flight, "both sides to forget all calls")
            await until(lambda: asyncio.all_tasks() == tasks, "all tasks to end")
            assert {(each.running, len(each.waiting)) for each in gates} == {(0, 0)}
            await asyncio.sleep(0)
            assert not kept() - before
            sides = [*stage.callers, *stage.replicas[0].connections]
            assert [(each._out, each._reader.kept_bytes) for each in sides] == [([], 0)] * 2
            assert len(stage.callers) == 1
            with suppress(BrokenError):
                assert await stage.client.take(b"x") == b"x"

    monkeypatch.setattr("outgrow.host.services.Gate", gate)
    gates.clear()
    ends.clear()
    dice.seed(7)
    factory().close()  # the first loop of uvloop opens a pipe for all that follow
    descriptors = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    run_in(factory, run())
    assert set(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208
    assert min(ends[each] for each in ("answered", "OverloadedError", "BrokenError")) > 20
    assert ends["DeadlineExceededError"] > 20


Replace = Callable[[Stage], Awaitable[None]]


async def told_first(stage: Stage) -> None:
    """As the supervisor does: the callers know before the old one leaves."""
    old, new = stage.replicas[0], await stage.add()
    await until(lambda: old.connections, "asyncio to have accepted what it would else forget")
    stage.tell(*stage.replicas[1:], new)
    old.leave()
    await until(lambda: old.is_deserted, "the callers to go")


async def leaves_first(stage: Stage) -> None:
    """The old one leaves before its callers are told of another."""
    old, new = stage.replicas[0], await stage.add()
    await until(lambda: old.connections, "asyncio to have accepted what it would else forget")
    old.leave()
    await some_turns(40)
    stage.tell(*stage.replicas[1:], new)
    await until(lambda: old.is_deserted, "the callers to go")


@service(concurrent_calls_max=1_000)
class Steady:
    @operation
    async def take(self, what: bytes) -> bytes:
        await some_turns(30)
        return what

    @operation
    async def flood(self, count: int) -> AsyncIterator[bytes]:
        for _ in range(count):
            await some_turns(3)
            yield bytes(FEW_BYTES)


@pytest.mark.timeout(3600 if IS_LONG else 60)
@pytest.mark.parametrize("replace", [told_first, leaves_first], ids=["told first", "leaves first"])
@pytest.mark.parametrize("replicas", [1, 3])
def test_no_call_fails_while_replicas_are_replaced(
    kind: Kind, factory: Factory, tmp_path: Path, replace: Replace, replicas: int
) -> None:
    async def load(stage: Stage, is_over: asyncio.Event) -> int:
        count = 0
        while not is_over.is_set():
            sent = bytes(dice.choice((FEW_BYTES, MANY_BYTES)))
            assert await stage.client.take(sent) == sent
            if dice.random() < 0.1:
                assert len([each async for each in stage.client.flood(20)]) == 20
            count += 1
        return count

    async def run() -> list[int]:
        async with staged(Steady, kind, tmp_path, replicas=replicas) as stage:
            is_over = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                loads = [group.create_task(load(stage, is_over)) for _ in range(LOAD)]
                for _ in range(REPLACEMENTS):
                    await replace(stage)
                is_over.set()
            # Who is told late may come again to one that leaves; to no other.
            one_each = [1] * (REPLACEMENTS + replicas)
            await until(lambda: [each.prompt_count for each in stage.made] == one_each, "all")
            return [each.result() for each in loads]

    dice.seed(3)
    assert min(run_in(factory, run())) > 0


def test_a_replica_that_leaves_says_so_to_those_who_come_meanwhile(tmp_path: Path) -> None:
    async def run() -> None:
        async with staged(Steady, "unix", tmp_path) as stage:
            (replica,) = stage.replicas
            await until(lambda: replica.connections, "a connection")
            replica.leave()  # before the caller's first words came
            await until(lambda: stage.callers[0].is_leaving, "the caller to hear of it")
            await until(lambda: replica.is_deserted, "the caller to go")

    asyncio.run(run())
