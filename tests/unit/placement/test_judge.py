"""Patience with a worker ends after its time, and says so."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from outgrow.host import Beat, Begin, Dump, Order, Report
from outgrow.model import Settings
from outgrow.placement.crew import Load, Worker, ended_how
from outgrow.placement.judge import judge
from outgrow.wire import Channel, channel_pair

SETTINGS = Settings(drain_seconds=30, startup_seconds=60, stuck_seconds=30)
Make = Callable[..., Worker]


class Cast:
    """A worker with a process that only waits, and all that it is told."""

    def __init__(self) -> None:
        ours, theirs = channel_pair()
        self.theirs = Channel[Order](theirs, Order)
        theirs.setblocking(False)
        self.process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        load = Load(1, Begin("", 1, SETTINGS))
        self.worker = Worker("web/1#1", "web/1", load, Channel[Report](ours, Report), 100.0)
        self.worker.pid = self.process.pid
        self.said: list[str] = []

    def judge(self, now: float, **state: Any) -> int | None:
        """Judge the worker in this state; returns the signal that ended its process, if any."""
        for name, value in state.items():
            setattr(self.worker, name, value)
        judge(self.worker, SETTINGS, now, self.said.append)
        if self.worker.killed_at == now:
            return -self.process.wait(10)
        return None

    @property
    def orders(self) -> list[Order]:
        return [order for order, _ in self.theirs.receive()]

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()
        self.worker.channel.close()
        self.theirs.close()


@pytest.fixture
def cast() -> Iterator[Cast]:
    made = Cast()
    yield made
    made.close()


def beat(age_seconds: float = 0.0, waits_for: str = "") -> Beat:
    return Beat(age_seconds, 0, 0, 0, waits_for=waits_for)


def test_a_worker_that_does_well_is_left_alone(cast: Cast) -> None:
    assert cast.judge(1000.0, ready_at=101.0, beat_at=999.9, beat=beat()) is None
    assert (cast.said, cast.orders) == ([], [])


def test_a_start_may_take_its_time_and_no_more(cast: Cast) -> None:
    assert cast.judge(159.0, beat=beat(waits_for="main.py:3 in connect")) is None
    assert cast.judge(161.0) == signal.SIGKILL
    assert cast.worker.failed is not None
    assert cast.worker.failed.code == "OG108"
    assert "main.py:3 in connect" in cast.worker.failed.text


def test_a_stuck_loop_is_asked_for_its_stacks_before_it_is_killed(cast: Cast) -> None:
    assert cast.judge(200.0, ready_at=101.0, beat_at=199.9, beat=beat(31.0)) is None
    assert cast.orders == [Dump()]
    assert "has not turned its event loop for 31 s" in cast.said[0]
    assert cast.judge(200.5, beat_at=200.4) is None
    assert cast.judge(201.5, beat_at=201.4) == signal.SIGKILL


def test_a_loop_that_turns_again_is_spared(cast: Cast) -> None:
    cast.judge(200.0, ready_at=101.0, beat_at=199.9, beat=beat(31.0))
    assert cast.judge(200.5, beat_at=200.4, beat=beat()) is None
    assert cast.judge(205.0, beat_at=204.9) is None
    assert cast.worker.dumped_at == 0


def test_a_worker_without_a_heartbeat_is_ended_by_the_kernel(cast: Cast) -> None:
    assert cast.judge(240.0, ready_at=101.0, beat_at=205.0, beat=beat()) is None
    assert -cast.process.wait(10) == signal.SIGABRT


def test_a_drain_may_take_its_time_and_no_more(cast: Cast) -> None:
    state = {"ready_at": 101.0, "drain_at": 200.0, "drain_seconds": 30.0}
    assert cast.judge(234.0, **state) is None
    assert cast.judge(236.0) == signal.SIGKILL
    assert "did not leave in time" in cast.said[0]


def test_a_worker_that_was_killed_and_lives_is_killed_again(cast: Cast) -> None:
    assert cast.judge(200.5, killed_at=200.0) is None
    judge(cast.worker, SETTINGS, 201.5, cast.said.append)
    assert -cast.process.wait(10) == signal.SIGKILL


@pytest.mark.parametrize(
    ("status", "words"),
    [
        pytest.param(None, "ended", id="nobody knows"),
        pytest.param(0, "exited with code 0", id="well"),
        pytest.param(3 << 8, "exited with code 3", id="with a code"),
        pytest.param(11, "was killed by SIGSEGV", id="by a fault"),
        pytest.param(9, "was killed by SIGKILL, perhaps for lack of memory", id="by the kernel"),
        pytest.param(40, "was killed by 40", id="by a signal without a name"),
    ],
)
def test_an_end_is_said_in_words(status: int | None, words: str) -> None:
    assert ended_how(status) == words


@pytest.mark.parametrize(
    ("state", "word"),
    [
        pytest.param({}, "starting", id="not yet ready"),
        pytest.param({"ready_at": 1.0, "beat_at": 9.5}, "ready", id="well"),
        pytest.param({"ready_at": 1.0, "beat_at": 8.9}, "silent", id="not heard"),
        pytest.param(
            {"ready_at": 1.0, "beat_at": 9.9, "beat": beat(2.5)}, "stuck", id="standing still"
        ),
        pytest.param({"ready_at": 1.0, "drain_at": 2.0}, "draining", id="leaving"),
    ],
)
def test_a_worker_says_what_it_does(cast: Cast, state: dict[str, Any], word: str) -> None:
    for name, value in state.items():
        setattr(cast.worker, name, value)
    assert cast.worker.state(10.0) == word
