"""What grows or blocks: a flood of log lines, a reader that stopped, fifty reloads."""

from __future__ import annotations

import os
import threading
import time
from http.client import HTTPException
from typing import TYPE_CHECKING

import pytest

from . import processes
from .harness import LONG, wait_until

if TYPE_CHECKING:
    from .conftest import Record, Start
    from .harness import Supervised

FLOOD_MEGABYTES = 50
RELOADS = 50 if LONG else 8


@pytest.mark.timeout(90)
def test_a_flood_of_log_lines_neither_blocks_nor_bloats_the_supervisor(
    start: Start, record: Record
) -> None:
    server = start("--workers", "2", "--no-access-log").until_ready(2)
    before = processes.resident_bytes(server.pid)
    workers = set(server.workers("ready"))
    flood = threading.Thread(
        target=server.get, args=(f"/flood?megabytes={FLOOD_MEGABYTES}",), kwargs={"seconds": 60}
    )
    flood.start()
    slowest = _slowest_status_while(server, flood)
    flood.join(60)
    growth = (processes.resident_bytes(server.pid) - before) / 2**20
    fault = f"worker prints {FLOOD_MEGABYTES} MB"
    record(fault=fault, metric="slowest status meanwhile", value=slowest, unit="s")
    record(fault=fault, metric="growth of the supervisor", value=growth, unit="MB")
    assert set(server.workers("ready")) == workers
    assert growth < 40
    assert server.get("/pid")["pid"] in workers


@pytest.mark.timeout(60)
def test_a_reader_that_stopped_reading_does_not_block_the_supervisor(start: Start) -> None:
    reading, writing = os.pipe()
    server = start("--workers", "1", "--no-access-log", stdout=writing)
    os.close(writing)
    server.until_ready(1)
    flood = threading.Thread(target=_flood_or_fail, args=(server,), daemon=True)
    flood.start()
    workers = server.workers("ready")
    began = time.monotonic()
    wait_until(lambda: server.status() and time.monotonic() > began + 1.5, 20, "1.5 s of status")
    assert server.workers("ready") == workers
    server.apply(reload=True)
    server.until_whole(1, without=tuple(workers))
    os.close(reading)


@pytest.mark.slow
@pytest.mark.timeout(300 if LONG else 60)
def test_reloads_leave_no_descriptor_and_no_memory_behind(start: Start, record: Record) -> None:
    server = start("--no-access-log").until_ready(1)
    for _ in range(2):
        server.reload()
    server.until_drained(10)
    descriptors, memory = _held(server)
    for _ in range(RELOADS):
        server.reload()
    server.until_whole(1)
    server.until_drained(10)
    wait_until(
        lambda: processes.descriptor_count(server.pid) <= descriptors, 40, "closed descriptors"
    )
    growth = (processes.resident_bytes(server.pid) - memory) / 2**20
    fault = f"{RELOADS} reloads"
    record(fault=fault, metric="descriptors of the supervisor", value=descriptors)
    record(fault=fault, metric="growth of the supervisor", value=growth, unit="MB")
    assert growth < 8
    live = processes.marked(server.mark)
    assert len(live) <= 3, f"supervisor, nursery and worker expected, found {len(live)}"
    zombies = [pid for pid in processes.children(server.pid) if not processes.is_alive(pid)]
    assert not zombies


def test_the_state_folder_is_private(start: Start) -> None:
    server = start().until_ready(1)
    folder = server.workspace / ".outgrow"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "control.sock").stat().st_mode & 0o777 == 0o600


def _slowest_status_while(server: Supervised, flood: threading.Thread) -> float:
    slowest = 0.0
    while flood.is_alive():
        began = time.monotonic()
        server.status()
        slowest = max(slowest, time.monotonic() - began)
    return slowest


def _flood_or_fail(server: Supervised) -> None:
    try:
        server.get("/flood?megabytes=5", seconds=20)
    except (OSError, HTTPException, AssertionError):
        return


def _held(server: Supervised) -> tuple[int, int]:
    return processes.descriptor_count(server.pid), processes.resident_bytes(server.pid)
