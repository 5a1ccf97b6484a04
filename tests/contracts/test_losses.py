"""Processes that are killed or stopped under load: their callers are told the truth."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from outgrow import DeadlineExceededError, UnavailableError, deadline
from outgrow.host.remote import remote_client
from outgrow.model import describe
from outgrow.telemetry import LinkBook
from outgrow.wire import CallingConnection, Meeting, Peers
from outgrow.wire.peer import RETRIES_SAVED_MAX, RETRY_RATIO
from tests.contracts.callee import DELAY, LEDGER, Till
from tests.contracts.connecting import LOOPS, PATIENCE_SECONDS, Factory, run_in

ROOT = Path(__file__).resolve().parents[2]
IS_LONG = os.environ.get("OUTGROW_FAULTS") == "long"
KILLS = 200 if IS_LONG else 6
LOAD = 40
CALLS_BETWEEN = 400
STARTED_AT_ONCE = 6
QUIET_CALLS = 200
ROUNDS_MAX = 100


class Callee:
    """A process of the till.

    Attributes:
        meeting: Where it listens.
        process: It.
    """

    def __init__(self, folder: Path, number: int, delay_seconds: float = 0.0) -> None:
        self.meeting = Meeting("unix", path=str(folder / f"{number}.sock"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.contracts.callee", self.meeting.path],
            cwd=ROOT,
            env={**os.environ, LEDGER: str(folder / "ledger"), DELAY: str(delay_seconds)},
            stdout=subprocess.PIPE,
        )

    def until_ready(self) -> Callee:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"
        return self

    def end(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=PATIENCE_SECONDS)


@pytest.fixture
def callees(tmp_path: Path) -> Iterator[Callable[[int], list[Callee]]]:
    """Start so many processes; all are gone after the test."""
    started: list[Callee] = []

    def start(count: int) -> list[Callee]:
        made = [Callee(tmp_path, len(started) + number) for number in range(count)]
        started.extend(made)
        return [each.until_ready() for each in made]

    yield start
    for each in started:
        each.end()


@pytest.fixture(params=LOOPS.values(), ids=[*LOOPS])
def factory(request: pytest.FixtureRequest) -> Factory:
    return request.param


async def with_till(piece: Callable[[Any, Peers], Awaitable[None]]) -> None:
    peers = Peers(lambda changed: CallingConnection(on_change=changed), random.Random(5))
    try:
        await piece(remote_client(describe(Till), peers, LinkBook()), peers)
    finally:
        await peers.close()


class Load:
    """Callers that never stop, and what became of each of their calls.

    Attributes:
        answered: Numbers that were answered.
        lost: Numbers that were not, and whether they may have run.
        repeatable: Numbers of calls that may be made again.
    """

    def __init__(self, till: Any) -> None:
        self._till = till
        self._count = 0
        self._is_over = False
        self.answered: set[int] = set()
        self.lost: dict[int, bool] = {}
        self.repeatable: set[int] = set()
        self._callers = [asyncio.ensure_future(self._caller(each)) for each in range(LOAD)]

    async def _caller(self, which: int) -> None:
        while not self._is_over:
            self._count += 1
            number = self._count
            if which % 2:
                self.repeatable.add(number)
            try:
                await (self._till.pay_once if which % 2 else self._till.pay)(number)
                self.answered.add(number)
            except UnavailableError as error:
                self.lost[number] = error.may_have_run

    async def go_on(self) -> None:
        """Wait until some more calls have been answered."""
        goal = len(self.answered) + CALLS_BETWEEN
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.answered) < goal:
                await asyncio.sleep(0)

    async def end(self) -> None:
        self._is_over = True
        await asyncio.gather(*self._callers)


@pytest.mark.timeout(3600 if IS_LONG else 20)
def test_calls_lost_with_their_callee_tell_the_truth_and_none_runs_twice(
    tmp_path: Path, callees: Callable[[int], list[Callee]], factory: Factory
) -> None:
    async def piece(till: Any, peers: Peers) -> None:
        living = callees(2)
        peers.update({"till": [each.meeting for each in living[:2]]})
        load = Load(till)
        for number in range(KILLS):
            if len(living) < number + 3:
                living += callees(STARTED_AT_ONCE)
            await load.go_on()
            living[number].process.kill()
            peers.update({"till": [each.meeting for each in living[number + 1 : number + 3]]})
        await load.go_on()
        await load.end()
        written = Counter(map(int, (tmp_path / "ledger").read_text().split()))
        assert load.answered <= written.keys()
        liars = [each for each, may in load.lost.items() if not may and each in written]
        assert not liars, f"said not to have run, and did: {liars}"
        twice = {number for number, count in written.items() if count > 1}
        assert twice <= load.repeatable
        assert any(load.lost.values()), "no call was lost: nothing was tried"
        calls = len(load.answered) + len(load.lost)
        retries = sum(written[each] - 1 for each in twice)
        assert retries <= RETRIES_SAVED_MAX + RETRY_RATIO * calls

    run_in(factory, with_till(piece))


def test_a_stopped_replica_gets_no_calls_after_its_misses_until_it_goes_on(
    callees: Callable[[int], list[Callee]], factory: Factory
) -> None:
    async def pids_of(till: Any, calls: int) -> list[int]:
        """Who answers so many calls, ten at a time; 0 for one that was late."""

        async def one() -> int:
            try:
                with deadline(0.05):
                    return await till.pay_once(0)
            except DeadlineExceededError:
                return 0

        return [
            pid
            for _ in range(0, calls, 10)
            for pid in await asyncio.gather(*(one() for _ in range(10)))
        ]

    async def until_answers(till: Any, are_right: Callable[[set[int]], bool]) -> None:
        for _ in range(ROUNDS_MAX):
            if are_right(set(await pids_of(till, QUIET_CALLS))):
                return
        raise AssertionError(f"not within {ROUNDS_MAX * QUIET_CALLS} calls")

    async def piece(till: Any, peers: Peers) -> None:
        replicas = callees(4)
        peers.update({"till": [each.meeting for each in replicas]})
        pids = {each.process.pid for each in replicas}
        await until_answers(till, lambda found: found == pids)
        stopped = replicas[2].process.pid
        os.kill(stopped, signal.SIGSTOP)
        await until_answers(till, lambda found: found == pids - {stopped})
        os.kill(stopped, signal.SIGCONT)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while stopped not in await pids_of(till, QUIET_CALLS):
                pass

    run_in(factory, with_till(piece))


@pytest.mark.slow
def test_a_stopped_callee_that_dies_never_ran_what_was_kept_from_the_kernel(
    tmp_path: Path, callees: Callable[[int], list[Callee]]
) -> None:
    """Its sockets are full, so most calls wait here."""

    async def piece(till: Any, peers: Peers) -> None:
        (callee,) = callees(1)
        peers.update({"till": [callee.meeting]})
        await till.pay(0)
        os.kill(callee.process.pid, signal.SIGSTOP)
        calls = [asyncio.ensure_future(till.pay(each, "x" * 1_000)) for each in range(1, 2_000)]
        for _ in range(20):
            await asyncio.sleep(0)
        callee.end()
        peers.update({})
        results = await asyncio.gather(*calls, return_exceptions=True)
        ran = [each.may_have_run for each in results if isinstance(each, UnavailableError)]
        assert len(ran) == len(calls)
        assert set(ran) == {True, False}
        assert (tmp_path / "ledger").read_text() == "0\n"

    asyncio.run(with_till(piece))
