"""Stopped and stuck workers: others serve, the stuck one is dumped, killed and replaced."""

from __future__ import annotations

import os
import signal
import socket
import time
from typing import TYPE_CHECKING

import pytest

from . import processes
from .harness import LONG, wait_until
from .ledger import Load

if TYPE_CHECKING:
    from .conftest import Record, Start
    from .harness import Supervised


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_no_new_connection_hangs_while_a_worker_is_stopped(start: Start, record: Record) -> None:
    server = start("--workers", "2", "--no-access-log").until_ready(2)
    victim, other = server.workers("ready")
    with Load(server.port, keeping=0, closing=16, pauses_seconds=(0.01, 0.03)) as load:
        wait_until(lambda: load.count > 50, 10, "the first 50 answers")
        os.kill(victim, signal.SIGSTOP)
        ports, stopped_at = processes.accepted_client_ports(victim), time.monotonic()
        wait_until(lambda: _state(server, victim) == "silent", 10, "the state silent")
        wait_until(lambda: time.monotonic() > stopped_at + 4, 10, "4 s of silence")
        assert _state(server, other) == "ready"
        os.kill(victim, signal.SIGCONT)
        resumed_at = time.monotonic()
        server.until_whole(2)
        wait_until(lambda: _serves(server, victim), 10, "the resumed worker to serve again")
    news = [
        entry
        for entry in load.outcome.entries
        if entry.connection is None
        or (entry.connection.opened_at >= stopped_at and entry.connection.local_port not in ports)
    ]
    longest = max(entry.seconds for entry in news if entry.started_at < resumed_at)
    record(
        fault="SIGSTOP of one of two workers",
        metric="longest new connection",
        value=longest,
        unit="s",
        target="2 s",
    )
    assert not [entry for entry in news if entry.failure], load.outcome.explain()
    assert longest < 4, "new connections waited for SIGCONT"


BLOCKERS = [
    pytest.param("/block", "block_the_loop_for_ever", id="asleep"),
    pytest.param(
        "/lock", "wait_for_a_lock_nobody_releases", id="waiting for a lock", marks=pytest.mark.slow
    ),
    pytest.param(
        "/regex", "match_a_pattern_that_never_ends", id="holding the GIL", marks=pytest.mark.slow
    ),
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("target", "function"), BLOCKERS)
def test_a_stuck_worker_is_seen_dumped_and_replaced(
    start: Start, record: Record, target: str, function: str
) -> None:
    server = start("--workers", "2", "--no-access-log", "--stuck-seconds", "3").until_ready(2)
    before = set(server.workers("ready"))
    began = time.monotonic()
    with (
        _send_and_leave_open(server.port, target),
        Load(server.port, keeping=0, closing=2) as load,
    ):
        wait_until(lambda: _states(server) & {"silent", "stuck"}, 10, "a worker out of balance")
        seen_seconds = time.monotonic() - began
        wait_until(lambda: before - set(server.workers()), 15, "the stuck worker to be killed")
        server.until_whole(2)
        whole_seconds = time.monotonic() - began
        wait_until(lambda: function in server.text(), 5, f"{function} in the dumped stacks")
    record(fault=f"stuck loop {target}", metric="seen after", value=seen_seconds, unit="s")
    record(fault=f"stuck loop {target}", metric="replaced after", value=whole_seconds, unit="s")
    victim = (before - set(server.workers())).pop()
    assert not processes.is_alive(victim)
    lost = [entry for entry in load.outcome.failed if entry.started_at > began + seen_seconds + 2]
    assert not lost, load.outcome.explain()
    assert set(server.workers("ready")) & before, "the other worker was replaced as well"


@pytest.mark.timeout(60)
def test_a_blocked_handler_shorter_than_the_limit_is_left_alone(start: Start) -> None:
    server = start("--workers", "1", "--stuck-seconds", "30").until_ready(1)
    before = server.workers("ready")
    os.kill(before[0], signal.SIGSTOP)
    wait_until(lambda: _states(server) & {"silent"}, 10, "the state silent")
    os.kill(before[0], signal.SIGCONT)
    server.until_whole(1)
    assert server.workers("ready") == before
    assert server.get("/pid")["pid"] == before[0]


@pytest.mark.timeout(120)
@pytest.mark.skipif(not LONG, reason="long form only")
def test_every_worker_stuck_is_replaced(start: Start) -> None:
    server = start("--workers", "2", "--stuck-seconds", "3").until_ready(2)
    before = server.workers("ready")
    held = [_send_and_leave_open(server.port, "/block") for _ in range(8)]
    server.until_whole(2, without=tuple(before), seconds=60)
    for connection in held:
        connection.close()


def _send_and_leave_open(port: int, target: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(f"GET {target} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
    return connection


def _states(server: Supervised) -> set[str]:
    return {worker["state"] for worker in server.status()["workers"]}


def _state(server: Supervised, pid: int) -> str:
    return next(row["state"] for row in server.status()["workers"] if row["pid"] == pid)


def _serves(server: Supervised, pid: int) -> bool:
    return server.get("/pid")["pid"] == pid
