"""What the machine lacks, as its kernel says: cores taken by others of its host, and stalls.

Pressure stall information: https://docs.kernel.org/accounting/psi.html. A kernel without it, and
any other system, says nothing: then all stays 0.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from outgrow.telemetry.kernel_files import SumFile

_KINDS = ("cpu", "io", "memory")


@dataclass(frozen=True)
class Pressure:
    """Since the machine began, in nanoseconds.

    Attributes:
        steal_ns: How long its cores were taken by others of its host; of the mean core.
        cpu_ns: How long some process waited for a core.
        io_ns: For a disk.
        memory_ns: For memory.
    """

    steal_ns: int = 0
    cpu_ns: int = 0
    io_ns: int = 0
    memory_ns: int = 0

    def since(self, before: Pressure) -> Pressure:
        """What came since."""
        return Pressure(
            self.steal_ns - before.steal_ns,
            self.cpu_ns - before.cpu_ns,
            self.io_ns - before.io_ns,
            self.memory_ns - before.memory_ns,
        )


class PressureGauge:
    """Reads it again and again."""

    def __init__(self) -> None:
        self._stat = SumFile("/proc/stat")
        self._stalls = [SumFile(f"/proc/pressure/{kind}") for kind in _KINDS]
        self._tick_ns = 10**9 // os.sysconf("SC_CLK_TCK")
        self._cores = os.cpu_count() or 1

    def read(self) -> Pressure:
        """As it is now."""
        steal_ns = steal_ticks(self._stat.read()) * self._tick_ns // self._cores
        return Pressure(steal_ns, *(stalled_ns(each.read()) for each in self._stalls))

    def close(self) -> None:
        """Read no more."""
        for each in (self._stat, *self._stalls):
            each.close()


def steal_ticks(stat: bytes) -> int:
    """The eighth number of the first line of `/proc/stat`; 0 where there is none."""
    words = stat.partition(b"\n")[0].split()
    return int(words[8]) if len(words) > 8 and words[0] == b"cpu" else 0


def stalled_ns(pressure: bytes) -> int:
    """The total of the line `some` of a file of pressure; 0 where there is none."""
    line = pressure.partition(b"\n")[0]
    name, _, total = line.rpartition(b" total=")
    return int(total) * 1000 if name.startswith(b"some ") else 0
