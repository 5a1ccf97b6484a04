"""Which replica gets a call, and how often a call is made again."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from outgrow import UnavailableError
from outgrow.wire import (
    AnsweringConnection,
    Call,
    CallingConnection,
    CallLostError,
    Meeting,
    Peers,
    Repeat,
    connect,
    listen,
)
from outgrow.wire.peer import RETRIES_SAVED_MAX, RetryBudget
from tests.contracts.connecting import LOOPS, Factory, run_in

LATER_NS = 60 * 10**9
CALLS, AT_ONCE = 2_000, 16
QUICK_TURNS, SLOW_TURNS = 3, 60
repeats: list[Repeat] = []


class Answers:
    """An operation that is answered after some turns of the loop, with its place's name."""

    shown = "Stock.take"
    is_stream = False

    def __init__(self, name: str, turns: int) -> None:
        self.name, self.turns = name, turns
        self.connections: list[AnsweringConnection] = []
        self.count = 0
        self.server: asyncio.Server | None = None

    async def answer(
        self, caller: str, deadline_ns: int, extras: Mapping[str, bytes], body: bytes
    ) -> bytes:
        self.count += 1
        if self.turns < 0:  # it fails as a process does that dies at work
            for each in self.connections:
                each.close()
        for _ in range(self.turns):
            await asyncio.sleep(0)
        return self.name.encode()

    def stream(
        self, caller: str, deadline_ns: int, extras: Mapping[str, bytes], body: bytes
    ) -> AsyncGenerator[bytes]:
        raise NotImplementedError

    def connection(self) -> AnsweringConnection:
        self.connections.append(AnsweringConnection([self], name=self.name))
        return self.connections[-1]


@asynccontextmanager
async def meeting(folder: Path, *places: Answers) -> AsyncGenerator[Peers]:
    """A caller who knows all these places."""
    repeats.clear()
    peers = Peers(
        lambda changed: CallingConnection(on_change=changed),
        random.Random(4),
        on_repeat=lambda _, how: repeats.append(how),
    )
    known: list[Meeting] = []
    for place in places:
        known.append(Meeting("unix", path=str(folder / f"{place.name}.sock")))
        place.server = await listen(known[-1], place.connection)
    peers.update({"stock": known})
    try:
        yield peers
    finally:
        await peers.close()
        for place in places:
            assert place.server is not None
            place.server.close()
            for each in place.connections:
                each.close()
                await each.closed()


async def take(peers: Peers, *, is_idempotent: bool = False) -> str:
    call = Call("Stock.take", "edge", LATER_NS, b"", {})
    return (await peers.ask("stock", call, is_idempotent=is_idempotent)).decode()


def test_a_slow_replica_gets_less_than_its_share(tmp_path: Path) -> None:
    async def run() -> Counter[str]:
        slow = Answers("slow", SLOW_TURNS)
        quick = [Answers(name, QUICK_TURNS) for name in "abc"]
        got: Counter[str] = Counter()
        async with meeting(tmp_path, slow, *quick) as peers:
            while len(got) < 4:  # all are connected to
                got[await take(peers)] += 1
            got.clear()

            async def some() -> None:
                while got.total() < CALLS:
                    got[await take(peers)] += 1

            await asyncio.gather(*(some() for _ in range(AT_ONCE)))
        return got

    got = asyncio.run(run())
    assert 0 < got["slow"] < CALLS / 10
    assert min(got[name] for name in "abc") > CALLS / 4


def test_equal_replicas_get_equal_shares(tmp_path: Path) -> None:
    async def run() -> Counter[str]:
        got: Counter[str] = Counter()
        async with meeting(tmp_path, *(Answers(each, QUICK_TURNS) for each in "abcd")) as peers:
            while len(got) < 4:
                got[await take(peers)] += 1
            for _ in range(CALLS // AT_ONCE):
                got.update(await asyncio.gather(*(take(peers) for _ in range(AT_ONCE))))
        return got

    got = asyncio.run(run())
    assert all(0.8 < count / (got.total() / 4) < 1.2 for count in got.values())


@pytest.mark.parametrize(
    ("is_idempotent", "tries"), [(False, 1), (True, int(RETRIES_SAVED_MAX) + 1)]
)
def test_only_idempotent_calls_are_made_again_and_only_so_often(
    tmp_path: Path, is_idempotent: bool, tries: int
) -> None:
    async def run() -> int:
        dying = Answers("dying", -1)
        async with meeting(tmp_path, dying) as peers:
            with pytest.raises(UnavailableError, match="may have run") as caught:
                await take(peers, is_idempotent=is_idempotent)
            assert caught.value.may_have_run
        return dying.count

    assert asyncio.run(run()) == tries
    assert repeats == ["retry"] * (tries - 1)


def test_a_budget_allows_one_retry_for_ten_calls() -> None:
    budget = RetryBudget()
    while budget.spend():
        pass
    for _ in range(95):
        budget.earn()
    assert [budget.spend() for _ in range(10)] == [True] * 9 + [False]


def test_a_budget_saves_no_more_than_its_maximum() -> None:
    budget = RetryBudget()
    for _ in range(1_000):
        budget.earn()
    assert sum(budget.spend() for _ in range(1_000)) <= RETRIES_SAVED_MAX + 1


def test_calls_that_wait_for_room_count_as_under_way_and_keep_the_connection(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        place = Answers("a", QUICK_TURNS)
        async with meeting(tmp_path, place):
            caller = await connect(
                Meeting("unix", path=str(tmp_path / "a.sock")), CallingConnection
            )
            await caller.ready
            call = Call("Stock.take", "edge", LATER_NS, b"", {})
            caller.pause_writing()
            waiting = [asyncio.ensure_future(caller.ask(call)) for _ in range(3)]
            await asyncio.sleep(0)
            assert caller.in_flight == 3
            caller.retire()
            waiting.pop().cancel()
            await asyncio.sleep(0)
            caller.resume_writing()
            assert await asyncio.gather(*waiting) == [b"a", b"a"]
            await caller.closed()

    asyncio.run(run())


def test_a_retired_connection_closes_when_the_last_of_those_that_wait_has_gone(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        async with meeting(tmp_path, Answers("a", QUICK_TURNS)):
            caller = await connect(
                Meeting("unix", path=str(tmp_path / "a.sock")), CallingConnection
            )
            await caller.ready
            caller.pause_writing()
            asked = asyncio.ensure_future(caller.ask(Call("Stock.take", "", LATER_NS, b"", {})))
            await asyncio.sleep(0)
            caller.retire()
            asked.cancel()
            await asyncio.wait_for(caller.closed(), 5)

    asyncio.run(run())


def test_what_is_sent_to_nobody_any_more_did_not_run(tmp_path: Path) -> None:
    async def run() -> None:
        place = Answers("a", QUICK_TURNS)
        async with meeting(tmp_path, place):
            caller = await connect(
                Meeting("unix", path=str(tmp_path / "a.sock")), CallingConnection
            )
            await caller.ready
            asked = asyncio.ensure_future(caller.ask(Call("Stock.take", "", LATER_NS, b"", {})))
            await asyncio.sleep(0)
            caller.pause_writing()
            caller.close()
            with pytest.raises(CallLostError) as caught:
                await asked
            assert not caught.value.may_have_run
            await caller.closed()

    asyncio.run(run())


Leave = Callable[[Peers], Awaitable[None]]


async def forget_all(peers: Peers) -> None:
    peers.update({})


async def close(peers: Peers) -> None:
    await peers.close()


@pytest.mark.parametrize("leave", [forget_all, close])
@pytest.mark.parametrize("factory", LOOPS.values(), ids=[*LOOPS])
@pytest.mark.parametrize("turns", range(8))
def test_peers_that_are_forgotten_at_any_moment_leave_no_connection(
    tmp_path: Path, turns: int, leave: Leave, factory: Factory
) -> None:
    async def run() -> None:
        before = asyncio.all_tasks()
        made: list[CallingConnection] = []

        def make(changed: Callable[[], None]) -> CallingConnection:
            made.append(CallingConnection(on_change=changed))
            return made[-1]

        async with meeting(tmp_path, Answers("a", QUICK_TURNS)):
            peers = Peers(make, random.Random(4))
            peers.update({"stock": [Meeting("unix", path=str(tmp_path / "a.sock"))]})
            for _ in range(turns):
                await asyncio.sleep(0)
            await leave(peers)
            async with asyncio.timeout(5):
                others = 1  # the keeper of the other caller
                while any(each.is_open for each in made) or (
                    len(asyncio.all_tasks() - before) > others
                ):
                    await asyncio.sleep(0)

    run_in(factory, run())


def test_peers_that_are_closed_end_the_calls_to_those_that_were_forgotten_before(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        before = asyncio.all_tasks()
        hanging = Answers("hanging", 10**9)
        async with meeting(tmp_path, hanging) as peers:
            asked = asyncio.ensure_future(take(peers))
            async with asyncio.timeout(5):
                while not hanging.count:
                    await asyncio.sleep(0)
            peers.update({})
            await asyncio.wait_for(peers.close(), 5)
            with pytest.raises(UnavailableError):
                await asked
            with suppress(TimeoutError):
                async with asyncio.timeout(5):
                    while asyncio.all_tasks() - before:
                        await asyncio.sleep(0)
            assert asyncio.all_tasks() == before

    asyncio.run(run())
