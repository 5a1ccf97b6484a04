"""What the processes of a supervisor use, as /proc tells it, every few seconds."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

from tests.faults.processes import children

KIB = 1024
ROLES = {"outgrow.host.durable": "keeper", "outgrow.dashboard": "observer"}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One process at one moment.

    Attributes:
        seconds: Since the load began.
        role: `supervisor`, `nursery`, `keeper`, `observer`, or the name of a worker.
        rss_bytes: All its pages in memory, shared ones too: does not change when a sibling ends.
        pss_bytes: Its own pages, and its part of the shared ones.
        private_bytes: Its own pages.
    """

    seconds: float
    role: str
    pid: int
    rss_bytes: int
    pss_bytes: int
    private_bytes: int
    descriptors: int
    threads: int


def sampled(seconds: float, supervisor: int, workers: dict[int, str]) -> list[Sample]:
    """All processes now; those that end meanwhile are left out.

    Args:
        seconds: Since the load began.
        supervisor: Its process id.
        workers: Names of the workers by process id.
    """
    found: list[Sample] = []
    for pid in (supervisor, *children(supervisor)):
        with suppress(OSError):
            role = "supervisor" if pid == supervisor else workers.get(pid) or _role(pid)
            if sample := _sample(seconds, role, pid):
                found.append(sample)
    return found


def _role(pid: int) -> str:
    """What a child is that is no worker, by the module that its process was started with."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
    return next((ROLES[word] for word in words if word in ROLES), "nursery")


def _sample(seconds: float, role: str, pid: int) -> Sample | None:
    place = Path(f"/proc/{pid}")
    lines = (place / "smaps_rollup").read_text().splitlines()[1:]
    if not lines:
        return None  # a zombie
    kib = {name: int(words.split()[0]) for name, _, words in (one.partition(":") for one in lines)}
    return Sample(
        seconds=round(seconds, 3),
        role=role,
        pid=pid,
        rss_bytes=kib["Rss"] * KIB,
        pss_bytes=kib["Pss"] * KIB,
        private_bytes=(kib["Private_Clean"] + kib["Private_Dirty"]) * KIB,
        descriptors=len(list((place / "fd").iterdir())),
        threads=len(list((place / "task").iterdir())),
    )


def write(samples: Iterable[Sample], path: Path) -> None:
    """Keep them as CSV."""
    names = [field.name for field in fields(Sample)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows([getattr(each, name) for name in names] for each in samples)
