"""Small files in which the kernel keeps sums, read again and again."""

from __future__ import annotations

import ctypes
import os

_FILE_BYTES_MAX = 4096
_pread = ctypes.PyDLL(None).pread


class SumFile:
    """A small file of the kernel's that is read again and again; empty where there is none.

    Args:
        path: Where it is.
    """

    def __init__(self, path: str) -> None:
        self._buffer = ctypes.create_string_buffer(_FILE_BYTES_MAX)
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._file = -1

    def read(self) -> bytes:
        """What it says now. Keeps the GIL, for which to wait again would take longer."""
        if self._file < 0:
            return b""
        length = _pread(self._file, self._buffer, _FILE_BYTES_MAX, 0)
        return self._buffer.raw[:length] if length > 0 else b""

    def close(self) -> None:
        """Read no more."""
        file, self._file = self._file, -1  # first: two threads may be here at once
        if file >= 0:
            os.close(file)
