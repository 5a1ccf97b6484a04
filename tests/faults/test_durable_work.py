"""Events and jobs while processes die: none is lost, none takes effect twice, all in order."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from . import processes
from .harness import LONG, wait_until
from .work_app import BESIDE, KEY_SLOTS, KEYS_COUNT, QUEUE, QUEUE_SLOTS, numbers_beside
from .work_ledger import Freeze, WorkLedger, most_at_once

if TYPE_CHECKING:
    from .conftest import Record, Start
    from .harness import Supervised

SECONDS = float(os.environ.get("FAULTS_SECONDS", "600" if LONG else "2"))
CALLERS = 4
KEYS = range(KEYS_COUNT)
DONE_SECONDS = 300.0 if LONG else 90.0
# So many bounded jobs, and so many orders, may wait before callers wait for them.
JOBS_BEHIND_COUNT, ORDERS_BEHIND_COUNT = 2_000, 300
ANSWERS_BETWEEN_FAULTS = 150 if LONG else 20
POISON = 1_000 if LONG else 100
# Long enough for a lease to be lost, and not to be taken for stuck by the supervisor.
FREEZE_EVERY, FREEZE_SECONDS_MAX = 15, 90.0
OPTIONS = ("--no-access-log", "--queue", QUEUE, "--stuck-seconds", "600")


class Crowd:
    """Callers that place orders for as long as a block, and wait where the work gets behind."""

    def __init__(self, port: int, ledger: WorkLedger, written: Databases) -> None:
        self.answered: list[int] = []
        self.failed_count = 0
        self._port = port
        self._ledger = ledger
        self._written = written
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
            if self._is_behind():
                self._over.wait(0.02)
                continue
            try:
                with urllib.request.urlopen(request, timeout=15) as answer:
                    self.answered += json.load(answer)["numbers"]
            except (OSError, urllib.error.URLError):
                self.failed_count += 1
                self._over.wait(0.02)

    def _is_behind(self) -> bool:
        orders_count = len(self.answered)
        jobs_behind_count = orders_count * BESIDE * 2 - self._ledger.ended_count()
        orders_behind_count = orders_count - self._written.booked_count()
        is_behind = jobs_behind_count > JOBS_BEHIND_COUNT
        return is_behind or orders_behind_count > ORDERS_BEHIND_COUNT


class Databases:
    """What the services wrote."""

    def __init__(self, workspace: Path) -> None:
        self._folder = workspace / ".outgrow"

    def numbers(self, service: str, table: str) -> list[int]:
        """In the order in which they were written."""
        with closing(sqlite3.connect(self._folder / f"{service}.db")) as db:
            order = "number" if table == "placed" else "id"
            return [row[0] for row in db.execute(f"SELECT number FROM {table} ORDER BY {order}")]

    def booked_count(self) -> int:
        """Orders that were received."""
        with closing(sqlite3.connect(self._folder / "books.db")) as db:
            return db.execute("SELECT coalesce(max(id), 0) FROM booked").fetchone()[0]

    def dead(self) -> list[tuple[str, int]]:
        """What the dead letters are, and of which order."""
        rows = self._kept("SELECT name, copy FROM dead")
        return sorted((name, _number(msgspec.msgpack.decode(copy)["body"])) for name, copy in rows)

    def workers(self) -> list[str]:
        """The names of those that have a lease."""
        return [name for (name,) in self._kept("SELECT name FROM worker")]

    def left_count(self) -> int:
        """Jobs and events that are not done."""
        (jobs,), (unread,) = self._kept(
            "SELECT count(*) FROM job UNION ALL SELECT (SELECT count(*) FROM parked) + "
            "(SELECT coalesce(sum(h.offset - c.offset), 0) FROM cursor c JOIN subscription s "
            "ON s.name = c.subscription JOIN head h "
            "ON h.topic = s.topic AND h.partition = c.partition)"
        )
        return jobs + unread

    def unfinished_count(self) -> int:
        """Orders that are not billed, but for the poisoned."""
        placed = self.numbers("orders", "placed")
        return len([one for one in placed if one % POISON]) - len(self.numbers("books", "billed"))

    def _kept(self, asked: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._folder / "durable.db")) as db:
            return db.execute(asked).fetchall()


def _number(arguments: bytes) -> int:
    """The order that a job is about."""
    return msgspec.msgpack.decode(arguments)["number"]


@dataclass
class Faults:
    """What happens to a server.

    Attributes:
        server: The server.
        ledger: Told when workers die and stand still.
        written: What it wrote so far.
        drawn: Chooses.
    """

    server: Supervised
    ledger: WorkLedger
    written: Databases
    drawn: random.Random

    def kill_a_worker(self) -> None:
        """A worker dies in the midst of what it does."""
        if pid := self._any_worker():
            self.ledger.deaths_ns[pid] = time.monotonic_ns()
            _send(pid, signal.SIGKILL)

    def kill_the_keeper(self) -> None:
        """The keeper dies; what it acknowledged is on disk."""
        _send(keeper_of(self.server), signal.SIGKILL)

    def reload(self) -> None:
        """All workers are replaced."""
        self.server.apply(reload=True)

    def freeze_a_worker(self) -> None:
        """A worker stands still until its lease is lost, and goes on."""
        pid = self._any_worker()
        if not pid:
            return
        from_ns = time.monotonic_ns()
        _send(pid, signal.SIGSTOP)
        wait_until(
            lambda: all(f" {pid} " not in name for name in self.written.workers()),
            FREEZE_SECONDS_MAX,
            "the end of a lease",
        )
        self.ledger.freezes.append(Freeze(pid, from_ns, time.monotonic_ns()))
        _send(pid, signal.SIGCONT)

    def nth(self, turn: int) -> None:
        """One after another."""
        if LONG and turn % FREEZE_EVERY == FREEZE_EVERY - 1:
            self.freeze_a_worker()
            return
        (self.kill_a_worker, self.kill_the_keeper, self.reload)[turn % 3]()

    def _any_worker(self) -> int:
        pids = self.server.workers("ready")
        return self.drawn.choice(pids) if pids else 0


def _send(pid: int, number: signal.Signals) -> None:
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def keeper_of(server: Supervised) -> int:
    """The keeper's process; 0 while there is none."""
    for pid in processes.children(server.pid):
        with suppress(OSError):
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"outgrow.host.durable" in line and processes.is_alive(pid):
                return pid
    return 0


@pytest.mark.timeout(SECONDS + 2 * DONE_SECONDS)
def test_what_was_committed_takes_effect_once_and_in_order(
    start: Start, record: Record, tmp_path: Path
) -> None:
    env = {"POISON": str(POISON)}
    server = start("--workers", "2", *OPTIONS, app="work_app:app", env=env).until_ready(2)
    wait_until(lambda: keeper_of(server), 20, "a keeper")
    end, turn, ledger = time.monotonic() + SECONDS, 0, WorkLedger(tmp_path)
    written = Databases(tmp_path)
    faults = Faults(server, ledger, written, random.Random(5))
    with Crowd(server.port, ledger, written) as crowd:
        while time.monotonic() < end:
            wanted = len(crowd.answered) + ANSWERS_BETWEEN_FAULTS
            wait_until(lambda wanted=wanted: len(crowd.answered) > wanted, 60, "more answers")
            faults.nth(turn)
            turn += 1
    wait_until(lambda: written.unfinished_count() <= 0, DONE_SECONDS, "all that was placed")
    placed = written.numbers("orders", "placed")
    poisoned = [("books.poison", one) for one in placed if one % POISON == 0]
    wait_until(lambda: len(written.dead()) >= len(poisoned), DONE_SECONDS, "the poisoned ones")
    wait_until(lambda: not written.left_count(), DONE_SECONDS, "all that waits")

    lost = set(crowd.answered) - set(placed)
    booked, billed = written.numbers("books", "booked"), written.numbers("books", "billed")
    beside = {number for one in placed for number in numbers_beside(one)}
    ended, most = ledger.ended(), most_at_once(ledger.runs())
    for metric, value in (
        ("events", len(placed)),
        ("jobs", len(placed) + 2 * len(beside)),
        ("dead letters", len(poisoned)),
        ("faults", turn),
        ("of them freezes beyond the lease", len(ledger.freezes)),
        ("requests that failed", crowd.failed_count),
        (f"most of a queue at once, {QUEUE_SLOTS} may", most["wide", "-"]),
        (f"most of a key at once, {KEY_SLOTS} may", max(most["keyed", str(k)] for k in KEYS)),
    ):
        record(fault="faults under durable work", metric=metric, value=value)
    assert not lost, "what was answered was not committed"
    assert sorted(booked) == placed, "an event was lost, or took effect twice"
    assert sorted(billed) == [one for one in placed if one % POISON], "likewise a job"
    assert ended["wide"] == ended["keyed"] == beside, "a bounded job was lost"
    assert written.dead() == poisoned, "the dead letters are the poisoned, each once"
    for key in KEYS:
        own = [number for number in booked if number % KEYS_COUNT == key]
        assert own == sorted(own), f"the order of key {key} was not kept"
        assert 0 < most["keyed", str(key)] <= KEY_SLOTS, "more of a key ran at once than may"
    assert 0 < most["wide", "-"] <= QUEUE_SLOTS, "more of a queue ran at once than may"


@pytest.mark.timeout(90)
def test_a_killed_keeper_is_back_before_anyone_gives_up(
    start: Start, record: Record, tmp_path: Path
) -> None:
    server = start("--workers", "2", *OPTIONS, app="work_app:app").until_ready(2)
    wait_until(lambda: keeper_of(server), 20, "a keeper")
    written = Databases(tmp_path)
    with Crowd(server.port, WorkLedger(tmp_path), written) as crowd:
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
