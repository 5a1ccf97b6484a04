"""What a server costs: CPU time and memory of its processes, read from /proc."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def tree(pid: int) -> list[int]:
    """The process and all its descendants, itself first."""
    found, waiting = [], [pid]
    while waiting:
        current = waiting.pop()
        found.append(current)
        for path in Path(f"/proc/{current}/task").glob("*/children"):
            with suppress(OSError):
                waiting += [int(word) for word in path.read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of one process, from the scheduler's nanosecond counts."""
    total = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):
            total += int(path.read_text().split()[0])
    return total / 1e9


def cpu_by_process(pid: int) -> dict[int, float]:
    """CPU time in seconds of each process of the tree."""
    return {member: cpu_seconds(member) for member in tree(pid)}


def pss_bytes(pid: int) -> int:
    """Proportional set size of one process: its own pages, and its part of the shared ones."""
    return _rollup(pid, "Pss:")


def private_bytes(pid: int) -> int:
    """Memory that would be freed if this process ended."""
    return _rollup(pid, "Private_Clean:") + _rollup(pid, "Private_Dirty:")


def _rollup(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0
