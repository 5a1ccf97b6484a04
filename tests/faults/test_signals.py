"""Signals: a graceful stop answers what is in flight, a second one ends at once."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from . import processes
from .harness import wait_until
from .ledger import Load

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Record, Start
    from .harness import Supervised

# The standard library's own step between the end of the loop's pipe and that of its handlers.
SIGNALLED_WHILE_IT_CLOSES = """
import os
import signal
from asyncio.selector_events import BaseSelectorEventLoop

from outgrow.cli import main

close = BaseSelectorEventLoop.close

def closing(loop):
    close(loop)
    for name in ("SIGCHLD", "SIGTERM", "SIGINT", "SIGHUP"):
        os.kill(os.getpid(), getattr(signal, name))

BaseSelectorEventLoop.close = closing
main()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_answers_what_is_in_flight(
    start: Start, tmp_path: Path, number: signal.Signals
) -> None:
    server = start("--workers", "2").until_ready(2)
    answers: list[Any] = []
    asking = threading.Thread(
        target=lambda: answers.append(server.get("/record?seconds=1", method="POST")), daemon=True
    )
    asking.start()
    wait_until(lambda: list(tmp_path.glob("handled-*.log")), 10, "the request to arrive")
    server.send(number)
    asking.join(15)
    assert answers, server.text()
    server.until_gone(15)
    assert server.process.wait(5) == 0
    assert len((tmp_path / "stops.log").read_text().splitlines()) == 2  # lifespan.shutdown


def test_a_stop_refuses_new_connections_and_frees_the_port(start: Start) -> None:
    server = start("--workers", "2").until_ready(2)
    port = server.port
    assert server.stop() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    assert not (server.workspace / ".outgrow" / "control.sock").exists()


def test_a_second_interrupt_ends_at_once(start: Start, record: Record) -> None:
    server = start("--workers", "2").until_ready(2)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.recv(100)
        server.send(signal.SIGINT)
        wait_until(lambda: _state(server) == "stopping", 10, "the state stopping")
        # Two at once are one wish: a terminal and a service manager may both signal.
        again_at = time.monotonic() + 0.5
        wait_until(lambda: time.monotonic() > again_at, 5, "a pause between the two")
        server.send(signal.SIGINT)
        seconds = server.until_gone(10)
    record(fault="second SIGINT, streaming", metric="until gone", value=seconds, unit="s")


def test_a_drain_ends_after_drain_seconds(start: Start) -> None:
    server = start("--drain-seconds", "1").until_ready(1)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"GET /pid?seconds=3600 HTTP/1.1\r\nHost: t\r\n\r\n")
        worker = server.workers()[0]
        wait_until(lambda: processes.accepted_client_ports(worker), 10, "the connection")
        server.send(signal.SIGTERM)
        server.until_gone(15)


@pytest.mark.timeout(60)
def test_a_stop_during_a_reload_stops(start: Start, tmp_path: Path) -> None:
    server = start("--workers", "2", "--no-access-log").until_ready(2)
    (tmp_path / "startup").write_text("1")
    with Load(server.port, keeping=2, closing=0) as load:
        server.send(signal.SIGHUP)
        wait_until(lambda: server.workers("starting"), 15, "a starting worker")
        seen = load.count
        wait_until(lambda: load.count > seen, 10, "one more answer")
    server.send(signal.SIGTERM)
    server.until_gone(20)
    assert server.process.wait(5) == 0


def test_a_closed_terminal_leaves_no_half_dead_service(start: Start, record: Record) -> None:
    primary, secondary = pty.openpty()
    wrapper = ("setsid", "--ctty", "--wait")
    server = start("--workers", "1", wrapper=wrapper, stdin=secondary, stdout=secondary)
    server.until_ready(1)
    os.close(secondary)
    os.close(primary)
    wait_until(lambda: _settled(server), 20, "it to stop, or to serve on")
    lives = bool(processes.marked(server.mark))
    outcome = "serves on" if lives else "stopped"
    record(fault="terminal closed", metric="what it does", value=outcome)
    if lives:
        assert server.get("/pid")["pid"] in server.workers()


def test_a_signal_that_comes_at_the_very_end_changes_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SIGNALLED_WHILE_IT_CLOSES, "run", "nowhere:app", "--port", "0"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.startswith("OG102: no module `nowhere`"), ended.stderr


def _settled(server: Supervised) -> bool:
    if not processes.marked(server.mark):
        return True
    status = server.try_status()
    return bool(status and status["version"] > 1 and status["state"] == "running")


def _state(server: Supervised) -> str:
    status = server.try_status()
    return status["state"] if status else "gone"
