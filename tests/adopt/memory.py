"""What a process holds in memory, and the most it held since a moment."""

from __future__ import annotations

import re
from pathlib import Path

# Servers that keep nothing grow by 4 MiB; all that these tests send or fetch is more than this.
GROWTH_BYTES_MAX = 12 * 1024 * 1024


class MemoryPeak:
    """The growth of one process's memory, from now on."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # forget the peak so far
        self._start_bytes = self._bytes("VmRSS")

    def growth_bytes(self) -> int:
        """How much more than at the start it held, at most."""
        return self._bytes("VmHWM") - self._start_bytes

    def _bytes(self, name: str) -> int:
        status = Path(f"/proc/{self._pid}/status").read_text()
        match = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
        assert match, f"no {name} of process {self._pid}"
        return int(match[1]) * 1024
