"""One of four processes that answer calls stops, or gets four times slower: what callers notice.

Calls come from an open loop: each begins when it is due, whatever became of those before, and its
latency counts from then. An answer takes 4 ms of waiting. One process is stopped for the seconds
given and goes on; later it is slowed down for as long. Latency is told for the time before, for
the first two seconds of each trouble, for the rest of it, and for the time after. No supervisor
takes part: the caller finds out by itself.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from outgrow import CallError, deadline, operation, service
from outgrow.host import Host
from outgrow.host.remote import remote_client
from outgrow.model import App, describe
from outgrow.telemetry import LinkBook
from outgrow.wire import AnsweringConnection, CallingConnection, Meeting, Peers, listen

from .harness import Measurements, publish, turned

REPLICAS = 4
RATE_PER_SECOND = 400.0
WORK_SECONDS = 0.004
SLOWER = 4
GRACE_SECONDS = 2.0
WARM_SECONDS = 0.5
HEDGE_SECONDS = 0.02
DEADLINE_SECONDS = 1.0
PLAIN, HEDGED = "as it is", f"hedge_after={HEDGE_SECONDS:g}"
# What is done to one process, and how it is taken back.
TROUBLES = {
    "stopped": (signal.SIGSTOP, signal.SIGCONT),
    f"{SLOWER} times slower": (signal.SIGUSR1, signal.SIGUSR2),
}
NOTES = f"""
  {RATE_PER_SECOND:g} calls/s, each with {DEADLINE_SECONDS:g} s; one that fails counts with the time
    that it took. `there`: share of the calls that were answered by the process in trouble."""


@service(concurrent_calls_max=1_000)
class Shelf:
    """Says who answers; slower once it was told to be."""

    times = 1

    @operation(idempotent=True)
    async def look(self) -> int:
        """The process that answers."""
        await asyncio.sleep(WORK_SECONDS * Shelf.times)
        return os.getpid()

    @operation(idempotent=True, hedge_after=HEDGE_SECONDS)
    async def look_soon(self) -> int:
        """The same, with a hedge."""
        return await self.look()


@dataclass(frozen=True)
class _Asked:
    """A call; `pid` is who answered, 0 where nobody did."""

    due_at: float
    seconds: float
    pid: int


def run(rounds: int, seconds: float) -> None:
    """Measure both kinds of calls in both troubles."""
    measured = Measurements("slow_replica", reference=PLAIN)
    length = max(seconds, GRACE_SECONDS + 1)
    for number in range(rounds):
        for kind in turned([PLAIN, HEDGED], number):
            for name, signals in TROUBLES.items():
                with _replicas() as replicas:
                    uvloop.run(_measure(measured, kind, name, signals, replicas, length))
    publish(measured)
    print(NOTES)


async def _measure(
    measured: Measurements,
    kind: str,
    name: str,
    signals: tuple[signal.Signals, signal.Signals],
    replicas: dict[str, int],
    seconds: float,
) -> None:
    peers = Peers(lambda changed: CallingConnection(on_change=changed), random.Random(1))
    peers.update({"shelf": [Meeting("unix", path=path) for path in replicas]})
    shelf: Any = remote_client(describe(Shelf), peers, LinkBook())
    look = shelf.look if kind == PLAIN else shelf.look_soon
    victim = next(iter(replicas.values()))
    asked: list[_Asked] = []
    await _load(look, WARM_SECONDS, [])
    loading = asyncio.ensure_future(_load(look, 3 * seconds, asked))
    began = time.monotonic()
    await asyncio.sleep(seconds)
    os.kill(victim, signals[0])
    await asyncio.sleep(seconds)
    os.kill(victim, signals[1])
    await loading
    await peers.close()
    phases = {
        "before": (0.0, seconds),
        f"first {GRACE_SECONDS:g} s": (seconds, seconds + GRACE_SECONDS),
        "then": (seconds + GRACE_SECONDS, 2 * seconds),
        "after": (2 * seconds, 3 * seconds),
    }
    for phase, (start, end) in phases.items():
        some = [each for each in asked if start <= each.due_at - began < end]
        spans = sorted(each.seconds * 1000 for each in some)
        for label, share in (("p50", 0.5), ("p99", 0.99), ("longest", 1.0)):
            value = spans[min(int(len(spans) * share), len(spans) - 1)]
            measured.add(kind, f"{name}, {phase}: {label}", value, "ms")
        failed = sum(not each.pid for each in some)
        there = sum(each.pid == victim for each in some)
        measured.add(kind, f"{name}, {phase}: failed", failed, "calls")
        measured.add(kind, f"{name}, {phase}: there", 100 * there / len(some), "%")


async def _load(look: Callable[[], Awaitable[int]], seconds: float, asked: list[_Asked]) -> None:
    async def one(due_at: float) -> None:
        pid = 0
        try:
            with deadline(DEADLINE_SECONDS):
                pid = await look()
        except CallError:
            pass
        asked.append(_Asked(due_at, time.monotonic() - due_at, pid))

    began = time.monotonic()
    calls: list[asyncio.Future[None]] = []
    for number in range(int(seconds * RATE_PER_SECOND)):
        due_at = began + number / RATE_PER_SECOND
        if (early := due_at - time.monotonic()) > 0:
            await asyncio.sleep(early)
        calls.append(asyncio.ensure_future(one(due_at)))
    await asyncio.gather(*calls)


@contextmanager
def _replicas() -> Iterator[dict[str, int]]:
    """Processes that answer: the pid of each by its address."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        paths = [str(Path(folder, f"{number}.sock")) for number in range(REPLICAS)]
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.slow_replica", path],
                cwd=Path(__file__).parents[1],
                stdout=subprocess.PIPE,
            )
            for path in paths
        ]
        try:
            for each in started:
                assert each.stdout is not None
                assert each.stdout.readline() == b"ready\n", "a replica did not start"
            yield {path: each.pid for path, each in zip(paths, started, strict=True)}
        finally:
            for each in started:
                each.kill()
                each.communicate()


async def _serve(path: str) -> None:
    def be(times: int) -> None:
        Shelf.times = times

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, be, SLOWER)
    loop.add_signal_handler(signal.SIGUSR2, be, 1)
    host = Host(App(services=[Shelf]))
    await host.start()
    answerers = host.answerers()
    await listen(Meeting("unix", path=path), lambda: AnsweringConnection(answerers))
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
