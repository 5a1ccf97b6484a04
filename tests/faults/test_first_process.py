"""Outgrow as process 1 of a PID namespace, as in a container: it reaps orphans and stops."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from . import processes
from .harness import wait_until

if TYPE_CHECKING:
    from .conftest import Start

NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc")


def _refusal() -> str:
    if not shutil.which("unshare"):
        return "unshare is not installed"
    tried = subprocess.run([*NAMESPACE, "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip() if tried.returncode else ""


REFUSAL = _refusal()
needs_namespace = pytest.mark.skipif(bool(REFUSAL), reason=f"no PID namespace: {REFUSAL}")


@needs_namespace
@pytest.mark.timeout(60)
def test_process_one_reaps_orphans_and_stops_on_sigterm(start: Start) -> None:
    server = start("--workers", "2", wrapper=NAMESPACE).until_ready(2)
    assert server.status()["pid"] == 1
    first = server.pid
    server.get("/orphan")
    wait_until(lambda: _zombies(first) == 0 and not _sleepers(first), 10, "the orphan's end")
    inside = server.workers("ready")
    assert server.get("/pid")["pid"] in inside
    os.kill(first, signal.SIGTERM)
    server.until_gone(20)
    assert server.process.wait(5) == 0


@needs_namespace
@pytest.mark.timeout(60)
def test_process_one_replaces_a_killed_worker(start: Start) -> None:
    server = start("--workers", "2", wrapper=NAMESPACE).until_ready(2)
    first = server.pid
    victim = server.workers("ready")[0]
    subprocess.run(["nsenter", "-t", str(first), "-p", "kill", "-9", str(victim)], check=True)
    server.until_whole(2, without=(victim,))
    assert _zombies(first) == 0


def test_orphans_of_the_app_are_reaped_without_being_process_one(start: Start) -> None:
    server = start().until_ready(1)
    orphan = server.get("/orphan")["orphan"]
    wait_until(lambda: not Path(f"/proc/{orphan}").exists(), 10, "the orphan to be reaped")
    assert processes.is_alive(server.pid)


def _zombies(pid: int) -> int:
    return sum(processes.state_letter(child) == "Z" for child in processes.children(pid))


def _sleepers(pid: int) -> list[int]:
    return [
        child
        for child in processes.children(pid)
        if b"sleep" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
