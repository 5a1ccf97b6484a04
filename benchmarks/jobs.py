"""A job that does nothing, from being enqueued to having run: ours beside other libraries.

`enqueue` is one process that enqueues as quickly as it can, from 64 callers where the library is
asynchronous; `run` is one worker process that finds all of them waiting; `pick-up` is the time from
sending a single job to its begin, on an idle system. Each round begins with an empty store.

Durability differs. Ours is on the disk when `enqueue` returns (SQLite with `synchronous=FULL`,
PostgreSQL with fsync); Redis keeps jobs in memory, without its append-only file, and loses them
when it dies; Huey's SQLite waits for the disk as ours does, but takes a job out before it is run.

The others are not of the development set: `pip install` those of which this says that they are
missing. Redis is Debian's `redis-server`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from . import servers
from .durable import postgres_server
from .harness import Measurements, publish, turned
from .working import CONTENDERS, REDIS, Contender
from .working.ran import COUNT, FOLDER, Outcome

REFERENCE = "outgrow, SQLite"
CALLERS = 64
SINGLES, PAUSE_SECONDS = 100, 0.02
# A worker that is asked for single jobs has to be there before the first is sent.
WARM_SECONDS = 3.0
ROUND_SECONDS_MAX = 120.0
NOTES = """
  One process sends, another runs; ours does both in one where single jobs are measured, as one
    process owns the file. Ours has 10 slots; Celery and Dramatiq eight threads; Huey one thread
    that looks every 20 ms; arq, Taskiq, Procrastinate 64 at once; PgQueuer batches of 100.
  A service that enqueues inside its own SQLite transaction is held by the disk to one commit at a
    time: `python -m benchmarks durable`, `enqueue alone`."""


def run(rounds: int, seconds: float) -> None:
    """Measure all that are installed, each with as many jobs as it does in some seconds."""
    lacking = {name: missing(each) for name, each in CONTENDERS.items() if missing(each)}
    for name, packages in lacking.items():
        print(f"  {name} was left out: {', '.join(packages)} is not installed")
    names = [name for name in CONTENDERS if name not in lacking]
    tools = {**_versions(names), "load average before": f"{os.getloadavg()[0]:.2f}"}
    measured = Measurements("jobs", reference=REFERENCE, tools=tools)
    with ExitStack() as stack:
        stores = {CONTENDERS[name].store for name in names}
        postgres = stack.enter_context(postgres_server()) if "postgresql" in stores else None
        redis = stack.enter_context(_redis()) if REDIS in stores else ""
        for number in range(rounds):
            for name in turned(names, number):
                count = max(100, int(CONTENDERS[name].count * min(1.0, seconds / 3)))
                with _place(CONTENDERS[name], postgres, redis, number) as (folder, url):
                    _measure(measured, name, folder, url, count)
                with _place(CONTENDERS[name], postgres, redis, number) as (folder, url):
                    _pick_up(measured, name, folder, url)
    publish(measured)
    print(NOTES)


def missing(contender: Contender) -> list[str]:
    """What is not installed of what it needs."""
    found = [package for package in contender.packages if not _version(package)]
    if contender.store == REDIS and not shutil.which("redis-server"):
        found.append("redis-server")
    return found


def _measure(measured: Measurements, name: str, folder: Path, url: str, count: int) -> None:
    sent = _sent(name, folder, url, count, CALLERS, 0.0)
    measured.add(name, "enqueue: jobs", count / sent["seconds"], "1/s")
    measured.add(name, "enqueue: CPU", sent["cpu_seconds"] / count * 1e6, "us")
    with _worker(name, folder, url, count):
        outcome = _outcome(name, folder)
    measured.add(name, "run: jobs", count / outcome.seconds, "1/s")
    measured.add(name, "run: CPU", outcome.cpu_seconds / count * 1e6, "us")


def _pick_up(measured: Measurements, name: str, folder: Path, url: str) -> None:
    if CONTENDERS[name].module == "in_outgrow":
        words = ["singles", name, str(folder), url, str(SINGLES), str(PAUSE_SECONDS)]
        with _process(words, folder, SINGLES):
            outcome = _outcome(name, folder)
    else:
        _sent(name, folder, url, 1, 1, 0.0)  # makes its tables
        with _worker(name, folder, url, SINGLES + 1):
            time.sleep(WARM_SECONDS)
            _sent(name, folder, url, SINGLES, 1, PAUSE_SECONDS)
            outcome = _outcome(name, folder)
            outcome.waited_us.pop()
    waited_us = outcome.waited_us
    measured.add(name, "pick-up: p50", waited_us[len(waited_us) // 2] / 1e3, "ms")
    measured.add(name, "pick-up: p99", waited_us[int(len(waited_us) * 0.99) - 1] / 1e3, "ms")


def _sent(
    name: str, folder: Path, url: str, count: int, callers: int, pause: float
) -> dict[str, float]:
    words = ["send", name, str(folder), url, str(count), str(callers), str(pause)]
    command = [sys.executable, "-m", "benchmarks.working", *words]
    ended = subprocess.run(command, capture_output=True, check=False, timeout=ROUND_SECONDS_MAX)
    assert ended.returncode == 0, f"{name}: {ended.stderr.decode()[-2000:]}"
    return json.loads(ended.stdout)


def _outcome(name: str, folder: Path) -> Outcome:
    path, end = folder / "outcome.json", time.monotonic() + ROUND_SECONDS_MAX
    while not path.exists():
        log = folder / "worker.log"
        assert time.monotonic() < end, f"{name} did not end: {log.read_text()[-2000:]}"
        time.sleep(0.02)
    return msgspec.json.decode(path.read_bytes(), type=Outcome)


@contextmanager
def _worker(name: str, folder: Path, url: str, count: int) -> Iterator[None]:
    with _process(["work", name, str(folder), url], folder, count):
        yield


@contextmanager
def _process(words: list[str], folder: Path, count: int) -> Iterator[None]:
    environment = {**os.environ, FOLDER: str(folder), COUNT: str(count)}
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.working", *words],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def _place(
    contender: Contender, postgres: Any, redis: str, number: int
) -> Iterator[tuple[Path, str]]:
    """An empty store: the folder, and the server's URL."""
    # Beside the checkout: a temporary folder may be in memory, which is no disk.
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=Path.cwd()))
    try:
        if contender.store == "postgresql":
            label = f"jobs_{contender.module}_{number}_{time.monotonic_ns()}"
            postgres.psql(f"CREATE DATABASE {label}")
            yield folder, postgres.get_uri(database=label)
            postgres.psql(f"DROP DATABASE {label} WITH (FORCE)")
        elif contender.store == REDIS:
            port = redis.rpartition(":")[2].partition("/")[0]
            subprocess.run(["redis-cli", "-p", port, "FLUSHALL"], capture_output=True, check=True)
            yield folder, redis
        else:
            yield folder, ""
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _redis() -> Iterator[str]:
    """A Redis in memory; its URL."""
    port = servers.free_port()
    command = ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            ping = ["redis-cli", "-p", str(port), "PING"]
            while subprocess.run(ping, capture_output=True, check=False).stdout != b"PONG\n":
                assert process.poll() is None, "redis-server has ended"
                time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()


def _versions(names: list[str]) -> dict[str, str]:
    packages = dict.fromkeys(package for name in names for package in CONTENDERS[name].packages)
    return {package: _version(package) for package in packages}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
