"""What a process uses and how it waits is measured, and what cannot be is zero."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading

import pytest

from outgrow.telemetry import BusyMeter, GilProbe, ProcessProbe, bucket_of, process
from outgrow.telemetry.kernel_files import SumFile
from outgrow.telemetry.process import CollectorClock, usable_cores

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
MS = 1_000_000


@linux
def test_a_loop_that_stands_still_is_found_late() -> None:
    async def run() -> tuple[process.ProcessTotals, list[str]]:
        loop = asyncio.get_running_loop()
        meter = BusyMeter(threading.current_thread())
        probe = ProcessProbe(meter, GilProbe(), in_flight=lambda: 3, connections=lambda: 4)
        probe.start(loop)
        await asyncio.sleep(0)
        threading.Event().wait(0.2)  # it blocks the loop
        while not probe.totals().loop_lags:
            await asyncio.sleep(0)
        gc.collect()
        meter.busy_percent()
        totals = probe.totals()
        probe.stop()
        return totals, [each.name for each in probe.stations(totals)]

    totals, names = asyncio.run(run())
    assert max(totals.loop_lags) >= bucket_of(100 * MS)
    assert totals.gc_runs > 0
    assert totals.gc_ns > 0
    assert totals.user_ns > 0
    assert totals.loop_cpu_ns > 0
    assert (totals.in_flight, totals.connections) == (3, 4)
    assert totals.descriptors > 2
    assert totals.threads >= 1
    assert names == ["loop", "cpu", "gil"]


@linux
def test_a_thread_that_keeps_the_gil_makes_others_wait_for_it() -> None:
    is_over = threading.Event()

    def spin() -> None:
        while not is_over.is_set():
            sum(range(1000))

    threads = [threading.Thread(target=spin) for _ in range(2)]
    for thread in threads:
        thread.start()
    probe = GilProbe()
    for _ in range(10):
        probe.sleep()
        threading.Event().wait(0.01)
        probe.woken(10 * MS)
    is_over.set()
    for thread in threads:
        thread.join()
    assert probe.tries == 10
    assert probe.wait_ns > 0  # up to 5 ms each, as long as a thread may keep it
    assert sum(probe.waits.values()) == 10


def test_the_collectors_pauses_are_counted_until_it_is_told_to_stop() -> None:
    clock = CollectorClock()
    clock.start()
    gc.collect()
    clock.stop()
    runs = clock.runs
    gc.collect()
    assert clock.runs == runs > 0
    assert clock.spent_ns > 0


@pytest.mark.parametrize(
    ("text", "wanted_ns"),
    [
        pytest.param(b"usage_usec 9\nthrottled_usec 7\n", 7000, id="version 2"),
        pytest.param(b"nr_periods 1\nthrottled_time 7000\n", 7000, id="version 1"),
        pytest.param(b"", 0, id="none"),
    ],
)
def test_the_quotas_pauses_are_read_as_either_version_tells_them(
    text: bytes, wanted_ns: int
) -> None:
    assert process._throttled_ns(text) == wanted_ns


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        pytest.param({"cpu.max": "150000 100000\n"}, 2, id="version 2"),
        pytest.param({"cpu.max": "max 100000\n"}, 99, id="no quota"),
        pytest.param(
            {"cpu.cfs_quota_us": "50000\n", "cpu.cfs_period_us": "100000\n"}, 1, id="version 1"
        ),
        pytest.param(
            {"cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"}, 99, id="no old quota"
        ),
        pytest.param({}, 99, id="no control group"),
    ],
)
def test_a_quota_limits_the_cores(
    files: dict[str, str], wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def text(path: str) -> str:
        try:
            return files[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    monkeypatch.setattr(process, "_text", text)
    monkeypatch.setattr(process, "_control_group_file", lambda name: name)
    monkeypatch.setattr(process.os, "sched_getaffinity", lambda _: set(range(99)))
    assert usable_cores() == wanted


def test_a_file_that_is_not_there_says_nothing() -> None:
    file = SumFile("/no/such/file")
    assert file.read() == b""
    file.close()
