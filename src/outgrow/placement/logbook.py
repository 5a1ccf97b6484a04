"""What workers print: passed on to the terminal as it is, and kept in a file line by line.

A thread does the writing, so that a slow disk or a stopped terminal never stops the supervisor.
When too much waits to be written, the pipes are left unread: then whoever prints waits, as always.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILE_BYTES_MAX = 16 * 1024 * 1024
FILES_MAX = 4
WAITING_BYTES_MAX = 4 * 1024 * 1024
LINE_BYTES_MAX = 64 * 1024


class LogBook:
    """The log of one supervisor.

    A line of the file is `TIME WORKER STREAM TEXT`, the stream being `out` or `err`.

    Args:
        path: The file; older parts are beside it as `log.1` to `log.3`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.readers: list[Callable[[bytes], None]] = []
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size_bytes = os.fstat(self._file).st_size
        self._partial: dict[tuple[str, str, int], bytes] = {}
        self._waiting: deque[tuple[int | None, bytes]] = deque()
        self._waiting_bytes = 0
        self._wake = threading.Condition()
        self._is_open = True
        self._thread = threading.Thread(target=self._write_on, name="outgrow-log", daemon=True)
        self._thread.start()

    @property
    def is_full(self) -> bool:
        """Whether so much waits that no more should be read from the pipes."""
        return self._waiting_bytes > WAITING_BYTES_MAX

    def passed(
        self, worker: str, stream: str, chunk: bytes, descriptor: int | None, source: int = 0
    ) -> None:
        """Take what a worker printed.

        Args:
            worker: Its name.
            stream: `out` or `err`.
            chunk: The bytes, any number of lines and parts of lines.
            descriptor: Where to pass them on to; None to keep them only.
            source: Where they came from: two workers of one name may print at a time.
        """
        if descriptor is not None:
            self._put(descriptor, chunk)
        key = (worker, stream, source)
        text = self._partial.pop(key, b"") + chunk
        whole, newline, rest = text.rpartition(b"\n")
        if not newline and len(rest) > LINE_BYTES_MAX:
            whole, rest = rest, b""
        if rest:
            self._partial[key] = rest
        if whole or newline:
            self._keep(worker, stream, whole)

    def closed(
        self, worker: str, streams: tuple[str, ...] = ("out", "err"), source: int = 0
    ) -> None:
        """Streams of a worker ended: their last line may lack its end."""
        for stream in streams:
            rest = self._partial.pop((worker, stream, source), b"")
            if rest:
                self._keep(worker, stream, rest)

    def _keep(self, worker: str, stream: str, lines: bytes) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        mark = f"{now} {worker} {stream} ".encode()
        kept = mark + lines.replace(b"\n", b"\n" + mark) + b"\n"
        self._put(None, kept)
        for reader in self.readers:
            reader(kept)

    def _put(self, descriptor: int | None, chunk: bytes) -> None:
        with self._wake:
            self._waiting.append((descriptor, chunk))
            self._waiting_bytes += len(chunk)
            self._wake.notify()

    def _write_on(self) -> None:
        while True:
            with self._wake:
                while not self._waiting and self._is_open:
                    self._wake.wait()
                if not self._waiting:
                    return
                descriptor, chunk = self._waiting.popleft()
            if descriptor is None:
                self._write_file(chunk)
            else:
                _write_all(descriptor, chunk)
            with self._wake:
                self._waiting_bytes -= len(chunk)

    def _write_file(self, chunk: bytes) -> None:
        if self._size_bytes + len(chunk) > FILE_BYTES_MAX:
            self._turn_page()
        _write_all(self._file, chunk)
        self._size_bytes += len(chunk)

    def _turn_page(self) -> None:
        parts = [self.path.with_name(f"{self.path.name}.{n}") for n in range(FILES_MAX)]
        parts.insert(1, self.path)  # the fresh one, the present one, and the older ones
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        with contextlib.suppress(OSError):
            # The fresh one first: where there is none to be had, all stay as they are.
            fresh = os.open(parts[0], flags, 0o600)
            os.close(self._file)
            self._file, self._size_bytes = fresh, 0
            for newer, older in reversed(list(pairwise(parts))):
                if newer.exists():
                    newer.replace(older)

    def close(self, seconds: float = 2.0) -> None:
        """Write what waits, for so long at the most."""
        with self._wake:
            self._is_open = False
            self._wake.notify()
        self._thread.join(seconds)


def _write_all(descriptor: int, chunk: bytes) -> None:
    """Write all of it; what can't be written (full disk, closed terminal) is lost."""
    view = memoryview(chunk)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            # The terminal was made non-blocking by a program that shares it.
            threading.Event().wait(0.01)
        except OSError:
            return


def last_lines(path: Path, count: int, worker: str | None = None) -> list[bytes]:
    """The last lines of a log, oldest first, with their marks.

    Args:
        path: The log's file; a missing one has no lines.
        count: How many at the most.
        worker: Only those of this worker.
    """
    kept: deque[bytes] = deque(maxlen=count)
    for part in (path.with_name(f"{path.name}.1"), path):
        with contextlib.suppress(OSError), part.open("rb") as file:
            kept.extend(line for line in file if is_by(line, worker))
    return list(kept)


def is_by(line: bytes, worker: str | None) -> bool:
    """Whether a line of the log is by this worker; any line where None is asked for."""
    return worker is None or line.split(b" ", 2)[1:2] == [worker.encode()]
