"""How busy a worker is: the share of time in which its event loop could not take more.

Two measures catch two kinds of work. The CPU share of the loop's thread sees many short steps; the
share of samples in which that thread is not waiting for events sees blocking calls, which use no
CPU. The larger of the two is the truth (measured: a blocking handler busy 41.8 % of the time shows
7.6 % CPU but 41.9 % of samples; short steps of 15.7 % show 8.2 % of samples but 20.9 % CPU).
Threads count as well, since one process runs Python on one core.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

# Numbers of epoll_wait, epoll_pwait and epoll_pwait2, in which an idle loop rests.
_WAITING_CALLS = {
    "x86_64": {b"232", b"281", b"441"},
    "aarch64": {b"22", b"441"},
}
# Number of futex, in which a thread waits for a lock, or for the GIL.
_LOCK_CALLS = {"x86_64": b"202", "aarch64": b"98"}
_RUNNING = b"running"
_SURE_SECONDS = 10.0
_DEVIATIONS = 3.0
_READ_BYTES = 64
_pread = ctypes.PyDLL(None).pread


class BusyMeter:
    """Measures one event loop's thread, from another thread of the same process.

    Args:
        loop_thread: The thread that runs the event loop.

    Attributes:
        percent: What `busy_percent` said last.
        loop_busy_ns: How long the loop's thread was busy until then: its CPU time, and what it
            spent in calls that block. A sum, and without the lean upwards that the larger of two
            uncertain measures has.
    """

    def __init__(self, loop_thread: threading.Thread) -> None:
        self.percent = 0.0
        self.loop_busy_ns = 0
        self._lock_call = _LOCK_CALLS.get(platform.machine(), b"")
        self._blocked = self._locked = 0
        self._unsure = _Unsure()
        self._waiting: set[bytes] = _WAITING_CALLS.get(platform.machine(), set())
        self._file = _opened(f"/proc/self/task/{loop_thread.native_id}/syscall")
        self._buffer = ctypes.create_string_buffer(_READ_BYTES)
        self._clock = _cpu_clock_of(loop_thread)
        self._samples = self._busy_samples = 0
        self._looks, self._occupied = 0, 0.0
        self._since = self._marks()

    def sample(self, occupied: float = 0.0) -> None:
        """Look once whether the loop waits for events. To be called about 20 times a second."""
        self._looks += 1
        self._occupied += occupied
        # Not `os.pread`: that gives up the GIL, and to get it back makes a busy loop wait for this
        # thread. That took 15 % of a saturated worker's time.
        length = _pread(self._file, self._buffer, _READ_BYTES, 0) if self._waiting else 0
        if length <= 0:
            return  # not Linux, or /proc is hidden: CPU share alone must do
        self._samples += 1
        call = self._buffer.raw[:length].split(b" ", 1)[0].rstrip()
        if call in self._waiting:
            return
        self._busy_samples += 1
        if call == self._lock_call:
            self._locked += 1
        elif call != _RUNNING:
            self._blocked += 1

    def busy_percent(self) -> float:
        """The busy share since the last call of this, 0 to 100."""
        before, now = self._since, self._marks()
        elapsed = max(now[0] - before[0], 1e-6)
        cpu_share = max(now[1] - before[1], now[2] - before[2]) / elapsed
        sampled_share = self._busy_samples / self._samples if self._samples else 0.0
        occupied = self._occupied / self._looks if self._looks else 0.0
        self._add_up(elapsed, now[1] - before[1])
        self._looks, self._occupied = 0, 0.0
        self._samples = self._busy_samples = self._blocked = self._locked = 0
        self._since = now
        self.percent = 100.0 * min(1.0, max(cpu_share, sampled_share, occupied))
        return self.percent

    def loop_cpu_ns(self) -> int:
        """CPU time of the loop's thread so far."""
        return time.clock_gettime_ns(self._clock) if self._clock is not None else 0

    def _add_up(self, elapsed: float, loop_cpu: float) -> None:
        blocked = self._blocked / self._samples * elapsed if self._samples else 0.0
        busy = min(elapsed, loop_cpu + blocked) + self._unsure.add(
            elapsed, loop_cpu, self._samples, self._busy_samples - self._blocked
        )
        self.loop_busy_ns += int(busy * 1e9)

    def _marks(self) -> tuple[float, float, float]:
        loop_cpu = time.clock_gettime(self._clock) if self._clock is not None else 0.0
        return time.monotonic(), loop_cpu, time.process_time()


class _Unsure:
    """Tells waits for a lock from waits for the GIL, which the one that looks had at that moment.

    A loop that was interrupted to look at it waits for the GIL, though it would be running; so the
    share of looks that find it so is that of its CPU time. What is clearly more, over ten seconds,
    are locks that block the loop, or other threads that keep the GIL from it.
    """

    def __init__(self) -> None:
        self._elapsed = self._loop_cpu = 0.0
        self._samples = self._found = 0

    def add(self, elapsed: float, loop_cpu: float, samples: int, found: int) -> float:
        """What is to be added to the busy time, in seconds; 0 where that is not sure, or not yet.

        Args:
            elapsed: Seconds.
            loop_cpu: CPU time of the loop's thread in them.
            samples: Looks.
            found: Of these, how many found it at work, or waiting for a lock.
        """
        self._elapsed += elapsed
        self._loop_cpu += loop_cpu
        self._samples += samples
        self._found += found
        if self._elapsed < _SURE_SECONDS or not self._samples:
            return 0.0
        share, cpu_share = self._found / self._samples, self._loop_cpu / self._elapsed
        doubt = _DEVIATIONS * (share * (1.0 - share) / self._samples) ** 0.5
        more = share - cpu_share if share - cpu_share > doubt else 0.0
        added = more * self._elapsed
        self._elapsed = self._loop_cpu = 0.0
        self._samples = self._found = 0
        return added


def _opened(path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _cpu_clock_of(thread: threading.Thread) -> int | None:
    with contextlib.suppress(AttributeError, OSError):
        if thread.ident is not None:
            return time.pthread_getcpuclockid(thread.ident)
    return None


def resident_bytes(pid: int | None = None) -> int:
    """Memory of a process (this one by default) that is in RAM, shared pages counted in full."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{pid or 'self'}/statm").read_text().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
