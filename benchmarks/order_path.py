"""An order of the example shop: in one process, in three groups, and as HTTP microservices.

POST /orders comes in through the edge. It asks the catalogue, the bank and the stock, and writes to
two databases; with the second it writes down an event and a job, by which the payment is kept and
the receipt is sent after the answer, each in a database of its own. In three groups three calls of
each order cross between processes: one from the edge to the desk, two from there back to the
front. The microservices are
the same classes in the same three groups, each behind an app of FastAPI under uvicorn, calling one
another with aiohttp. CPU is that of all processes of a contender, supervisor and idle ones too.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

from examples.exchange import Address, Exchange
from examples.shop import seed
from examples.shop.places import databases_in

from . import cost, servers
from .harness import Measurements, Row, publish, turned
from .servers import Server, free_port

ROOT = Path(__file__).parents[1]
GROUPS = ROOT / "examples" / "shop" / "outgrow.toml"
ONE, SPLIT, HTTP = "one process", "three groups", "HTTP microservices"
RATE_PER_SECOND = 25.0
AT_ONCE = 8
# A calm load has few orders in a second, and its slowest are to be told too.
CALM_TIMES = 3
WARM_SECONDS = 1.0
RECEIPTS_SECONDS = 1.0
ANSWER_SECONDS = 15.0
LINES_MAX = 3
CREATED = 201
GOAL = 1.3
NOTES = f"""
  The bank is a stand-in that sleeps for 20 ms, so no order is faster. All commits go to SQLite in
    files, where the disk may take longer than all else: read CPU apart from it. Two of an order are
    made before its answer. After it come up to nine: two that keep its event and its job, one that
    takes them out of its outbox, payment and receipt, and four for what is given out and settled;
    of those where events and jobs are kept, orders at the same time share some.
  CPU of an order: of all processes of the contender, of the kernel too, while it lasts; at
    {RATE_PER_SECOND:g} orders/s it holds what they spend idle, which `idle` shows.
  Each group has one worker: with as many as its outgrow.toml allows, the second would start
    meanwhile. At {AT_ONCE} at once one process uses one core, the others up to two, which share
    caches with one another and with the load: the calm load compares better."""


class Taken(NamedTuple):
    """What came of a load.

    Attributes:
        began: Its first moment.
        ended: When the last answer came, in seconds too.
        spans: Seconds that each order took, from when it was due.
    """

    began: float
    ended: float
    spans: list[float]


@dataclass(frozen=True, kw_only=True)
class _Shop:
    """A contender at work."""

    name: str
    server: Server

    def cpu_seconds(self) -> float:
        """Of all its processes until now."""
        return sum(cost.cpu_by_process(self.server.process.pid).values())


def run(rounds: int, seconds: float) -> None:
    """Measure each a round, in turns, while the others idle."""
    packages = ("aiohttp", "pydantic", "sqlalchemy", "aiosqlite")
    tools = {name: metadata.version(name) for name in packages}
    tools["load average before"] = f"{os.getloadavg()[0]:.2f}"
    measured = Measurements("order_path", reference=ONE, tools=tools)
    with ExitStack() as stack:
        shops = [stack.enter_context(_open(name)) for name in (ONE, SPLIT, HTTP)]
        for number in range(-1, rounds):  # the first one warms, and is forgotten
            kept = measured if number >= 0 else Measurements("order_path")
            length = seconds if number >= 0 else WARM_SECONDS
            for shop in turned(shops, number):
                _idle(kept, shop, length)
            for shop in turned(shops, number):
                _orders(kept, shop, number, length * CALM_TIMES, RATE_PER_SECOND)
            for shop in turned(shops, number):
                _orders(kept, shop, number, length, None)
    publish(measured)
    print(_verdict(measured.rows()), NOTES, sep="\n")


def _idle(measured: Measurements, shop: _Shop, seconds: float) -> None:
    before, began = shop.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    spent_ms = (shop.cpu_seconds() - before) * 1e3
    measured.add(shop.name, "idle: CPU", spent_ms / (time.monotonic() - began), "ms/s")


def _orders(
    measured: Measurements, shop: _Shop, number: int, seconds: float, rate: float | None
) -> None:
    label = f"{AT_ONCE} at once" if rate is None else f"{rate:g} orders/s"
    before = shop.cpu_seconds()
    taken = _generated(shop.server.port, number, seconds, rate)
    time.sleep(RECEIPTS_SECONDS)  # payments are kept and receipts sent after the answer
    spent_ms = (shop.cpu_seconds() - before) * 1e3
    count, cuts = len(taken.spans), statistics.quantiles(taken.spans, n=100)
    measured.add(shop.name, f"{label}: CPU", spent_ms / count, "ms")
    measured.add(shop.name, f"{label}: p50", cuts[49] * 1e3, "ms")
    measured.add(shop.name, f"{label}: p99", cuts[98] * 1e3, "ms")
    if rate is None:
        measured.add(shop.name, f"{label}: rate", count / (taken.ended - taken.began), "orders/s")


def _verdict(rows: list[Row]) -> str:
    lines = [
        "\n  CPU of an order, times that of one process, from the lowest round to the highest:"
    ]
    found = {(row.metric, row.contender): row for row in rows if row.metric.endswith(": CPU")}
    for (metric, contender), row in found.items():
        if contender == ONE or metric.startswith("idle"):
            continue
        base = found[metric, ONE].rounds
        ratios = sorted(mine / other for mine, other in zip(row.rounds, base, strict=True))
        middle = statistics.median(ratios)
        goal = (
            "" if contender == HTTP else f"  goal {GOAL}x: {'met' if middle <= GOAL else 'MISSED'}"
        )
        subject = metric.removesuffix(": CPU")
        spread = f"{ratios[0]:.2f} - {ratios[-1]:.2f} ({middle:.2f})"
        lines.append(f"    {subject:14}{contender:20}{spread:>20}{goal}")
    return "\n".join(lines)


# The load, in a process of its own.


def _generated(port: int, number: int, seconds: float, rate: float | None) -> Taken:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    arguments = (sender, port, number, seconds, rate)
    process = context.Process(target=_generate, args=arguments)
    process.start()
    sender.close()  # or its end would not be noticed here
    taken = receiver.recv()
    process.join()
    return Taken(*taken)


def _generate(sender: Any, port: int, number: int, seconds: float, rate: float | None) -> None:
    buyers = _Buyers(port, number)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        taken = runner.run(buyers.closed(seconds) if rate is None else buyers.open(seconds, rate))
    sender.send(tuple(taken))


class _Buyers:
    """Those who order: the same baskets from each contender in a round."""

    def __init__(self, port: int, number: int) -> None:
        self._exchange = Exchange(address=Address(port=port), answer_seconds=ANSWER_SECONDS)
        self._dice = random.Random(number)
        # What is not delivered again would be sold out one day, at one contender earlier.
        self._skus = [level["sku"] for level in seed.levels() if level["standing_order"]]
        self._spans: list[float] = []

    async def open(self, seconds: float, rate: float) -> Taken:
        """Orders come by chance, so many a second, however fast they are answered."""
        began = time.monotonic()
        due, sent = began, list[asyncio.Task[None]]()
        while (due := due + self._dice.expovariate(rate)) < began + seconds:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            sent.append(asyncio.create_task(self._order(due)))
        await asyncio.gather(*sent)
        return await self._ended(began)

    async def closed(self, seconds: float) -> Taken:
        """Some buyers, each of whom orders again as soon as the last order is placed."""
        began = time.monotonic()

        async def buyer() -> None:
            while time.monotonic() < began + seconds:
                await self._order(time.monotonic())

        await asyncio.gather(*(buyer() for _ in range(AT_ONCE)))
        return await self._ended(began)

    async def _ended(self, began: float) -> Taken:
        await self._exchange.close()
        return Taken(began, time.monotonic(), self._spans)

    async def _order(self, due: float) -> None:
        answer = await self._exchange.ask("POST", "/orders", self._body())
        assert answer.status == CREATED, answer.body
        self._spans.append(time.monotonic() - due)

    def _body(self) -> bytes:
        dice = self._dice
        lines = [
            {"sku": self._skus[seed.popular(dice, len(self._skus))], "quantity": 1}
            for _ in range(dice.randint(1, LINES_MAX))
        ]
        return json.dumps({"lines": lines, "email": "buyer@example.org"}).encode()


# The contenders.


@contextmanager
def _open(name: str) -> Iterator[_Shop]:
    """A new shop, ready to take orders."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as place:
        folder, port = Path(place), free_port()
        if name == SPLIT:
            (folder / "outgrow.toml").write_text(GROUPS.read_text())
        with (folder / "output.log").open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *_words(name, folder, port)],
                cwd=folder,
                env=_environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        server = Server(name, port, process, folder)
        try:
            server.until_answering("/openapi.json")
            if name == SPLIT:
                servers.ask_supervisor(server, "POST", "/apply", {"workers": "front=1"})
            yield _Shop(name=name, server=server)
        finally:
            server.stop()


def _words(name: str, folder: Path, port: int) -> list[str]:
    if name == HTTP:
        return ["benchmarks.microservices", str(port), str(folder)]
    app = ["examples.shop.api:app", "--app-dir", str(ROOT), "--port", str(port)]
    return ["outgrow", "run", *app, "--no-access-log", "--observe", "never"]


def _environment(folder: Path) -> dict[str, str]:
    ours = {key: value for key, value in os.environ.items() if not key.startswith("OUTGROW_")}
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(filter(None, paths))
    return {**ours, "PYTHONPATH": path, **databases_in(folder)}
