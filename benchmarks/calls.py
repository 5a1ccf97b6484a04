"""What a call between services costs in one process: CPU time added to a plain `await`.

Three services call one another in a row, inside a deadline; beside them the same classes call one
another as plain objects. A call counts its link, takes a place, compares its deadline and checks
its values. `mutable record` gives and returns a record of ten fields that has to be copied.

The same three, handed over by frameworks of dependency injection: what it costs to get them for one
request and to call them, from the framework itself and in a route of FastAPI (in process, without
a server). Slices of all contenders take turns, so that none has a quieter machine.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import uvloop

from outgrow import deadline, operation, service
from outgrow.telemetry import LinkBook, bucket_of
from outgrow.testing import running

from . import injection
from .harness import Measurements, publish, turned
from .injection.graph import First, by_hand

CALLS = 500
ROUTE_CALLS = 50
SLICES = 60
KINDS = {"new objects a request": True, "one object for all": False}
NOTES = """
  `three nested calls`: through an object that was injected already. What dependency injection gives
    is the object itself, so that this is a plain call: no deadline, no count, no limit on calls at
    once, no values checked or copied. For outgrow it is one through a client, which has all four.
  `resolved and called`: by the framework alone; FastAPI's Depends works only in a route.
  `in a FastAPI route`: the whole request, in process; `plain` makes the objects in the handler.
  `new objects a request`: outgrow has none, its services live as long as the process.
  `one object for all`: outgrow gives a client that was made once; its outermost call also starts
    a deadline, and finds out whether the service runs already."""

Once = Callable[[], Awaitable[object]]


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
class Records:
    """Gives back what it is given."""

    @operation
    async def record(self, record: Record) -> Record:
        return record


def run(rounds: int, _: float) -> None:
    """CPU time of three nested calls, of one with a record, and of getting the three."""
    measured = Measurements("calls", reference="plain", tools=injection.versions())
    for number in range(rounds):
        for part in (_calls, *(_injected(kind) for kind in KINDS)):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(part(measured, number))
        measured.add("outgrow", "of this recording alone", _recording(), "us")
    publish(measured)
    print(NOTES)
    for name in injection.missing():
        print(f"  {name} is not installed, and was left out")


async def _calls(measured: Measurements, number: int) -> None:
    record, records = Record(), Records()
    plain = by_hand()
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(running([First, Records]))
        outer, inner = app.client(First), app.client(Records)
        nested: dict[str, Once] = {"plain": lambda: plain.one("tea", 2)}
        for name in _contenders():
            if (way := await injection.prepare(name, stack, anew=False)) and way.given:
                nested[name] = _calling(way.given)
        nested["outgrow"] = lambda: outer.one("tea", 2)
        recorded: dict[str, Once] = {
            "plain": lambda: records.record(record),
            "outgrow": lambda: inner.record(record),
        }
        with deadline(600):
            calls = await _spent(nested, number, CALLS)
            copies = await _spent(recorded, number, CALLS)
    for name, spent in calls.items():
        measured.add(name, "three nested calls", spent, "us")
        added = (spent - calls["plain"]) / 3
        if name == "outgrow":
            measured.add(name, "added per nested call", added, "us")
    for name, spent in copies.items():
        measured.add(name, "mutable record", spent, "us")
    added = copies["outgrow"] - copies["plain"]
    measured.add("outgrow", "added with a mutable record", added, "us")


def _calling(given: First) -> Once:
    return lambda: given.one("tea", 2)


def _injected(kind: str) -> Callable[[Measurements, int], Coroutine[Any, Any, None]]:
    async def measure(measured: Measurements, number: int) -> None:
        async with AsyncExitStack() as stack:
            resolved: dict[str, Once] = {}
            routes: dict[str, Once] = {}
            for name in _contenders():
                way = await injection.prepare(name, stack, anew=KINDS[kind])
                if way is None:
                    continue
                if way.once is not None:
                    resolved[name] = way.once
                routes[name] = _asking(way.app)
            for name, spent in (await _spent(resolved, number, CALLS)).items():
                measured.add(name, f"{kind}: resolved and called", spent, "us")
            for name, spent in (await _spent(routes, number, ROUTE_CALLS)).items():
                measured.add(name, f"{kind}: in a FastAPI route", spent, "us")

    return measure


def _contenders() -> list[str]:
    missing = injection.missing()
    return [name for name in injection.PACKAGES if name not in missing]


def _asking(app: Callable[..., Awaitable[None]]) -> Once:
    """One request to `/one`, as a server would pass it on."""
    asked = {"type": "http.request", "body": b"", "more_body": False}
    pattern = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": "GET",
        "path": "/one",
        "raw_path": b"/one",
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"b")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }

    async def receive() -> dict[str, object]:
        return asked

    async def send(message: dict[str, object]) -> None:
        assert message.get("status", 200) == 200, "the route failed"
        assert message.get("body", b"2") == b"2", "the route gave another answer"

    async def once() -> None:
        await app({**pattern, "state": {}}, receive, send)

    return once


async def _spent(ways: dict[str, Once], number: int, calls: int) -> dict[str, float]:
    """The quietest tenth of many slices, in microseconds of CPU for a call, threads included."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    order = turned(list(ways), number)
    for once in ways.values():
        await once()  # what is made at first use
    gc.collect()
    gc.freeze()
    for name in order * SLICES:
        once = ways[name]
        gc.collect()
        began = time.process_time_ns()
        for _ in range(calls):
            await once()
        spent[name].append((time.process_time_ns() - began) / calls / 1e3)
    gc.unfreeze()
    return {name: statistics.quantiles(each, n=10)[0] for name, each in spent.items()}


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
