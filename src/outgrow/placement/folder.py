"""The folder in which one supervisor keeps its control socket, its lock and its log."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from outgrow.errors import AlreadyRunningError, FolderError

SOCKET_NAME = "control.sock"
LOCK_NAME = "lock"
LOG_NAME = "log"
PLAN_NAME = "plan.json"
CALLS_NAME = "calls"
_SOCKET_PATH_BYTES_MAX = 100
_CALLS_PATH_BYTES_MAX = 90  # so that its sockets, which are numbered without end, have room


class Folder:
    """A supervisor's folder, from the moment it holds the lock.

    The lock is the kernel's: it ends with the process, so a folder left by `kill -9` is free.

    Raises:
        AlreadyRunningError: Another supervisor holds it; names its process id.
        FolderError: It cannot be made or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._calls: Path | None = None
        try:
            # A folder that was there before is its owner's: only what we made is ours to close.
            is_ours = not self.path.exists() or (self.path / LOCK_NAME).exists()
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if is_ours:
                self.path.chmod(0o700)
            self._lock = os.open(
                self.path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as problem:
            raise FolderError(f"cannot use the folder {self.path}: {problem.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._lock, 32, 0).decode() or "unknown"
            os.close(self._lock)
            text = f"a supervisor runs already in {self.path}, process {holder}"
            raise AlreadyRunningError(text) from None
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, str(os.getpid()).encode(), 0)
        self._write_ignore_file()
        with contextlib.suppress(FileNotFoundError):
            self.socket_path.unlink()

    @property
    def plan_path(self) -> Path:
        """Where the plan is kept."""
        return self.path / PLAN_NAME

    def calls_path(self) -> Path:
        """A folder for the sockets over which workers call each other; only its owner gets in.

        It is elsewhere where this one's path is too long for a socket's.
        """
        if self._calls is None:
            own = self.path / CALLS_NAME
            if len(bytes(own)) <= _CALLS_PATH_BYTES_MAX:
                shutil.rmtree(own, ignore_errors=True)
                own.mkdir(mode=0o700)
                self._calls = own
            else:
                self._calls = Path(tempfile.mkdtemp(prefix="outgrow-"))
        return self._calls

    @property
    def socket_path(self) -> Path:
        """Where the control socket is."""
        return self.path / SOCKET_NAME

    @property
    def log_path(self) -> Path:
        """Where the log is."""
        return self.path / LOG_NAME

    def close(self) -> None:
        """Remove the control socket and let go of the lock."""
        with contextlib.suppress(OSError):
            self.socket_path.unlink()
        if self._calls is not None:
            shutil.rmtree(self._calls, ignore_errors=True)
        os.close(self._lock)

    def _write_ignore_file(self) -> None:
        # So that nobody commits a socket and a log by accident.
        with contextlib.suppress(OSError), (self.path / ".gitignore").open("x") as file:
            file.write("*\n")


@contextlib.contextmanager
def short_path(path: Path):
    """The path of a socket in a form that fits the kernel's 108 bytes, however deep it lies."""
    if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES_MAX:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
