"""What a worker calls itself to the store, so that others on its machine can see it is gone."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_SEPARATOR = " @"


def worker_name(name: str) -> str:
    """A worker's name, with its process and the machine's present run."""
    pid = os.getpid()
    return f"{name}{_SEPARATOR}{_machine()} {pid} {_started(pid)}"


def is_gone(name: str) -> bool:
    """Whether this is the name of a process of this machine that has ended."""
    _, separator, place = name.rpartition(_SEPARATOR)
    machine, _, process = place.partition(" ")
    pid, _, started = process.partition(" ")
    if not separator or machine != _machine() or not pid.isdigit():
        return False
    found = _started(int(pid))
    return found != started if found else not _lives(int(pid))


def _machine() -> str:
    """This machine, as it has run since it was switched on, and this set of process numbers."""
    try:
        boot = _BOOT.read_text().strip()
        space = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - it is no path
    except OSError:
        return platform.node().replace(" ", "-")
    return f"{boot[:13]}-{space.strip('pid:[]')}"


def _started(pid: int) -> str:
    """When a process started, in ticks; empty where that cannot be told, or it is gone."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if words[0] == "Z" else words[19]


def _lives(pid: int) -> bool:
    if Path("/proc/self/stat").exists():
        return False  # where there is /proc, who is not in it is gone
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
