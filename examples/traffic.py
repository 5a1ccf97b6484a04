"""An open-loop traffic maker: requests leave when they are due, however slow the answers are.

    python -m examples.traffic --rate 50 --seconds 30 http://127.0.0.1:8000

Arrivals are a Poisson process, as from many people who do not know of one another. Latency
counts from the intended start: a server that stalls for a second is charged for all who would
have come in that second, which a client that waits for each answer would never notice. What the
traffic maker itself was late is told as its lag; large lag means the numbers are not the server's.
"""

import argparse
import asyncio
import importlib
import json
import random
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from examples.exchange import Address, Exchange
from examples.latencies import Latencies

IN_FLIGHT_MAX = 256
DEFAULT_SCENARIO = "examples.shop.visitors:SCENARIO"


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One kind of request.

    Attributes:
        weight: How often it comes, relative to the scenario's others.
        route: Its name in the report, with `{placeholders}`.
        path: Makes a path; called once for each request.
        body: Makes a JSON body, or none for b"".
    """

    weight: float
    method: str
    route: str
    path: Callable[[random.Random], str]
    body: Callable[[random.Random], bytes] = lambda _dice: b""


@dataclass(kw_only=True)
class Tally:
    """What became of the requests of one route."""

    latencies: Latencies = field(default_factory=Latencies)
    statuses: Counter[int] = field(default_factory=Counter[int])
    errors: Counter[str] = field(default_factory=Counter[str])

    def errors_count(self) -> int:
        """Requests without an answer, or with one of 500 and above."""
        return self.errors.total() + sum(
            count for status, count in self.statuses.items() if status >= 500
        )


@dataclass(kw_only=True)
class Report:
    """What became of all requests.

    Attributes:
        held_back_count: Requests never sent, because too many were in flight: errors, too.
        lag: How late requests left.
    """

    seconds: float = 0.0
    held_back_count: int = 0
    lag: Latencies = field(default_factory=Latencies)
    routes: defaultdict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))

    def answered_count(self) -> int:
        """Requests that got an answer, of any status."""
        return sum(tally.statuses.total() for tally in self.routes.values())

    def errors_count(self) -> int:
        """All errors, of every route."""
        return self.held_back_count + sum(tally.errors_count() for tally in self.routes.values())

    def to_json(self) -> dict[str, Any]:
        """The report as plain values; times in milliseconds."""
        every = Latencies()
        for tally in self.routes.values():
            every.merge(tally.latencies)
        return {
            "seconds": round(self.seconds, 1),
            "answered_count": self.answered_count(),
            "errors_count": self.errors_count(),
            "held_back_count": self.held_back_count,
            "answers_per_second": round(self.answered_count() / max(self.seconds, 1e-9), 1),
            "latency": _milliseconds(every),
            "lag": _milliseconds(self.lag),
            "routes": {
                route: {
                    "statuses": {str(status): n for status, n in sorted(tally.statuses.items())},
                    "errors": dict(tally.errors),
                    "latency": _milliseconds(tally.latencies),
                }
                for route, tally in sorted(self.routes.items())
            },
        }


def arrivals(rate_per_second: float, dice: random.Random) -> Iterator[float]:
    """Seconds after the start at which requests are due, without end."""
    due = 0.0
    while True:
        due += dice.expovariate(rate_per_second)
        yield due


@dataclass(kw_only=True)
class Traffic:
    """Sends the visits of a scenario to one address, and keeps the report."""

    exchange: Exchange
    visits: Sequence[Visit]
    rate_per_second: float
    in_flight_max: int = IN_FLIGHT_MAX
    dice: random.Random = field(default_factory=random.Random)
    clock: Callable[[], float] = time.monotonic
    report: Report = field(default_factory=Report)

    async def run(self, seconds: float) -> None:
        """Send for so long, then wait for the last answers. Cancelling ends it at once."""
        started = self.clock()
        weights = [visit.weight for visit in self.visits]
        in_flight: set[asyncio.Task[None]] = set()
        try:
            for due in arrivals(self.rate_per_second, self.dice):
                if due >= seconds:
                    break
                await asyncio.sleep(max(0.0, started + due - self.clock()))
                visit = self.dice.choices(self.visits, weights)[0]
                if len(in_flight) >= self.in_flight_max:
                    self.report.held_back_count += 1
                    continue
                task = asyncio.create_task(self._send(visit, started + due))
                in_flight.add(task)
                task.add_done_callback(in_flight.discard)
            await asyncio.gather(*in_flight)
        finally:
            for task in in_flight:
                task.cancel()
            self.report.seconds = self.clock() - started
            await self.exchange.close()

    async def _send(self, visit: Visit, intended: float) -> None:
        tally = self.report.routes[f"{visit.method} {visit.route}"]
        path, body = visit.path(self.dice), visit.body(self.dice)
        self.report.lag.add(self.clock() - intended)
        try:
            answer = await self.exchange.ask(visit.method, path, body)
        except OSError as error:  # a TimeoutError is one, too
            tally.errors[type(error).__name__] += 1
        else:
            tally.statuses[answer.status] += 1
        tally.latencies.add(self.clock() - intended)


def in_words(report: Report) -> str:
    """The report as lines for people."""
    whole = report.to_json()
    lines = [f"{'route':32} {'answers':>8} {'errors':>7} {'p50 ms':>8} {'p95 ms':>8} {'p99 ms':>8}"]
    for route, tally in sorted(report.routes.items()):
        times = _milliseconds(tally.latencies)
        lines.append(
            f"{route:32} {tally.statuses.total():8} {tally.errors_count():7} "
            f"{times['p50_ms']:8} {times['p95_ms']:8} {times['p99_ms']:8}"
        )
    lines.append(
        f"{whole['answered_count']} answers in {whole['seconds']} s "
        f"({whole['answers_per_second']}/s), {whole['errors_count']} errors, "
        f"{whole['held_back_count']} of them never sent; "
        f"p99 {whole['latency']['p99_ms']} ms from the intended start; "
        f"own lag p99 {whole['lag']['p99_ms']} ms"
    )
    return "\n".join(lines)


def _milliseconds(latencies: Latencies) -> dict[str, float]:
    quantiles = {
        f"p{name}_ms": round(latencies.quantile(ratio) * 1000, 1)
        for name, ratio in (("50", 0.5), ("95", 0.95), ("99", 0.99))
    }
    return {**quantiles, "max_ms": round(latencies.max_seconds * 1000, 1)}


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; 0 if every request got an answer below 500, else 1."""
    wanted = _wanted(words)
    parts = urlsplit(wanted.url)
    traffic = Traffic(
        exchange=Exchange(
            address=Address(host=parts.hostname or "127.0.0.1", port=parts.port or 80),
            answer_seconds=wanted.answer_seconds,
        ),
        visits=_visits(wanted),
        rate_per_second=wanted.rate,
        in_flight_max=wanted.in_flight_max,
        dice=random.Random(wanted.seed),
    )
    asyncio.run(_until_stopped(traffic, wanted.seconds or float("inf")))
    report = traffic.report
    sys.stdout.write((json.dumps(report.to_json()) if wanted.json else in_words(report)) + "\n")
    return 1 if report.errors_count() or not report.answered_count() else 0


async def _until_stopped(traffic: Traffic, seconds: float) -> None:
    work = asyncio.create_task(traffic.run(seconds))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    await asyncio.wait([work])
    if not work.cancelled():
        work.result()


def _visits(wanted: argparse.Namespace) -> Sequence[Visit]:
    if wanted.get:
        return [
            Visit(weight=1, method="GET", route=path, path=lambda _dice, path=path: path)
            for path in wanted.get
        ]
    module, _, name = wanted.scenario.partition(":")
    return getattr(importlib.import_module(module), name)


def _wanted(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.traffic", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("url", help="such as http://127.0.0.1:8000")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second (50)")
    parser.add_argument("--seconds", type=float, default=30.0, help="0 = until stopped (30)")
    parser.add_argument("--scenario", default=DEFAULT_SCENARIO, help=f"({DEFAULT_SCENARIO})")
    parser.add_argument("--get", action="append", help="ask for this path instead; repeatable")
    parser.add_argument("--in-flight-max", type=int, default=IN_FLIGHT_MAX)
    parser.add_argument("--answer-seconds", type=float, default=10.0, help="wait so long (10)")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
