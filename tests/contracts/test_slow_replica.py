"""One of four processes stops or is slow: calls that may go elsewhere do not wait for it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from outgrow.host.remote import remote_client
from outgrow.model import describe
from outgrow.telemetry import LinkBook
from outgrow.wire import Call, CallingConnection, Meeting, Peers, balancing
from tests.contracts.callee import Till
from tests.contracts.connecting import LOOPS, PATIENCE_SECONDS, Factory, run_in
from tests.contracts.test_losses import Callee

REPLICAS = 4
AT_ONCE = 16
CALLS = 800
DELAY_SECONDS = 0.005
SLOWER = 4
LEFT_OUT_SECONDS = 1.0

Start = Callable[..., list[Callee]]


@pytest.fixture
def callees(tmp_path: Path) -> Iterator[Start]:
    """Start a process for each delay; all are gone after the test."""
    started: list[Callee] = []

    def start(*delays_seconds: float) -> list[Callee]:
        for number, delay_seconds in enumerate(delays_seconds):
            started.append(Callee(tmp_path, number, delay_seconds))
        return [each.until_ready() for each in started]

    yield start
    for each in started:
        each.end()


@pytest.fixture(params=LOOPS.values(), ids=[*LOOPS])
def factory(request: pytest.FixtureRequest) -> Factory:
    return request.param


class Counting(CallingConnection):
    """A connection whose calls are counted by where they go."""

    begun: Counter[str] = Counter()  # noqa: RUF012

    def begin(self, call: Call) -> tuple[int, asyncio.Future[bytes]]:
        assert self._transport is not None
        self.begun[self._transport.get_extra_info("peername")] += 1
        return super().begin(call)


class Crowd:
    """Callers that take turns; each call has an answer.

    Attributes:
        answered: Calls by the process that answered.
        begun: Calls by the address that they were sent to.
    """

    def __init__(self, replicas: list[Callee]) -> None:
        self.peers = Peers(lambda changed: Counting(on_change=changed), random.Random(5))
        self.peers.update({"till": [each.meeting for each in replicas]})
        self._till: Any = remote_client(describe(Till), self.peers, LinkBook())
        self.answered: Counter[int] = Counter()
        self.begun = Counting.begun
        self.begun.clear()

    def is_left_out(self, meeting: Meeting) -> bool:
        return self.peers._peers[meeting].left_out_until_ns > 0

    async def until(self, is_so: Callable[[], object]) -> None:
        """Call until something is so."""

        async def one() -> None:
            while not is_so():
                self.answered[await self._till.look()] += 1

        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*(one() for _ in range(AT_ONCE)))

    async def call(self, count: int) -> None:
        """Make so many calls and a few more, counted anew."""
        self.answered.clear()
        self.begun.clear()
        await self.until(lambda: self.answered.total() >= count)


def play(
    factory: Factory, replicas: list[Callee], piece: Callable[[Crowd], Awaitable[None]]
) -> None:
    async def run() -> None:
        crowd = Crowd(replicas)
        try:
            await crowd.until(lambda: len(crowd.answered) == len(replicas))
            await piece(crowd)
        finally:
            await crowd.peers.close()

    run_in(factory, run())


def test_calls_that_may_run_twice_do_not_wait_for_a_stopped_replica(
    callees: Start, factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None fails, before and after it is left out; in the end one call a second goes there."""
    monkeypatch.setattr(balancing, "LEFT_OUT_SECONDS_MAX", LEFT_OUT_SECONDS)
    replicas = callees(*[0.0] * REPLICAS)
    stopped = replicas[2]

    async def piece(crowd: Crowd) -> None:
        os.kill(stopped.process.pid, signal.SIGSTOP)
        await crowd.until(lambda: crowd.is_left_out(stopped.meeting))
        began = time.monotonic()
        await crowd.call(CALLS)
        probes_max = 1 + (time.monotonic() - began) / LEFT_OUT_SECONDS
        assert crowd.begun[stopped.meeting.path] <= probes_max
        assert set(crowd.answered) == {each.process.pid for each in replicas if each != stopped}
        os.kill(stopped.process.pid, signal.SIGCONT)
        await crowd.until(lambda: not crowd.is_left_out(stopped.meeting))
        await crowd.call(CALLS)
        assert crowd.answered[stopped.process.pid] > CALLS / REPLICAS / 2

    play(factory, replicas, piece)


def test_a_replica_that_is_four_times_slower_gets_less_than_its_share(
    callees: Start, factory: Factory
) -> None:
    replicas = callees(*[DELAY_SECONDS] * (REPLICAS - 1), DELAY_SECONDS * SLOWER)

    async def piece(crowd: Crowd) -> None:
        await crowd.call(CALLS)
        slow = crowd.answered[replicas[-1].process.pid]
        assert 0 < slow < CALLS / REPLICAS * 0.7
        assert not crowd.is_left_out(replicas[-1].meeting)

    play(factory, replicas, piece)
