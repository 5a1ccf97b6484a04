"""The calling end: makes the loads that it is told to, one after another, and counts."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Literal

import msgspec

from benchmarks import cost

from . import Ways
from .record import CHUNK


class Load(msgspec.Struct):
    """What to do.

    Attributes:
        kind: What to ask for.
        at_once: Callers, each with one call at a time.
        seconds: For how long they begin new ones.
        size_bytes: Of a blob.
    """

    kind: Literal["record", "blob", "records", "chunks"]
    seconds: float
    at_once: int = 1
    size_bytes: int = 0


class Outcome(msgspec.Struct):
    """What came of it.

    Attributes:
        count: Calls answered, or items.
        seconds: How long it took.
        bytes: That crossed, both ways together.
        p50_us: Half of the calls were as quick.
        p99_us: All but one in a hundred were.
        calling_us: CPU of this end for each, all threads.
        answering_us: CPU of the other, with its broker.
    """

    count: int
    seconds: float
    bytes: int
    p50_us: float
    p99_us: float
    calling_us: float
    answering_us: float


async def take_loads(asking: AbstractAsyncContextManager[Ways], answering_pid: int) -> None:
    """Do what comes in on standard input, and write what came of it."""
    loop = asyncio.get_running_loop()
    async with asking as ways:
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            outcome = await _measured(ways, msgspec.json.decode(line, type=Load), answering_pid)
            print(msgspec.json.encode(outcome).decode(), flush=True)


async def _measured(ways: Ways, load: Load, answering_pid: int) -> Outcome:
    other = _other_seconds(answering_pid)
    own, began = time.process_time(), time.perf_counter()
    end = began + load.seconds
    took_ns: list[int] = []
    if load.kind in ("record", "blob"):
        await _called(ways, load, end, took_ns)
        count, size_bytes = len(took_ns), 2 * load.size_bytes
    else:
        items = ways.records if load.kind == "records" else ways.chunks
        assert items is not None
        count, size_bytes = await _read(items(), end), len(CHUNK) * (load.kind == "chunks")
    seconds = time.perf_counter() - began
    own = time.process_time() - own
    other = _other_seconds(answering_pid) - other
    took_ns.sort()
    return Outcome(
        count=count,
        seconds=seconds,
        bytes=count * size_bytes,
        p50_us=_quantile(took_ns, 0.5) / 1e3,
        p99_us=_quantile(took_ns, 0.99) / 1e3,
        calling_us=own * 1e6 / count,
        answering_us=other * 1e6 / count,
    )


async def _called(ways: Ways, load: Load, end: float, took_ns: list[int]) -> None:
    clock, limit_ns = time.perf_counter_ns, int(end * 1e9)

    async def call(once: Callable[[], Awaitable[object]]) -> None:
        with ways.around():
            begun = clock()
            while begun < limit_ns:
                await once()
                ended = clock()
                took_ns.append(ended - begun)
                begun = ended

    async with asyncio.TaskGroup() as group:
        for _ in range(load.at_once):
            group.create_task(call(_once(ways, load)))


def _once(ways: Ways, load: Load) -> Callable[[], Awaitable[object]]:
    if load.kind == "record":
        return ways.record
    echo, body = ways.blob, bytes(load.size_bytes)
    assert echo is not None
    return lambda: echo(body)


async def _read(items: AsyncGenerator[object], end: float) -> int:
    clock, count = time.perf_counter, 0
    async with aclosing(items):
        async for _ in items:
            count += 1
            if clock() >= end:
                break
    return count


def _other_seconds(pid: int) -> float:
    return sum(cost.cpu_by_process(pid).values())


def _quantile(ordered: list[int], share: float) -> int:
    return ordered[int(share * (len(ordered) - 1))] if ordered else 0
