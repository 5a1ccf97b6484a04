"""May this process fork workers? Only if its import left no thread and no open connection.

A thread does not survive a fork but its locks and queues do, so what it should do hangs for ever; a
connection that two processes share gets mixed up. Both are visible beforehand in /proc.
"""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outgrow.host.places import calling_line

if TYPE_CHECKING:
    from types import TracebackType

_THREADS = Path("/proc/self/task")
_DESCRIPTORS = Path("/proc/self/fd")
_ENDING_LOOKS, _ENDING_SECONDS = 10, 0.005
_SQLITE_MAGIC = b"SQLite format 3\x00"
_SERVERS = {
    5432: "PostgreSQL",
    6432: "PgBouncer",
    3306: "MySQL",
    6379: "Redis",
    5672: "RabbitMQ",
    27017: "MongoDB",
    4222: "NATS",
    9092: "Kafka",
    11211: "memcached",
    4317: "OTLP",
}
_SHARED_KINDS = re.compile(r"anon_inode:\[?(eventpoll|inotify|io_uring)")


class ForkWatch:
    """Watches an import, and says afterwards what forbids to fork.

    Used as a context around the import.
    """

    def __init__(self) -> None:
        self._places: dict[int, str] = {}
        self._before: set[str] = set()
        self._start: Any = None
        self._noting: Any = None
        self._is_watching = False

    def __enter__(self) -> ForkWatch:
        """Note what is open now, and from where threads get started."""
        self._before = _descriptors()
        self._start = threading.Thread.start

        def start_and_note(thread: threading.Thread) -> None:
            if self._is_watching:
                self._places[id(thread)] = calling_line()
            self._start(thread)

        self._noting, self._is_watching = start_and_note, True
        setattr(threading.Thread, "start", start_and_note)  # noqa: B010
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop watching."""
        self._is_watching = False
        # Whoever wrapped it meanwhile, as Sentry does, keeps his wrapper.
        if threading.Thread.start is self._noting:
            threading.Thread.start = self._start

    def culprits(self) -> list[str]:
        """What forbids to fork, each in words; empty where nothing does."""
        if not hasattr(os, "fork") or not _THREADS.is_dir():
            return ["a system whose /proc cannot be read"]
        return list(dict.fromkeys([*self._threads(), *self._connections()]))

    def _threads(self) -> list[str]:
        """Threads; the kernel knows one that has just ended a little longer than Python."""
        found = self._threads_now()
        for _ in range(_ENDING_LOOKS):
            if not any("of a C library" in one for one in found):
                break
            threading.Event().wait(_ENDING_SECONDS)
            found = self._threads_now()
        return found

    def _threads_now(self) -> list[str]:
        main = threading.main_thread()
        known = {thread.native_id: thread for thread in threading.enumerate() if thread is not main}
        found: list[str] = []
        foreign: list[str] = []
        for task in _THREADS.iterdir():
            number = int(task.name)
            if number == os.getpid():
                continue
            thread = known.get(number)
            if thread is None:
                foreign.append(_read(task / "comm"))
            else:
                place = self._places.get(id(thread), "")
                found.append(f"thread `{thread.name}`" + (f", started at {place}" if place else ""))
        if foreign:
            found.append(f"{len(foreign)} threads of a C library ({foreign[0]}){_numeric_hint()}")
        return found

    def _connections(self) -> list[str]:
        found: list[str] = []
        for number in sorted(_descriptors() - self._before, key=int):
            described = _described(int(number))
            if described:
                found.append(described)
        return found


def _descriptors() -> set[str]:
    try:
        return {entry.name for entry in _DESCRIPTORS.iterdir() if entry.is_symlink()}
    except OSError:
        return set()


def _described(number: int) -> str:
    """What this descriptor is, where sharing it does harm; otherwise empty."""
    try:
        target = str((_DESCRIPTORS / str(number)).readlink())
    except OSError:
        return ""
    if target.startswith("socket:"):
        return _described_socket(number)
    shared = _SHARED_KINDS.match(target)
    if shared:
        kind = {"eventpoll": "an event loop that is open"}.get(shared[1], f"an open {shared[1]}")
        return f"{kind} (descriptor {number})"
    if target.startswith("/") and _is_sqlite(target):
        return f"an open SQLite database, {target}"
    return ""


def _described_socket(number: int) -> str:
    with socket.socket(fileno=os.dup(number)) as sock:
        try:
            peer: Any = sock.getpeername()
        except OSError:
            return f"an open socket (descriptor {number})"
    if isinstance(peer, tuple):
        host, port = str(peer[0]), int(peer[1])  # pyright: ignore[reportUnknownArgumentType]
        return f"an open connection to {_SERVERS.get(port, 'a server')} at {host}:{port}"
    return f"an open connection to {peer or 'another socket of this process'}"


def _is_sqlite(path: str) -> bool:
    if path.endswith(("-wal", "-shm", "-journal")):
        return True
    try:
        with Path(path).open("rb") as file:
            return file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
    except OSError:
        return False


def _numeric_hint() -> str:
    return "; OPENBLAS_NUM_THREADS=1 avoids them" if "numpy" in sys.modules else ""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
