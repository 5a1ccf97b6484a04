"""What it costs to be observed: a call, a request, an idle worker; and with an observer that hangs.

`outgrow` is observed as it is by default: every call counted, traces and logs recorded and kept by
what became of them, all reported once a second to the observer beside it. `not observed` is the
same without. `observer stopped` has its observer stopped by SIGSTOP; `observer killed` has each of
its observers killed as soon as there is one; the one of `disk full` can write no file. Beside them
uvicorn, plain, and with OpenTelemetry's instrumentation of FastAPI, whose spans go in batches to a
process that throws them away.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from pathlib import Path

import uvloop

from outgrow import deadline
from outgrow.telemetry import begin_segment, enter_segment, here, keeper, recording
from outgrow.testing import running

from . import cost, servers
from .harness import Measurements, publish, turned
from .injection.graph import First, by_hand
from .load import generator, load
from .open_loop import Stage, open_loop
from .servers import Contender, Server

APP = "fastapi_app:app"
PATHS = {"5 B": "/", "1 kB JSON": "/order"}
STEADY_PER_SECOND = 2000.0
IDLE_SECONDS = 5.0
CALLS = 20  # of `First.one` in a request; each makes two more
SLICES = 40
OFF, TRACED = "not observed", "uvicorn, OpenTelemetry"
STOPPED, KILLED, FULL = "observer stopped", "observer killed", "disk full"
LOOK_SECONDS = 0.25
NOTES = """
  `added per nested call`: by the call path, to a plain `await`; `recording adds` is the part of it
    that traces and their counts take: within a request that is recorded, against one that is not.
  `idle`: CPU time of a worker without requests, of one core: heartbeat, probes and reports.
  `steady`: at 2,000 requests/s, from a generator on another core; where the machine cannot serve
    twice as many, at half of what it can, and the CPU time of the worker is that of 2,000.
  The observer is a process of its own, whose CPU time is in `other processes`."""


def run(rounds: int, seconds: float) -> None:
    """A call in process, then requests under full and under steady load, then memory."""
    measured = Measurements("telemetry", reference=OFF, tools=generator())
    for number in range(rounds):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_calls(measured, number))
    with ExitStack() as stack:
        os.environ["BENCH_SPANS"] = stack.enter_context(_sink())
        _requests(measured, stack, rounds, seconds)
    publish(measured)
    print(NOTES)


# A call within one process.


async def _calls(measured: Measurements, number: int) -> None:
    plain = by_hand()
    sieve = keeper.sieve("GET /bench")
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(running([First]))
        client = app.client(First)

        async def in_plain() -> None:
            for _ in range(CALLS):
                await plain.one("tea", 2)

        async def not_recorded() -> None:
            with deadline(600):
                for _ in range(CALLS):
                    await client.one("tea", 2)

        async def recorded() -> None:
            segment = begin_segment(time.monotonic_ns())
            enter_segment(segment)
            with deadline(600):
                for _ in range(CALLS):
                    await client.one("tea", 2)
            here.set(None)
            sieve.end(segment, time.monotonic_ns(), 200, "GET")

        ways = {"plain": in_plain, OFF: not_recorded, "outgrow": recorded}
        spent = await _spent(ways, number)
    for name in (OFF, "outgrow"):
        added = (spent[name] - spent["plain"]) / 3
        measured.add(name, "in process: added per nested call", added, "us")
    adds = (spent["outgrow"] - spent[OFF]) / 3
    measured.add("outgrow", "in process: recording adds", adds, "us")


async def _spent(
    ways: Mapping[str, Callable[[], Awaitable[None]]], number: int
) -> dict[str, float]:
    """The quietest tenth of many slices, in microseconds of CPU for a call of `one`."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for name in turned(list(ways), number) * SLICES:
        recording.is_on = name == "outgrow"
        gc.collect()
        began = time.process_time_ns()
        for _ in range(25):
            await ways[name]()
        spent[name].append((time.process_time_ns() - began) / (25 * CALLS) / 1e3)
        keeper.take()
    recording.is_on = False
    return {name: statistics.quantiles(each, n=10)[0] for name, each in spent.items()}


# Requests.


def _contenders() -> list[tuple[Contender, str]]:
    return [
        (servers.outgrow(name=OFF), APP),
        (servers.outgrow(is_observed=True, name="outgrow"), APP),
        *((servers.outgrow(is_observed=True, name=name), APP) for name in DISTURBANCES),
        (servers.uvicorn(), APP),
        (Contender(name=TRACED, command=servers.uvicorn().command), "traced_app:app"),
    ]


def _requests(measured: Measurements, stack: ExitStack, rounds: int, seconds: float) -> None:
    running_now = [stack.enter_context(servers.serving(each, app)) for each, app in _contenders()]
    for server in running_now:
        server.until_answering()
        load(server.port, "/order", 1)  # warm
    for server in running_now:
        if server.name in ("outgrow", *DISTURBANCES):
            _until_observed(server)
    for number in range(rounds):
        rates: list[float] = []
        for answer, path in PATHS.items():
            found = turned(running_now, number)
            rates += [_full(measured, server, answer, path, seconds) for server in found]
        per_second = min(STEADY_PER_SECOND, 0.5 * min(rates))
        for server in turned(running_now, number):
            _steady(measured, server, per_second, seconds)
            _idle(measured, server)
    for server in running_now:
        memory = cost.pss_bytes(_worker(server)) / 2**20
        measured.add(server.name, "memory: PSS of the worker", memory, "MB")


def _full(measured: Measurements, server: Server, answer: str, path: str, seconds: float) -> float:
    worker = _worker(server)
    with _disturbed(server):
        before = cost.cpu_by_process(server.process.pid)
        rate = load(server.port, path, seconds)
        after = cost.cpu_by_process(server.process.pid)
    # wrk gives up after two seconds, which on a busy machine the slowest contender may take.
    allowed = rate.requests // 100 if server.name == TRACED else 0
    assert rate.errors <= allowed, f"{server.name}: {rate.errors} errors under load"
    used = {pid: spent - before.get(pid, 0.0) for pid, spent in after.items()}
    besides = sum(spent for pid, spent in used.items() if pid != worker)
    measured.add(server.name, f"{answer}: rate", rate.per_second, "requests/s")
    measured.add(server.name, f"{answer}: p50", rate.p50_ms, "ms")
    measured.add(server.name, f"{answer}: p99", rate.p99_ms, "ms")
    measured.add(server.name, f"{answer}: CPU", used[worker] * 1e6 / rate.requests, "us/request")
    if besides:
        each = besides * 1e6 / rate.requests
        measured.add(server.name, f"{answer}: other processes", each, "us/request")
    return rate.per_second


def _steady(measured: Measurements, server: Server, per_second: float, seconds: float) -> None:
    worker = _worker(server)
    stages = [Stage(per_second, max(seconds, 2.0))]
    with _disturbed(server):
        before = cost.cpu_seconds(worker)
        _, answers = open_loop(server.port, "/order", stages, lambda: None, connections=50)
        spent = (cost.cpu_seconds(worker) - before) / len(answers)
    failed = [each for each in answers if each.status != 200]
    allowed = len(answers) // 100 if server.name == TRACED else 0
    said = f"{server.name}: {len(failed)} of {len(answers)} requests failed"
    assert len(failed) <= allowed, said
    waits = statistics.quantiles([each.seconds - each.late_seconds for each in answers], n=100)
    measured.add(server.name, "steady: CPU", spent * 1e6, "us/request")
    share = 100.0 * spent * STEADY_PER_SECOND
    measured.add(server.name, "steady: of a core", share, "percent")
    measured.add(server.name, "steady: p50", waits[49] * 1e3, "ms")
    measured.add(server.name, "steady: p99", waits[98] * 1e3, "ms")


def _idle(measured: Measurements, server: Server) -> None:
    worker = _worker(server)
    before = cost.cpu_seconds(worker)
    time.sleep(IDLE_SECONDS)
    share = 100.0 * (cost.cpu_seconds(worker) - before) / IDLE_SECONDS
    measured.add(server.name, "idle: of a core", share, "percent")


def _worker(server: Server) -> int:
    found = server.answers()
    assert found, f"{server.name} does not answer:\n{server.output()}"
    return found


def _stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _let_write_nothing(pid: int) -> None:
    """Any write beyond the first byte of a file fails, as on a full disk."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))


DISTURBANCES = {STOPPED: _stop, KILLED: _kill, FULL: _let_write_nothing}


@contextmanager
def _disturbed(server: Server) -> Iterator[None]:
    """Do to its observer, and to each that follows it, what the contender is there for."""
    disturb = DISTURBANCES.get(server.name)
    is_over = threading.Event()

    def go_on() -> None:
        while disturb is not None:
            for pid in filter(_is_observer, cost.tree(server.process.pid)):
                with suppress(ProcessLookupError):
                    disturb(pid)
            if is_over.wait(LOOK_SECONDS):
                return

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _until_observed(server: Server) -> int:
    """Wait until an observer hears the worker; its process id."""
    give_up = time.monotonic() + servers.START_SECONDS
    while time.monotonic() < give_up:
        observers = [pid for pid in cost.tree(server.process.pid) if _is_observer(pid)]
        if observers and _hears(observers[0]):
            return observers[0]
        time.sleep(0.1)
    raise AssertionError(f"no observer hears {server.name}:\n{server.output()}")


def _is_observer(pid: int) -> bool:
    try:
        return b"outgrow.dashboard" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _hears(observer: int) -> bool:
    """Whether a worker is connected to it."""
    files = [str(path.readlink()) for path in Path(f"/proc/{observer}/fd").iterdir()]
    lines = Path("/proc/net/unix").read_text().splitlines()[1:]
    connected = [line.split() for line in lines if line.endswith("observer.sock")]
    return any(f"socket:[{words[6]}]" in files and words[5] == "03" for words in connected)


@contextmanager
def _sink() -> Iterator[str]:
    """A process that throws away the spans it is sent; its address."""
    port = servers.free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.sink", str(port)])
    try:
        yield f"http://127.0.0.1:{port}/v1/traces"
    finally:
        process.terminate()
        process.wait()
