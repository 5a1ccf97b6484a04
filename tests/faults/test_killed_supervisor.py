"""The supervisor is killed: workers stop by themselves, the port and the folder are free again."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from .harness import wait_until
from .ledger import Load

if TYPE_CHECKING:
    from .conftest import Record, Start


@pytest.mark.parametrize("options", [(), ("--fork", "never")], ids=["forked", "imported"])
@pytest.mark.timeout(60)
def test_workers_stop_when_the_supervisor_is_killed(
    start: Start, record: Record, options: tuple[str, ...]
) -> None:
    server = start("--workers", "2", "--no-access-log", *options).until_ready(2)
    port = server.port
    with Load(port, keeping=4, closing=0) as load:
        wait_until(lambda: load.count > 20, 10, "the first 20 answers")
    os.kill(server.pid, signal.SIGKILL)
    seconds = server.until_gone(10)
    record(
        fault="kill -9 of the supervisor" + " ".join(("", *options)),
        metric="until no process is left",
        value=seconds,
        unit="s",
        target="2 s",
    )
    wait_until(lambda: _is_free(port), 5, "the port to be free")


def test_workers_stop_while_a_request_is_in_flight(start: Start, record: Record) -> None:
    server = start("--workers", "1").until_ready(1)
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(b"GET /stream HTTP/1.1\r\nHost: t\r\n\r\n")
        assert client.recv(100)
        os.kill(server.pid, signal.SIGKILL)
        seconds = server.until_gone(10)
    record(
        fault="kill -9 of the supervisor, streaming",
        metric="until no process is left",
        value=seconds,
        unit="s",
        target="2 s",
    )


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_stuck_worker_does_not_outlive_the_supervisor(start: Start) -> None:
    server = start("--workers", "1").until_ready(1)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(b"GET /block HTTP/1.1\r\nHost: t\r\n\r\n")
        wait_until(lambda: server.workers("silent", "stuck"), 15, "a silent worker")
        os.kill(server.pid, signal.SIGKILL)
        server.until_gone(10)


def test_a_folder_left_by_a_killed_supervisor_is_taken_over(start: Start) -> None:
    first = start().until_ready(1)
    os.kill(first.pid, signal.SIGKILL)
    first.until_gone(10)
    second = start().until_ready(1)
    assert second.status()["pid"] == second.pid
    assert second.stop() == 0


def test_workers_typed_at_the_start_count_more_than_those_applied_before(start: Start) -> None:
    first = start("--workers", "1").until_ready(1)
    assert first.apply(workers="2")[0] == 200
    assert first.stop() == 0
    again = start("--workers", "1").until_ready(1)
    assert "`--workers 1` counts, not `2`, which was applied before" in again.text()
    assert again.command("apply", "--undo").returncode == 0
    again.until_whole(2)
    assert again.stop() == 0


def test_a_second_supervisor_on_the_folder_is_refused_with_the_pid_of_the_first(
    start: Start,
) -> None:
    first = start().until_ready(1)
    second = start()
    assert second.process.wait(15) in (1, 2)
    assert str(first.pid) in second.text()
    assert "hint:" in second.text()
    assert first.get("/pid")["pid"] in first.workers("ready")
    assert first.stop() == 0


def _is_free(port: int) -> bool:
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
