"""What /proc tells an outsider about processes: who lives, what they hold, what they cost."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Killed:
    """A process that a test has killed, and what it had accepted by then.

    Attributes:
        pid: The process.
        at: When, on `time.monotonic()`.
        client_ports: Local ports of the clients whose connections it had accepted.
        phase: What it was doing, in the test's words.
    """

    pid: int
    at: float
    client_ports: frozenset[int] = field(default_factory=frozenset[int])
    phase: str = ""


def kill_and_list(pid: int, *, phase: str = "") -> Killed:
    """Kill -9 a process, listing its accepted connections in the same instant.

    It is stopped first: otherwise it could accept one more connection after the listing, whose
    loss would look like somebody else's fault.
    """
    assert pid > 1, "0 would be this process's own group"
    os.kill(pid, signal.SIGSTOP)
    ports = accepted_client_ports(pid)
    at = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    return Killed(pid=pid, at=at, client_ports=ports, phase=phase)


def accepted_client_ports(pid: int) -> frozenset[int]:
    """Remote ports of the TCP connections whose descriptors this process holds."""
    held = {_inode(target) for target in _descriptor_targets(pid)}
    rows = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    ports: set[int] = set()
    for row in rows:
        columns = row.split()
        if columns[9] in held and columns[3] != "0A":  # 0A: listening
            ports.add(int(columns[2].rsplit(":", 1)[1], 16))
    return frozenset(ports)


def marked(mark: str) -> set[int]:
    """Processes, zombies apart, that carry this text in their first environment."""
    return {pid for pid in _all_pids() if mark.encode() in _environment(pid) and is_alive(pid)}


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    return state_letter(pid) not in ("", "Z", "X")


def state_letter(pid: int) -> str:
    """The kernel's letter for the process's state (R, S, T, Z ...); empty if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return text.rsplit(")", 1)[1].split()[0]


def children(pid: int) -> list[int]:
    """Processes whose parent this is, zombies included."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(word) for word in path.read_text().split()]
    return found


def descriptor_count(pid: int) -> int:
    """How many file descriptors the process holds."""
    return len(_descriptor_targets(pid))


def resident_bytes(pid: int) -> int:
    """Resident memory of the process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_seconds(pid: int) -> float:
    """CPU time the process has used, all threads, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _all_pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except (OSError, ProcessLookupError):
        return b""


def _descriptor_targets(pid: int) -> list[str]:
    targets: list[str] = []
    for path in Path(f"/proc/{pid}/fd").iterdir():
        try:
            targets.append(str(path.readlink()))
        except FileNotFoundError:
            continue
    return targets


def _inode(target: str) -> str:
    return target.removeprefix("socket:[").removesuffix("]") if "socket:[" in target else ""
