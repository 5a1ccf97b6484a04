"""What others on the machine take of its cores while an app is driven: it is missing to the app."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_STAT = Path("/proc/stat")
# Of the first line of /proc/stat: user, nice, system, irq, softirq and steal; idle ones left out.
_BUSY = (1, 2, 3, 6, 7, 8)


@dataclass(frozen=True)
class Look:
    """A moment.

    Attributes:
        at: Of a clock that goes evenly.
        busy_seconds: That the machine has worked so far; None where that is not told.
        own_seconds: Of them, this process.
    """

    at: float
    busy_seconds: float | None
    own_seconds: float

    def others_cores(self, later: Look, app_cores: float) -> float:
        """Mean number of cores that neither this process nor the app has used since then.

        Args:
            later: Another moment.
            app_cores: That the app has used.
        """
        if self.busy_seconds is None or later.busy_seconds is None or later.at <= self.at:
            return 0.0
        busy = later.busy_seconds - self.busy_seconds - (later.own_seconds - self.own_seconds)
        return max(busy / (later.at - self.at) - app_cores, 0.0)

    def own_cores(self, later: Look) -> float:
        """Mean number of cores that this process has used since then."""
        seconds = later.at - self.at
        return (later.own_seconds - self.own_seconds) / seconds if seconds > 0 else 0.0


def look(stat: Path = _STAT) -> Look:
    """How it is now."""
    return Look(time.monotonic(), _busy_seconds(stat), time.process_time())


def _busy_seconds(stat: Path) -> float | None:
    try:
        words = stat.read_text().split("\n", 1)[0].split()
        return sum(int(words[place]) for place in _BUSY) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return None  # no Linux
