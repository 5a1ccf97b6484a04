"""What a process says: its lines, gathered as they come."""

from __future__ import annotations

import re
import subprocess
import threading
from typing import IO


class Output:
    """The lines that a process prints, gathered as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._changed = threading.Condition()
        self._open = 2
        for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
            assert stream is not None
            threading.Thread(target=self._gather, args=(name, stream), daemon=True).start()

    def _gather(self, name: str, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    self.lines[name].append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._open -= 1
            self._changed.notify_all()

    def find(
        self, pattern: str | re.Pattern[str], stream: str | None = None
    ) -> re.Match[str] | None:
        """The first match in the lines so far."""
        for name in (stream,) if stream else ("stderr", "stdout"):
            for line in tuple(self.lines[name]):
                if match := re.search(pattern, line):
                    return match
        return None

    def wait_for(
        self, pattern: str | re.Pattern[str], stream: str | None = None, seconds: float = 10.0
    ) -> re.Match[str] | None:
        """The first match, waited for; None when time or the process ends without one."""
        with self._changed:
            self._changed.wait_for(
                lambda: self.find(pattern, stream) is not None or self._open == 0, seconds
            )
        return self.find(pattern, stream)

    def wait_for_end(self, seconds: float = 5.0) -> None:
        """Wait until both streams are closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._open == 0, seconds)

    def text(self, stream: str | None = None) -> str:
        """All that was printed so far."""
        names = (stream,) if stream else ("stdout", "stderr")
        return "\n".join(line for name in names for line in tuple(self.lines[name]))
