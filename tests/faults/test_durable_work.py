"""Events and jobs while processes die: none is lost, none takes effect twice, all in order."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from . import processes
from .harness import LONG, wait_until
from .work_app import KEYS_COUNT, POISON

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Record, Start
    from .harness import Supervised

SECONDS = float(os.environ.get("FAULTS_SECONDS", "600" if LONG else "2"))
CALLERS = 4
DONE_SECONDS = 90.0


class Crowd:
    """Callers that place orders for as long as a block."""

    def __init__(self, port: int) -> None:
        self.answered: list[int] = []
        self.failed_count = 0
        self._port = port
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(CALLERS)]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}/record", data=b"x")
        while not self._over.is_set():
            try:
                with urllib.request.urlopen(request, timeout=15) as answer:
                    number = answer.read().decode().rpartition(": ")[2].rstrip("}")
                self.answered.append(int(number))
            except (OSError, urllib.error.URLError):
                self.failed_count += 1
                self._over.wait(0.02)


class Databases:
    """What the services wrote."""

    def __init__(self, workspace: Path) -> None:
        self._folder = workspace / ".outgrow"

    def numbers(self, service: str, table: str) -> list[int]:
        """In the order in which they were written."""
        with closing(sqlite3.connect(self._folder / f"{service}.db")) as db:
            order = "number" if table == "placed" else "id"
            return [row[0] for row in db.execute(f"SELECT number FROM {table} ORDER BY {order}")]

    def dead(self) -> list[str]:
        """The kinds of dead letters."""
        with closing(sqlite3.connect(self._folder / "durable.db")) as db:
            return [row[0] for row in db.execute("SELECT name FROM dead")]

    def unfinished_count(self) -> int:
        """Orders that are not billed, but for the poisoned."""
        placed = self.numbers("orders", "placed")
        return len([one for one in placed if one % POISON]) - len(self.numbers("books", "billed"))


def keeper_of(server: Supervised) -> int:
    """The keeper's process; 0 while there is none."""
    for pid in processes.children(server.pid):
        with suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"outgrow.host.durable" in line and processes.is_alive(pid):
                return pid
    return 0


def kill_a_worker(server: Supervised, drawn: random.Random) -> None:
    """A worker dies in the midst of what it does."""
    pids = server.workers("ready")
    if pids:
        with suppress(ProcessLookupError):
            os.kill(drawn.choice(pids), signal.SIGKILL)


def kill_the_keeper(server: Supervised, _: random.Random) -> None:
    """The keeper dies; what it acknowledged is on disk."""
    if pid := keeper_of(server):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def reload(server: Supervised, _: random.Random) -> None:
    """All workers are replaced."""
    server.apply(reload=True)


FAULTS: dict[str, Callable[[Supervised, random.Random], None]] = {
    "a worker is killed": kill_a_worker,
    "the keeper is killed": kill_the_keeper,
    "a reload": reload,
}


@pytest.mark.timeout(SECONDS + 2 * DONE_SECONDS)
def test_what_was_committed_takes_effect_once_and_in_order(
    start: Start, record: Record, tmp_path: Path
) -> None:
    server = start("--workers", "2", "--no-access-log", app="work_app:app").until_ready(2)
    wait_until(lambda: keeper_of(server), 20, "a keeper")
    drawn, end, turn = random.Random(5), time.monotonic() + SECONDS, 0
    names = list(FAULTS)
    with Crowd(server.port) as crowd:
        while time.monotonic() < end:
            seen = len(crowd.answered)
            wait_until(lambda seen=seen: len(crowd.answered) > seen + 20, 30, "20 more answers")
            FAULTS[names[turn % len(names)]](server, drawn)
            turn += 1
    written = Databases(tmp_path)
    wait_until(lambda: written.unfinished_count() <= 0, DONE_SECONDS, "all that was placed")
    placed = written.numbers("orders", "placed")
    poisoned = [one for one in placed if one % POISON == 0]
    wait_until(lambda: len(written.dead()) == len(poisoned), DONE_SECONDS, "the poisoned ones")

    lost = set(crowd.answered) - set(placed)
    booked, billed = written.numbers("books", "booked"), written.numbers("books", "billed")
    record(fault="faults under durable work", metric="orders placed", value=len(placed))
    record(fault="faults under durable work", metric="faults", value=turn)
    assert not lost, "what was answered was not committed"
    assert sorted(booked) == placed, "an event was lost, or took effect twice"
    assert sorted(billed) == [one for one in placed if one % POISON], "likewise a job"
    assert set(written.dead()) <= {"books.poison"}
    for key in range(KEYS_COUNT):
        own = [number for number in booked if number % KEYS_COUNT == key]
        assert own == sorted(own), f"the order of key {key} was not kept"


@pytest.mark.timeout(90)
def test_a_killed_keeper_is_back_before_anyone_gives_up(
    start: Start, record: Record, tmp_path: Path
) -> None:
    server = start("--workers", "2", "--no-access-log", app="work_app:app").until_ready(2)
    wait_until(lambda: keeper_of(server), 20, "a keeper")
    written = Databases(tmp_path)
    with Crowd(server.port) as crowd:
        wait_until(lambda: len(written.numbers("books", "billed")) > 5, 30, "some work")
        pid = keeper_of(server)
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        seen = len(written.numbers("books", "billed"))
        wait_until(lambda: len(written.numbers("books", "billed")) > seen + 20, 30, "more work")
        record(
            fault="kill -9 of the keeper",
            metric="until work goes on",
            value=time.monotonic() - began,
            unit="s",
            target="2 s",
        )
        wait_until(lambda: keeper_of(server) not in (0, pid), 20, "another keeper")
    assert not crowd.failed_count, "requests do not wait for the keeper"


@pytest.mark.timeout(60)
def test_nothing_of_it_outlives_the_supervisor(start: Start) -> None:
    server = start("--workers", "1", app="work_app:app").until_ready(1)
    wait_until(lambda: keeper_of(server), 20, "a keeper")
    pid = keeper_of(server)
    server.send(signal.SIGKILL)
    wait_until(lambda: not processes.is_alive(pid), 20, "the keeper's end")
