"""What bounded jobs said of their begins and ends, and how many of them ran at once."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .work_app import LEDGER

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# So long a worker that was frozen may go on to begin what it had claimed before.
THAW_NS = 10_000_000_000
Limit = tuple[str, str]
"""What bounds a job: its queue, and its key or `-`."""


@dataclass
class Run:
    """One run of a bounded job, on `time.monotonic_ns()`; one that was cut short ended then."""

    limit: Limit
    pid: int
    began_ns: int
    ended_ns: int


@dataclass(frozen=True)
class Freeze:
    """A worker that stood still for longer than its lease."""

    pid: int
    from_ns: int
    to_ns: int


class WorkLedger:
    """The file that the workers of one test write.

    Args:
        folder: Where it is.

    Attributes:
        deaths_ns: When the test killed which process.
        freezes: Which it froze.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / LEDGER
        self.deaths_ns: dict[int, int] = {}
        self.freezes: list[Freeze] = []
        self._turn = threading.Lock()
        self._read_bytes = self._ended_count = 0

    def ended_count(self) -> int:
        """How many runs have ended so far."""
        with self._turn:
            if self._path.exists():
                with self._path.open("rb") as file:
                    file.seek(self._read_bytes)
                    whole, end, _ = file.read().rpartition(b"\n")  # never half a line
                self._read_bytes += len(whole + end)
                self._ended_count += (whole + end).count(b"end ")
            return self._ended_count

    def ended(self) -> dict[str, set[int]]:
        """The numbers of the jobs that ran to their end, by queue."""
        found: dict[str, set[int]] = defaultdict(set)
        for what, queue, _, number, _, _ in self._lines():
            if what == "end":
                found[queue].add(int(number))
        return found

    def runs(self) -> list[Run]:
        """Those of workers whose leases were alive."""
        every: list[Run] = []
        opened: dict[tuple[int, str, str], Run] = {}
        ends_ns: dict[int, int] = {}
        for what, queue, key, number, pid_text, at_text in self._lines():
            pid, at_ns = int(pid_text), int(at_text)
            ends_ns[pid] = at_ns
            if what == "begin":
                opened[pid, queue, number] = Run((queue, key), pid, at_ns, at_ns)
                every.append(opened[pid, queue, number])
            elif what == "end":
                opened.pop((pid, queue, number)).ended_ns = at_ns
        ends_ns.update(self.deaths_ns)
        for run in opened.values():
            run.ended_ns = ends_ns[run.pid]
        return [run for run in every if self._has_lease(run)]

    def _has_lease(self, run: Run) -> bool:
        """Whether it began with a lease; it counts as ended when that may have been lost."""
        for freeze in self.freezes:
            if run.pid != freeze.pid:
                continue
            if freeze.from_ns <= run.began_ns <= freeze.to_ns + THAW_NS:
                return False
            if run.began_ns < freeze.from_ns:
                run.ended_ns = min(run.ended_ns, freeze.from_ns)
        return True

    def _lines(self) -> Iterable[list[str]]:
        return (line.split() for line in self._path.read_text().splitlines())


def most_at_once(runs: list[Run]) -> dict[Limit, int]:
    """How many of each limit ran at once, at most."""
    changes: dict[Limit, list[tuple[int, int]]] = defaultdict(list)
    for run in runs:
        # At the same moment an end comes before a begin.
        changes[run.limit] += [(run.began_ns, 1), (run.ended_ns, -1)]
    most: dict[Limit, int] = {}
    for limit, at_limit in changes.items():
        running_count = most[limit] = 0
        for _, change in sorted(at_limit):
            running_count += change
            most[limit] = max(most[limit], running_count)
    return most
