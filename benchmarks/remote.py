"""A call from one process to another: calls per second, latency, and CPU of both ends.

A record of ten fields, 200 bytes in MessagePack, goes there and back, from 1, 16 and 64 callers at
once; then bytes of several sizes, and streams of records and of chunks. Ours counts the call, lets
it through a bulkhead, carries its deadline and checks its values. All contenders run all the time,
and take turns: who is not measured waits for a line on its standard input.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import msgspec

from . import cost, crossing, servers
from .crossing.asking import Load, Outcome
from .harness import Measurements, Row, publish, turned

AT_ONCE = (1, 16, 64)
BUSY = "200 B record, 64 at once"
WARM_SECONDS = 0.3
# Bytes -> callers at once.
SIZES_BYTES = {1_000: 16, 100_000: 16, 4_000_000: 4}
WITH_BYTES = ("outgrow", "grpc.aio", "FastAPI, aiohttp")
WITH_STREAMS = ("outgrow", "grpc.aio")
# The ratios that are told apart: of the first to the quickest of the others.
AGAINST = {
    "grpc.aio": ("grpc.aio", "grpc.aio, TCP"),
    "nats-py": ("nats-py",),
    "pyzmq": ("pyzmq",),
    "FastAPI, aiohttp": ("FastAPI, aiohttp",),
    "FastAPI, httpx": ("FastAPI, httpx",),
}
NOTES = """
  Each end is one process on uvloop. Over Unix sockets: outgrow, grpc.aio, pyzmq (ipc); the others
    over TCP on the loopback. nats-server's CPU is part of `CPU answering`.
  `outgrow`: calls made within a request or an operation, whose deadline holds for all of them;
    `a deadline each`: calls outside of all, each of which begins its own, with a timer.
  Values: a frozen dataclass for outgrow; protobuf for grpc.aio; the dataclass through
    msgspec.msgpack for nats-py and pyzmq, which carry bytes; pydantic and JSON for FastAPI.
  MB/s of calls count both ways; streams flow one way. One stream at a time."""


@dataclass
class _Pair:
    """The two ends of one contender.

    Attributes:
        name: Of the contender.
    """

    name: str
    calling: subprocess.Popen[bytes]

    def measured(self, load: Load) -> Outcome:
        """Have the calling end make a load."""
        assert self.calling.stdin is not None
        assert self.calling.stdout is not None
        self.calling.stdin.write(msgspec.json.encode(load) + b"\n")
        self.calling.stdin.flush()
        line = self.calling.stdout.readline()
        assert line, f"{self.name}: its calling end has ended"
        return msgspec.json.decode(line, type=Outcome)


def run(rounds: int, seconds: float) -> None:
    """Measure all that are installed."""
    lacking = crossing.missing()
    tools = {**crossing.versions(), "load average before": f"{os.getloadavg()[0]:.2f}"}
    measured = Measurements("remote", reference="outgrow", tools=tools)
    with ExitStack() as stack:
        names = [name for name in crossing.CONTENDERS if name not in lacking]
        pairs = [stack.enter_context(_both_ends(name)) for name in names]
        for number in range(-1, rounds):  # the first one warms, and is forgotten
            kept = measured if number >= 0 else Measurements("remote")
            length = seconds if number >= 0 else WARM_SECONDS
            _records(kept, turned(pairs, number), length)
            _blobs(kept, _those(pairs, WITH_BYTES, number), length)
            _streams(kept, _those(pairs, WITH_STREAMS, number), length)
    _compare(measured)
    publish(measured)
    print(_spread(measured.rows()), NOTES, sep="\n")
    for name, packages in lacking.items():
        print(f"  {name} was left out: {', '.join(packages)} is not installed")


def _records(measured: Measurements, pairs: list[_Pair], seconds: float) -> None:
    for at_once in AT_ONCE:
        for pair in pairs:
            outcome = pair.measured(Load("record", seconds, at_once))
            label = f"200 B record, {at_once} at once"
            _keep_calls(measured, pair.name, label, outcome)
            measured.add(pair.name, f"{label}: p50", outcome.p50_us, "us")
            measured.add(pair.name, f"{label}: p99", outcome.p99_us, "us")


def _blobs(measured: Measurements, pairs: list[_Pair], seconds: float) -> None:
    for size_bytes, at_once in SIZES_BYTES.items():
        for pair in pairs:
            outcome = pair.measured(Load("blob", seconds, at_once, size_bytes))
            label = f"{size_bytes // 1000:,} kB there and back, {at_once} at once"
            _keep_calls(measured, pair.name, label, outcome)
            _keep_bytes(measured, pair.name, label, outcome)


def _streams(measured: Measurements, pairs: list[_Pair], seconds: float) -> None:
    for pair in pairs:
        outcome = pair.measured(Load("records", seconds))
        _keep(measured, pair.name, "stream of 200 B records", "items", outcome)
    for pair in pairs:
        outcome = pair.measured(Load("chunks", seconds))
        label = "stream of 64 kB chunks"
        _keep(measured, pair.name, label, "items", outcome)
        _keep_bytes(measured, pair.name, label, outcome)


def _keep_calls(measured: Measurements, name: str, label: str, outcome: Outcome) -> None:
    _keep(measured, name, label, "calls", outcome)


def _keep(measured: Measurements, name: str, label: str, what: str, outcome: Outcome) -> None:
    measured.add(name, f"{label}: {what}", outcome.count / outcome.seconds, f"{what}/s")
    measured.add(name, f"{label}: CPU calling", outcome.calling_us, "us")
    measured.add(name, f"{label}: CPU answering", outcome.answering_us, "us")
    measured.add(name, f"{label}: CPU", outcome.calling_us + outcome.answering_us, "us")


def _keep_bytes(measured: Measurements, name: str, label: str, outcome: Outcome) -> None:
    measured.add(name, f"{label}: bytes", outcome.bytes / outcome.seconds / 1e6, "MB/s")


def _those(pairs: list[_Pair], names: tuple[str, ...], number: int) -> list[_Pair]:
    found = [pair for pair in pairs if pair.name in names]
    return turned(found, number) if found else []


# The other way round: how many times as much ours does, and how much less it costs.


def _compare(measured: Measurements) -> None:
    rows = {(row.contender, row.metric): row for row in measured.rows()}

    def of(name: str, column: str) -> Row:
        return rows[name, f"{BUSY}: {column}"]

    ours, ours_cpu = of("outgrow", "calls"), of("outgrow", "CPU")
    for shown, names in AGAINST.items():
        present = [name for name in names if (name, f"{BUSY}: calls") in rows]
        if not present:
            continue
        best = max(present, key=lambda name: of(name, "calls").value)
        label = "outgrow against each, 64 at once"
        for mine, theirs in zip(ours.rounds, of(best, "calls").rounds, strict=True):
            measured.add(shown, f"{label}: calls", mine / theirs, "times")
        for mine, theirs in zip(ours_cpu.rounds, of(best, "CPU").rounds, strict=True):
            measured.add(shown, f"{label}: CPU", theirs / mine, "times less")


def _spread(rows: list[Row]) -> str:
    """From the worst round to the best, of what is counted per second and of the ratios."""
    lines = ["\n  From the lowest round to the highest (median):"]
    for row in rows:
        if row.metric.endswith((": calls", ": items")):
            low, high = min(row.rounds), max(row.rounds)
            shown = " - ".join(
                f"{each:,.0f}" if each >= 100 else f"{each:.1f}" for each in (low, high)
            )
            what = f"{row.metric.rpartition(':')[0]}, {row.contender}"
            lines.append(f"    {what:66}{shown:>20} ({median(row.rounds):,.1f}) {row.unit}")
    return "\n".join(lines)


# Processes.


@contextmanager
def _both_ends(name: str) -> Iterator[_Pair]:
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        port = servers.free_port()
        with _end("serve", name, folder, port) as answering:
            assert answering.stdout is not None
            line = answering.stdout.readline()
            assert line.strip() == b"ready", f"{name}: its answering end did not start"
            with _end("ask", name, folder, port, str(answering.pid)) as calling:
                yield _Pair(name, calling)


@contextmanager
def _end(
    side: str, name: str, folder: str, port: int, *rest: str
) -> Iterator[subprocess.Popen[bytes]]:
    words = ["-m", "benchmarks.crossing", side, name, folder, str(port), *rest]
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        members = cost.tree(process.pid)  # a broker is a child, which nobody else ends
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        for pid in members:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
