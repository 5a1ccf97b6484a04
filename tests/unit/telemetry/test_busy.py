"""The busy meter tells a blocked loop from an idle one."""

from __future__ import annotations

import asyncio
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from outgrow.telemetry import BusyMeter, resident_bytes
from outgrow.telemetry.busy import _Unsure

LOOK_SECONDS = 0.4
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="loop under test")
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def thread_of(loop: asyncio.AbstractEventLoop) -> threading.Thread:
    found: list[threading.Thread] = []
    done = threading.Event()

    def note() -> None:
        found.append(threading.current_thread())
        done.set()

    loop.call_soon_threadsafe(note)
    assert done.wait(5)
    return found[0]


def looked_at(
    loop: asyncio.AbstractEventLoop, work: Callable[[], object] | None
) -> tuple[BusyMeter, float]:
    """The meter of a loop that does some work again and again; for how many seconds."""
    is_over = threading.Event()

    def again() -> None:
        if work is not None and not is_over.is_set():
            work()
            loop.call_soon(again)

    loop.call_soon_threadsafe(again)
    meter = BusyMeter(thread_of(loop))
    began = time.monotonic()
    while time.monotonic() < began + LOOK_SECONDS:
        meter.sample()
        threading.Event().wait(0.01)
    meter.busy_percent()
    is_over.set()
    return meter, time.monotonic() - began


def measured(loop: asyncio.AbstractEventLoop, work: Callable[[], object] | None) -> float:
    """The busy share of such a loop."""
    return looked_at(loop, work)[0].percent


@linux
def test_an_idle_loop_is_hardly_busy(loop: asyncio.AbstractEventLoop) -> None:
    assert measured(loop, None) < 50


@linux
def test_a_loop_that_is_blocked_is_busy_though_it_uses_no_cpu(
    loop: asyncio.AbstractEventLoop,
) -> None:
    assert measured(loop, lambda: threading.Event().wait(0.03)) > 60


@linux
def test_a_loop_of_many_short_steps_is_busier_than_an_idle_one(
    loop: asyncio.AbstractEventLoop,
) -> None:
    idle_percent = measured(loop, None)
    assert measured(loop, lambda: sum(range(1000))) > idle_percent


def test_without_samples_the_cpu_share_alone_decides(loop: asyncio.AbstractEventLoop) -> None:
    meter = BusyMeter(thread_of(loop))
    assert 0 <= meter.busy_percent() <= 100
    assert 0 <= meter.busy_percent() <= 100


@linux
def test_the_memory_of_a_process_is_known() -> None:
    assert resident_bytes() > 1_000_000
    assert resident_bytes(os.getpid()) > 1_000_000


def test_the_memory_of_a_process_that_is_gone_is_zero() -> None:
    assert resident_bytes(2**22 + 1) == 0


@linux
def test_time_in_calls_that_block_adds_up_to_busy_time(loop: asyncio.AbstractEventLoop) -> None:
    idle, _ = looked_at(loop, None)
    blocked, seconds = looked_at(loop, lambda: select.select([], [], [], 0.03))
    assert blocked.loop_busy_ns > idle.loop_busy_ns
    assert blocked.loop_busy_ns - blocked.loop_cpu_ns() > 0.2 * seconds * 1e9


@pytest.mark.parametrize(
    ("cpu_share", "found_share", "more"),
    [
        pytest.param(0.30, 0.30, 0.0, id="as many looks as CPU time"),
        pytest.param(0.30, 0.35, 0.0, id="no more than chance has it"),
        pytest.param(0.05, 0.60, 0.55, id="locks"),
    ],
)
def test_waits_for_locks_count_where_they_are_clearly_more_than_cpu_time(
    cpu_share: float, found_share: float, more: float
) -> None:
    unsure = _Unsure()
    added = [unsure.add(1.0, cpu_share, 20, round(20 * found_share)) for _ in range(10)]
    assert added[:9] == [0.0] * 9, "it is not sure before ten seconds"
    assert added[9] == pytest.approx(10 * more)
