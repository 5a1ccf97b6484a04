"""kill -9 of workers in random phases: only their own requests fail, and all is soon whole."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPException
from typing import TYPE_CHECKING

import pytest

from . import processes
from .harness import LONG, wait_until
from .ledger import Load, Outcome, assert_ledgers_agree
from .processes import Killed, kill_and_list

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Record, Start
    from .harness import Supervised

ROUNDS = 12 if LONG else 1
PHASES = ("idle", "in request", "start-up", "reload", "drain")


@pytest.mark.slow
@pytest.mark.timeout(1200 if LONG else 90)
def test_only_requests_in_the_killed_worker_fail(
    start: Start, record: Record, tmp_path: Path
) -> None:
    server = start("--workers", "2", "--no-access-log", "--drain-seconds", "3").until_ready(2)
    (tmp_path / "startup").write_text("0.2")  # seconds: a start-up long enough to be hit
    drawn = random.Random(11)
    killed: list[Killed] = []
    with Load(server.port, target="/record?seconds=0.01") as load:
        for phase in _phases(drawn):
            seen = load.count
            wait_until(lambda seen=seen: load.count > seen + 30, 10, "30 more answers")
            # A worker that dies within its first second is thought broken, and started later.
            wait_until(lambda: _all_served(server, 1.5), 10, "workers that have served a while")
            kill = _KILLS[phase](server, drawn)
            killed.append(kill)
            seconds = server.until_whole(2, without=(kill.pid,), seconds=20)
            record(
                fault=f"kill -9 of a worker: {phase}",
                metric="until whole again",
                value=seconds,
                unit="s",
                target="1 s",
            )
    _record_losses(record, load.outcome, killed)
    assert not load.outcome.unexplained(killed), load.outcome.explain()
    assert_ledgers_agree(load.outcome, tmp_path)
    assert not [kill.pid for kill in killed if processes.is_alive(kill.pid)]


def test_a_killed_idle_worker_loses_nothing_but_its_connections(start: Start) -> None:
    server = start("--workers", "2").until_ready(2)
    victim = server.workers("ready")[0]
    os.kill(victim, signal.SIGKILL)
    server.until_whole(2, without=(victim,))
    pids = {server.get("/pid")["pid"] for _ in range(20)}
    assert victim not in pids
    restarts = server.status()["restarts"]
    assert restarts >= 1
    wait_until(lambda: "SIGKILL" in _events(server), 10, "the event that names the signal")


def test_all_workers_killed_at_once_come_back(start: Start, record: Record) -> None:
    server = start("--workers", "3").until_ready(3)
    victims = server.workers("ready")
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    seconds = server.until_whole(3, without=tuple(victims), seconds=20)
    record(fault="kill -9 of all 3 workers", metric="until whole again", value=seconds, unit="s")
    assert server.get("/pid")["pid"] not in victims


def test_an_app_that_dies_on_a_request_is_replaced_each_time(start: Start) -> None:
    server = start("--workers", "2").until_ready(2)
    for _ in range(3):
        with pytest.raises((OSError, HTTPException)):
            server.get("/die")
        wait_until(lambda: server.get("/pid")["pid"] > 0, 10, "an answer from the other worker")
    server.until_whole(2, seconds=30)
    assert server.status()["restarts"] >= 1


@pytest.mark.timeout(60)
def test_a_killed_nursery_is_replaced_and_workers_go_on(start: Start, record: Record) -> None:
    server = start("--workers", "2").until_ready(2)
    before = set(server.workers("ready"))
    nurseries = processes.marked(server.mark) - before - {server.pid}
    assert nurseries, "no nursery was found among the supervisor's processes"
    with Load(server.port) as load:
        for pid in nurseries:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: load.count > 200, 20, "200 answers without the nursery")
        assert set(server.workers("ready")) == before
    assert not load.outcome.failed, load.outcome.explain()
    victim = before.pop()
    os.kill(victim, signal.SIGKILL)
    seconds = server.until_whole(2, without=(victim,), seconds=20)
    record(
        fault="kill -9 of the nursery, then a worker",
        metric="until whole again",
        value=seconds,
        unit="s",
    )
    server.reload()
    server.until_whole(2)


def _phases(drawn: random.Random) -> Iterator[str]:
    for _ in range(ROUNDS):
        yield from drawn.sample(PHASES, len(PHASES))


def _kill_idle(server: Supervised, drawn: random.Random) -> Killed:
    return _kill_one(server, drawn, ("ready",), "idle or in request")


def _kill_in_request(server: Supervised, drawn: random.Random) -> Killed:
    victim = drawn.choice(server.workers("ready"))
    wait_until(lambda: processes.accepted_client_ports(victim), 5, "a connection to the victim")
    return kill_and_list(victim, phase="in request")


def _kill_starting(server: Supervised, drawn: random.Random) -> Killed:
    server.send(signal.SIGHUP)
    return _kill_one(server, drawn, ("starting",), "start-up")


def _kill_during_reload(server: Supervised, drawn: random.Random) -> Killed:
    with _reloading(server):
        wait_until(lambda: len(server.workers()) > 2, 10, "the reload's first new worker")
        return _kill_one(server, drawn, (), "reload")


def _kill_draining(server: Supervised, drawn: random.Random) -> Killed:
    with _slow_requests(server.port), _reloading(server):
        return _kill_one(server, drawn, ("draining",), "drain")


def _kill_one(
    server: Supervised, drawn: random.Random, states: tuple[str, ...], phase: str
) -> Killed:
    """Kill some worker in one of these states; one that ends by itself meanwhile is no victim."""
    killed: list[Killed] = []

    def hit() -> bool:
        victims = server.workers(*states)
        with suppress(ProcessLookupError, FileNotFoundError, IndexError):
            killed.append(kill_and_list(drawn.choice(victims), phase=phase))
        return bool(killed)

    wait_until(hit, 15, f"a worker that is {' or '.join(states) or 'there'}")
    return killed[0]


@contextmanager
def _slow_requests(port: int) -> Iterator[None]:
    """Requests that keep old workers draining; whether they are answered is not looked at."""
    with ExitStack() as stack:
        for _ in range(6):
            wire = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            wire.sendall(b"GET /pid?seconds=1 HTTP/1.1\r\nHost: t\r\n\r\n")
        yield


@contextmanager
def _reloading(server: Supervised) -> Iterator[None]:
    """A reload that is under way inside the block, and has ended after it, well or not."""
    thread = threading.Thread(target=server.apply, kwargs={"reload": True}, daemon=True)
    thread.start()
    yield
    thread.join(60)


def _record_losses(record: Record, outcome: Outcome, killed: list[Killed]) -> None:
    fault = f"kill -9 of {len(killed)} workers, in all"
    unexplained = outcome.unexplained(killed)
    record(fault=fault, metric="requests", value=len(outcome.entries))
    record(
        fault=fault,
        metric="lost in the killed workers",
        value=len(outcome.failed) - len(unexplained),
        details=tuple(str(entry) for entry in outcome.failed),
    )
    record(
        fault=fault,
        metric="accepted connections cut",
        value=sum(len(kill.client_ports) for kill in killed),
        details=tuple(str(kill) for kill in killed),
    )
    record(fault=fault, metric="lost elsewhere", value=len(unexplained), target="0")


def _all_served(server: Supervised, seconds: float) -> bool:
    return all(worker["up_seconds"] > seconds for worker in server.status()["workers"])


def _events(server: Supervised) -> str:
    return "\n".join(event["text"] for event in server.status()["events"])


_KILLS = {
    "idle": _kill_idle,
    "in request": _kill_in_request,
    "start-up": _kill_starting,
    "reload": _kill_during_reload,
    "drain": _kill_draining,
}
