"""What this process uses, and how it waits: for cores, for the GIL, for the collector.

All that can be read as a sum is read once a second. Only two things have to be tried out: how late
the event loop turns, by a timer on it, and how long a thread waits for the GIL, by one that sleeps
and looks how late it was woken. The kernel tells which part of that was the wait for a core.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
from pathlib import Path
from time import monotonic_ns, perf_counter_ns
from typing import TYPE_CHECKING, Any

from outgrow.telemetry.busy import resident_bytes
from outgrow.telemetry.histogram import bucket_of
from outgrow.telemetry.kernel_files import SumFile
from outgrow.telemetry.pressure import PressureGauge
from outgrow.telemetry.records import ProcessTotals, StationTotals

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from outgrow.telemetry.busy import BusyMeter

LAG_SECONDS = 0.05
THREADS_MAX = 512
_LISTED_EVERY = 10
_NS = 10**9
_DESCRIPTORS = Path("/proc/self/fd")


class GilProbe:
    """Tries how long a thread waits for the GIL; to be used in the thread that sleeps.

    Attributes:
        waits: Tries by bucket of the wait.
        tries: Their number.
        wait_ns: Their sum.
    """

    def __init__(self) -> None:
        self.waits: dict[int, int] = {}
        self.tries = 0
        self.wait_ns = 0
        self._schedule: SumFile | None = None
        self._queued_ns = 0
        self._slept_ns = 0

    def sleep(self) -> None:
        """Note that the thread is about to sleep."""
        if self._schedule is None:  # here, as it is about this thread
            self._schedule = SumFile("/proc/thread-self/schedstat")
        self._queued_ns = _queued_ns(self._schedule)
        self._slept_ns = monotonic_ns()

    def woken(self, meant_ns: int) -> None:
        """Note that it has the GIL again, after it was meant to sleep for so long."""
        late_ns = monotonic_ns() - self._slept_ns - meant_ns
        assert self._schedule is not None
        wait_ns = max(0, late_ns - (_queued_ns(self._schedule) - self._queued_ns))
        bucket = bucket_of(wait_ns)
        self.waits[bucket] = self.waits.get(bucket, 0) + 1
        self.tries += 1
        self.wait_ns += wait_ns


class LoopProbe:
    """Tries how late an event loop turns, 20 times a second.

    Attributes:
        lags: Tries by bucket of the lag.
        tries: Their number.
        lag_ns: Their sum.
    """

    def __init__(self) -> None:
        self.lags: dict[int, int] = {}
        self.tries = 0
        self.lag_ns = 0
        self._timer: asyncio.TimerHandle | None = None
        self._due_ns = 0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin, on the loop."""
        self._due_ns = monotonic_ns() + int(LAG_SECONDS * _NS)
        self._timer = loop.call_later(LAG_SECONDS, self._turned, loop)

    def stop(self) -> None:
        """Try no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _turned(self, loop: asyncio.AbstractEventLoop) -> None:
        lag_ns = max(0, monotonic_ns() - self._due_ns)
        bucket = bucket_of(lag_ns)
        self.lags[bucket] = self.lags.get(bucket, 0) + 1
        self.tries += 1
        self.lag_ns += lag_ns
        self.start(loop)


class CollectorClock:
    """How long the garbage collector stopped the process.

    Attributes:
        spent_ns: Sum of its pauses.
        runs: Their number.
    """

    def __init__(self) -> None:
        self.spent_ns = 0
        self.runs = 0
        self._begun_ns = 0

    def start(self) -> None:
        """Look from now on."""
        gc.callbacks.append(self._turn)

    def stop(self) -> None:
        """Look no more."""
        with contextlib.suppress(ValueError):
            gc.callbacks.remove(self._turn)

    def _turn(self, phase: str, _details: dict[str, int]) -> None:
        if phase == "start":
            self._begun_ns = perf_counter_ns()
        elif self._begun_ns:
            self.spent_ns += perf_counter_ns() - self._begun_ns
            self.runs += 1
            self._begun_ns = 0


class Queueing:
    """How long the threads of this process were ready to run, and no core was free.

    Threads come and go, so the sum is kept here: what each waited since it was last looked at.
    """

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._sum_ns = 0
        self.threads = 0

    def read(self) -> int:
        """The sum so far, in nanoseconds; how many threads there are is noted."""
        seen: dict[str, int] = {}
        try:
            ids = [each.name for each in os.scandir("/proc/self/task")]
        except OSError:
            return 0
        self.threads = len(ids)
        for each in ids[:THREADS_MAX]:
            with contextlib.suppress(OSError, ValueError, IndexError):
                waited = int(_text(f"/proc/self/task/{each}/schedstat").split()[1])
                seen[each] = waited
                before = self._seen.get(each, 0)
                self._sum_ns += waited - before if waited >= before else waited
        self._seen = seen
        return self._sum_ns


class ProcessProbe:
    """All totals of this process.

    Args:
        meter: Knows how busy the loop is.
        gil: Tried by another thread.
        in_flight: How many requests and calls are under way now.
        connections: How many clients are connected now.
    """

    def __init__(
        self,
        meter: BusyMeter,
        gil: GilProbe,
        *,
        in_flight: Callable[[], int] = int,
        connections: Callable[[], int] = int,
    ) -> None:
        self.in_flight = in_flight
        self.connections = connections
        self._meter = meter
        self._gil = gil
        self._loop = LoopProbe()
        self._collector = CollectorClock()
        self._queueing = Queueing()
        self._throttling = SumFile(_control_group_file("cpu.stat"))
        self._gauge = PressureGauge()
        self._cores = usable_cores()
        self._looks = 0
        self._listed = 0
        # What the process used before it began to count, as for the import of the app, is not told.
        self._before = _used_ns()
        self._loop_before_ns = meter.loop_cpu_ns()
        self._throttled_before_ns = _throttled_ns(self._throttling.read())
        self._queued_before_ns = self._queueing.read()
        self._pressed_before = self._gauge.read()
        self._used = (0, 0)
        self._gil_busy_ns = 0
        self._gil_seen = (monotonic_ns(), 0)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to try and to listen, on the loop that is measured."""
        self._loop.start(loop)
        self._collector.start()

    def stop(self) -> None:
        """End it; what was measured may still be read."""
        self._loop.stop()
        self._collector.stop()
        self._throttling.close()
        self._gauge.close()

    def totals(self) -> ProcessTotals:
        """As they are now; for one thread, about once a second."""
        used_ns, kernel_ns = _used_ns()
        self._used = user_ns, system_ns = used_ns - self._before[0], kernel_ns - self._before[1]
        self._reckon_gil()
        self._looks += 1
        pressed = self._gauge.read().since(self._pressed_before)
        return ProcessTotals(
            user_ns=user_ns,
            system_ns=system_ns,
            loop_cpu_ns=self._meter.loop_cpu_ns() - self._loop_before_ns,
            run_queue_ns=self._queueing.read() - self._queued_before_ns,
            throttled_ns=_throttled_ns(self._throttling.read()) - self._throttled_before_ns,
            gc_ns=self._collector.spent_ns,
            gc_runs=self._collector.runs,
            steal_ns=max(0, pressed.steal_ns),
            cpu_stall_ns=max(0, pressed.cpu_ns),
            io_stall_ns=max(0, pressed.io_ns),
            memory_stall_ns=max(0, pressed.memory_ns),
            loop_lags=dict(self._loop.lags),
            gil_waits=dict(self._gil.waits),
            busy_percent=self._meter.percent,
            memory_bytes=resident_bytes(),
            descriptors=self._descriptors(),
            threads=self._queueing.threads,
            in_flight=self.in_flight(),
            connections=self.connections(),
        )

    def stations(self, totals: ProcessTotals) -> list[StationTotals]:
        """The loop, the cores and the GIL as stations, with the totals just read.

        The GIL is taken to be held for as long as any thread of ours uses a core, at most all the
        time: what runs without it, such as compression, makes it look busier than it is.
        """
        loop = StationTotals("loop", "loop", 1)
        loop.busy_ns = loop.hold_ns = self._meter.loop_busy_ns
        loop.served, loop.wait_ns = self._loop.tries, self._loop.lag_ns
        loop.waits = totals.loop_lags
        cores = StationTotals("cpu", "cpu", self._cores)
        cores.busy_ns = cores.hold_ns = totals.user_ns + totals.system_ns
        cores.wait_ns = totals.run_queue_ns
        gil = StationTotals("gil", "gil", 1)
        gil.busy_ns = gil.hold_ns = self._gil_busy_ns
        gil.served, gil.wait_ns = self._gil.tries, self._gil.wait_ns
        gil.waits = totals.gil_waits
        return [loop, cores, gil]

    def _reckon_gil(self) -> None:
        now_ns, used_ns = monotonic_ns(), sum(self._used)
        before_ns, used_before_ns = self._gil_seen
        self._gil_busy_ns += min(used_ns - used_before_ns, now_ns - before_ns)
        self._gil_seen = (now_ns, used_ns)

    def _descriptors(self) -> int:
        with contextlib.suppress(OSError):
            size = _DESCRIPTORS.stat().st_size  # their number, since Linux 6.2
            if size > 0:
                return size
            # Older kernels make a list of it, which takes its time with many connections.
            if self._looks % _LISTED_EVERY == 1 or not self._listed:
                self._listed = sum(1 for _ in os.scandir(_DESCRIPTORS))
        return self._listed


def usable_cores() -> int:
    """How many cores this process may use, the quota of its control group counted; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, _quota_cores()))


def _quota_cores() -> int:
    quota, period = 0, 0
    with contextlib.suppress(OSError, ValueError):
        words = _text(_control_group_file("cpu.max")).split()  # such as `150000 100000`
        if words and words[0] != "max":
            quota, period = int(words[0]), int(words[1])
    if not quota:
        with contextlib.suppress(OSError, ValueError):
            quota = int(_text(_control_group_file("cpu.cfs_quota_us")))
            period = int(_text(_control_group_file("cpu.cfs_period_us")))
    return -(-quota // period) if quota > 0 and period > 0 else 1 << 20


def _control_group_file(name: str) -> str:
    """A file of this process's control group for CPU time; one that is not there, if none is."""
    mounts = Path("/sys/fs/cgroup")
    group, root = "/", mounts
    with contextlib.suppress(OSError):
        for line in _text("/proc/self/cgroup").splitlines():
            _, kinds, path = line.split(":", 2)
            if "cpu" in kinds.split(","):
                group, root = path, mounts / "cpu"
                break
            if not kinds:
                group = path
    for folder in (root / group.lstrip("/"), root):  # in a container the path may be the host's
        if (folder / name).exists():
            return str(folder / name)
    return ""


def _throttled_ns(text: bytes) -> int:
    for line in text.splitlines():
        name, _, value = line.partition(b" ")
        if name == b"throttled_usec":
            return int(value) * 1000
        if name == b"throttled_time":
            return int(value)
    return 0


def _queued_ns(schedule: SumFile) -> int:
    fields = schedule.read().split()
    return int(fields[1]) if len(fields) > 1 else 0


def _used_ns() -> tuple[int, int]:
    used: Any = resource.getrusage(resource.RUSAGE_SELF)
    return int(used.ru_utime * _NS), int(used.ru_stime * _NS)


def _text(path: str) -> str:
    with open(path) as file:  # noqa: PTH123 - a `Path` for each takes longer than to read it
        return file.read()
