"""What a call between services costs in one process: CPU time added to a plain `await`.

Three services call one another in a row, inside a deadline; beside them the same classes call one
another as plain objects. A call counts its link, takes a place, compares its deadline and checks
its values. `mutable record` gives and returns a record of ten fields that has to be copied.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import statistics
import time
from collections.abc import Awaitable, Callable

import uvloop

from outgrow import deadline, operation, service
from outgrow.telemetry import LinkBook, bucket_of
from outgrow.testing import running

from .harness import Measurements, publish, turned

CALLS = 500
SLICES = 60


@dataclasses.dataclass
class Record:
    """Ten fields that may change."""

    a: int = 1
    b: int = 2
    c: str = "three"
    d: str = "four"
    e: float = 5.0
    f: bool = True
    g: int = 7
    h: str = "eight"
    i: int = 9
    j: int = 10


@service
class Last:
    """Answers."""

    @operation
    async def one(self, sku: str, quantity: int) -> int:
        return quantity

    @operation
    async def record(self, record: Record) -> Record:
        return record


@service
class Middle:
    """Asks the last."""

    last: Last

    @operation
    async def one(self, sku: str, quantity: int) -> int:
        return await self.last.one(sku, quantity)


@service
class First:
    """Asks the middle one."""

    middle: Middle

    @operation
    async def one(self, sku: str, quantity: int) -> int:
        return await self.middle.one(sku, quantity)


def run(rounds: int, _: float) -> None:
    """CPU time of three nested calls, and of one with a record, in both forms."""
    measured = Measurements("calls", reference="plain")
    for number in range(rounds):
        found: dict[str, tuple[float, float]] = {}
        for name in turned(["plain", "outgrow"], number):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                found[name] = runner.run(_measure(name))
            measured.add(name, "three nested calls", found[name][0], "us")
            measured.add(name, "mutable record", found[name][1], "us")
        plain, ours = found["plain"], found["outgrow"]
        measured.add("outgrow", "added per nested call", (ours[0] - plain[0]) / 3, "us")
        measured.add("outgrow", "added with a mutable record", ours[1] - plain[1], "us")
        measured.add("outgrow", "of this recording alone", _recording(), "us")
    publish(measured)


async def _measure(name: str) -> tuple[float, float]:
    record = Record()
    if name == "plain":
        last = Last()
        first = First(middle=Middle(last=last))
        return await _spent(lambda: first.one("tea", 2)), await _spent(lambda: last.record(record))
    async with running(First) as app:
        outer, inner = app.client(First), app.client(Last)
        with deadline(600):
            nested = await _spent(lambda: outer.one("tea", 2))
            return nested, await _spent(lambda: inner.record(record))


async def _spent(once: Callable[[], Awaitable[object]]) -> float:
    """The quietest tenth of many slices, in microseconds of CPU for one call."""
    spent: list[float] = []
    for _ in range(SLICES):
        gc.collect()
        began = time.thread_time_ns()
        for _ in range(CALLS):
            await once()
        spent.append((time.thread_time_ns() - began) / CALLS / 1e3)
    return statistics.quantiles(spent, n=10)[0]


def _recording() -> float:
    """What the counting lines of the call path cost by themselves."""
    book = LinkBook()
    links = book.to("callee")
    book.meet("caller", "callee")
    clock = time.monotonic_ns
    spent: list[float] = []
    for _ in range(SLICES):
        began = time.thread_time_ns()
        for _ in range(CALLS):
            begun = clock()
            link = links["caller"]
            duration = clock() - begun
            link.calls += 1
            link.duration_ns += duration
            link.buckets[bucket_of(duration)] += 1
        spent.append((time.thread_time_ns() - began) / CALLS / 1e3)
    return statistics.quantiles(spent, n=10)[0]
