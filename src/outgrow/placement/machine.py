"""What this process may use: CPUs and memory of the machine, or of the container it is in.

A container's limits are in its control group; the kernel's own counts ignore them. Both versions of
control groups are read, from the process's own group up to the root: the tightest limit holds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_CONTAINER_MARKS = (".dockerenv", "run/.containerenv", "run/secrets/kubernetes.io")
_UNLIMITED_BYTES = 1 << 60


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What can be used.

    Attributes:
        cpus: CPUs, as a fraction where a control group allows part of one; > 0.
        memory_bytes: Memory that may be used; 0 where unknown.
        is_container: Somebody else decides how many processes there are.
    """

    cpus: float
    memory_bytes: int
    is_container: bool

    @property
    def workers_max(self) -> int:
        """How many workers can run at the same time without taking turns; >= 1."""
        return max(1, int(self.cpus))


def this_machine(root: Path = Path("/")) -> Machine:
    """Read the limits of this process.

    Args:
        root: Where the file system begins; another folder in tests.
    """
    groups = _groups(root)
    quotas = [quota for group in groups if (quota := _cpu_quota(group)) is not None]
    memories = [limit for group in groups if (limit := _memory_limit(group)) is not None]
    memories.append(_installed_bytes(root))
    known = [limit for limit in memories if limit > 0]
    return Machine(
        cpus=min([float(_own_cpus()), *quotas]),
        memory_bytes=min(known) if known else 0,
        is_container=_is_container(root),
    )


def _own_cpus() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def _groups(root: Path) -> list[Path]:
    """Folders of the control groups this process is in, with their parents."""
    folders: list[Path] = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        mount = root / "sys/fs/cgroup"
        # The kernel may name controllers in another order than the folder does.
        names = [controllers, *controllers.split(","), ",".join(controllers.split(",")[::-1])]
        mount = next((mount / name for name in names if name and (mount / name).is_dir()), mount)
        own = mount / path.lstrip("/")
        # Inside a container the path may be the host's: then the mount itself is our group.
        while own != mount and mount in own.parents:
            folders.append(own)
            own = own.parent
        folders.append(mount)
    return list(dict.fromkeys(folders))


def _cpu_quota(group: Path) -> float | None:
    quota, _, period = _read(group / "cpu.max").partition(" ")
    if not quota:
        quota, period = _read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")
    try:
        share = int(quota) / int(period)
    except (ValueError, ZeroDivisionError):
        return None
    return share if share > 0 else None


def _memory_limit(group: Path) -> int | None:
    text = _read(group / "memory.max") or _read(group / "memory.limit_in_bytes")
    try:
        limit = int(text)
    except ValueError:
        return None
    return limit if 0 < limit < _UNLIMITED_BYTES else None


def _installed_bytes(root: Path) -> int:
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    return 0


def _is_container(root: Path) -> bool:
    if any((root / mark).exists() for mark in _CONTAINER_MARKS):
        return True
    return root == Path("/") and (os.getpid() == 1 or "KUBERNETES_SERVICE_HOST" in os.environ)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
