"""People in the shop: some use it as the demo's do, and some leave before they are answered."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from examples.exchange import Address, Exchange
from examples.shop.visitors import SCENARIO, order, sku

LEAVE_SECONDS_MAX = 0.06
LEAVE_RATIO = 0.1
IN_FLIGHT_MAX = 512
ANSWER_SECONDS = 15.0
RUSH_COUNT = 96


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A request without an answer, or with one of 500 and above; seconds on `time.monotonic`."""

    what: str
    why: str
    began: float
    ended: float

    def __str__(self) -> str:
        return f"{self.what}: {self.why} after {self.ended - self.began:.2f} s"


@dataclass(kw_only=True)
class Crowd:
    """Arrivals by chance, so many a second, for as long as it is wanted.

    Attributes:
        statuses: How often each was answered.
        failures: What was not answered as it must.
        left_count: People who left.
    """

    port: int
    rate_per_second: float
    dice: random.Random = field(default_factory=lambda: random.Random(1))
    statuses: Counter[int] = field(default_factory=Counter[int])
    failures: list[Failure] = field(default_factory=list[Failure])
    left_count: int = 0

    async def run(self, until: float) -> None:
        """Send until a moment on `time.monotonic`, then wait for the last answers."""
        exchange = Exchange(address=Address(port=self.port), answer_seconds=ANSWER_SECONDS)
        weights = [visit.weight for visit in SCENARIO]
        present: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while (due := due + self.dice.expovariate(self.rate_per_second)) < until:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            assert len(present) < IN_FLIGHT_MAX, "the shop answers more slowly than people come"
            if self.dice.random() < LEAVE_RATIO:
                person = self._leave()
            else:
                visit = self.dice.choices(SCENARIO, weights)[0]
                path, body = visit.path(self.dice), visit.body(self.dice)
                person = self._visit(exchange, visit.method, path, body)
            task = asyncio.create_task(person)
            present.add(task)
            task.add_done_callback(present.discard)
        await asyncio.gather(*present)
        await exchange.close()

    async def rush_at(self, moment: float) -> None:
        """Have many come at once, so that all pools and caches are as large as they ever get."""
        await asyncio.sleep(max(0.0, moment - time.monotonic()))
        exchange = Exchange(address=Address(port=self.port), answer_seconds=ANSWER_SECONDS)
        for _ in range(2):
            paths = [f"/products/{sku(self.dice)}" for _ in range(RUSH_COUNT)]
            await asyncio.gather(*(self._visit(exchange, "GET", path, b"") for path in paths))
        await exchange.close()

    async def _visit(self, exchange: Exchange, method: str, path: str, body: bytes) -> None:
        began = time.monotonic()
        try:
            answer = await exchange.ask(method, path, body)
            why = f"{answer.status} {answer.body[:100]!r}" if answer.status >= 500 else ""
            self.statuses[answer.status] += 1
        except OSError as error:  # a TimeoutError is one, too
            why = f"{type(error).__name__} {error}"
        if why:
            ended = time.monotonic()
            what = f"{method} {path}"
            self.failures.append(Failure(what=what, why=why, began=began, ended=ended))

    async def _leave(self) -> None:
        """Ask, perhaps not to the end, and be gone before the answer, or while it comes."""
        with suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            asked = self._asked()
            if self.dice.random() < 0.2:
                asked = asked[: self.dice.randrange(1, len(asked))]
            writer.write(asked)
            await asyncio.sleep(self.dice.uniform(0, LEAVE_SECONDS_MAX))
            if self.dice.random() < 0.5:
                writer.transport.abort()
            writer.close()
        self.left_count += 1

    def _asked(self) -> bytes:
        if self.dice.random() < 0.5:
            return f"GET /recommendations/{sku(self.dice)} HTTP/1.1\r\nHost: s\r\n\r\n".encode()
        body = order(self.dice)
        head = "POST /orders HTTP/1.1\r\nHost: s\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
