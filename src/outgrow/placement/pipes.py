"""The pipes through which workers print, read into the log book."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from outgrow.placement.logbook import LogBook

_READ_BYTES = 65_536
_FLUSH_READS_MAX = 64
_MANY_BYTES = 8192
_REST_SECONDS = 0.005


class Pipes:
    """Pairs of pipes, each until its last writer is gone.

    Args:
        loop: Which reads them.
        book: Which takes what is read.
        passes_on: Whether the terminal gets it, too.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, book: LogBook, *, passes_on: bool) -> None:
        self._loop = loop
        self._book = book
        self._passes_on = passes_on
        self._open: dict[int, tuple[str, str]] = {}
        self._is_paused = False
        self._is_closing = False

    def open(self, name: str) -> tuple[int, int]:
        """The ends for a process of this name to print to: stdout and stderr.

        The caller closes them once the process has its own copies.
        """
        out = self._pipe(name, "out")
        try:
            return out, self._pipe(name, "err")
        except OSError:
            os.close(out)
            raise

    def _pipe(self, name: str, stream: str) -> int:
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self._open[reading] = (name, stream)
        if not self._is_paused:
            self._loop.add_reader(reading, self._read, reading)
        return writing

    def _read(self, descriptor: int) -> bool:
        """Take one piece; False where there is none."""
        name, stream = self._open[descriptor]
        try:
            chunk = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            chunk = b""
        if not chunk:
            self._close(descriptor)
            return False
        onward = (1 if stream == "out" else 2) if self._passes_on else None
        self._book.passed(name, stream, chunk, onward, descriptor)
        if self._book.is_full:
            self.breathe()
        elif len(chunk) < _MANY_BYTES and not self._is_closing:
            self._rest(descriptor)
        return True

    def _close(self, descriptor: int) -> None:
        name, stream = self._open.pop(descriptor)
        self._loop.remove_reader(descriptor)
        os.close(descriptor)
        self._book.closed(name, (stream,), descriptor)

    def _rest(self, descriptor: int) -> None:
        """Read no more for a moment: one read of many lines costs no more than one of one."""
        self._loop.remove_reader(descriptor)
        self._loop.call_later(_REST_SECONDS, self._look_again, descriptor, self._open[descriptor])

    def _look_again(self, descriptor: int, opened: tuple[str, str]) -> None:
        is_same = self._open.get(descriptor) is opened  # numbers of descriptors come again
        if is_same and not self._is_paused:
            self._loop.add_reader(descriptor, self._read, descriptor)

    def breathe(self) -> None:
        """Stop reading while too much waits to be written, go on when it does not."""
        if self._book.is_full != self._is_paused:
            self._is_paused = not self._is_paused
            for descriptor in self._open:
                if self._is_paused:
                    self._loop.remove_reader(descriptor)
                else:
                    self._loop.add_reader(descriptor, self._read, descriptor)

    def close(self) -> None:
        """Read what is left, and close all."""
        self._is_closing = True
        for descriptor in list(self._open):
            for _ in range(_FLUSH_READS_MAX):
                if not self._read(descriptor):
                    break
            if descriptor in self._open:
                self._close(descriptor)
