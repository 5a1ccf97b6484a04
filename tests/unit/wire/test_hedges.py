"""Calls that are made in a second place: when, how often, and which answer counts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic_ns

import pytest

from outgrow import DeadlineExceededError, OverloadedError, UnavailableError
from outgrow.wire import (
    AnsweringConnection,
    Call,
    CallingConnection,
    Meeting,
    Peers,
    Repeat,
    listen,
)
from outgrow.wire.peer import MISSES_MAX, RETRIES_SAVED_MAX, RetryBudget
from tests.contracts.connecting import PATIENCE_SECONDS, until

LATER_NS = 60 * 10**9
SOON_SECONDS = 0.001


class BrokenError(Exception):
    pass


class Place:
    """Where an operation is answered with the place's name, once it is let."""

    shown = "Stock.take"

    def __init__(self, name: str, *, is_stream: bool = False) -> None:
        self.name, self.is_stream = name, is_stream
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None
        self.connections: list[AnsweringConnection] = []
        self.extras: list[Mapping[str, bytes]] = []
        self.ended = 0

    @property
    def begun(self) -> int:
        return len(self.extras)

    async def answer(
        self, caller: str, deadline_ns: int, extras: Mapping[str, bytes], body: bytes
    ) -> bytes:
        self.extras.append(extras)
        try:
            await self.may_answer.wait()
        finally:
            self.ended += 1
        if self.error is not None:
            raise self.error
        return self.name.encode()

    async def stream(
        self, caller: str, deadline_ns: int, extras: Mapping[str, bytes], body: bytes
    ) -> AsyncGenerator[bytes]:
        self.extras.append(extras)
        await self.may_answer.wait()
        yield self.name.encode()

    def connection(self) -> AnsweringConnection:
        self.connections.append(AnsweringConnection([self], name=self.name))
        return self.connections[-1]

    def die(self) -> None:
        for each in self.connections:
            each.close()


class Caller:
    """A caller of two places, and what it was told of hedges."""

    def __init__(self, *places: Place) -> None:
        self.places = places
        self.hedges: list[Repeat] = []
        self.peers = Peers(
            lambda changed: CallingConnection(on_change=changed),
            random.Random(4),
            on_repeat=lambda _, how: self.hedges.append(how),
        )

    async def take(self, after: float | None = SOON_SECONDS, *, is_idempotent: bool = True) -> str:
        call = Call("Stock.take", "edge", LATER_NS, b"", {"tenant": b"acme"})
        answer = await self.peers.ask(
            "stock", call, is_idempotent=is_idempotent, hedge_after_seconds=after
        )
        return answer.decode()

    async def begun(
        self, after: float | None = SOON_SECONDS, *, is_idempotent: bool = True
    ) -> asyncio.Task[str]:
        """A call under way, at the first place."""
        first = self.places[0]
        before = first.begun
        usable = self.peers._usable
        self.peers._usable = {"stock": [self.peers._peers[self.meetings[first]]]}
        task = asyncio.create_task(self.take(after, is_idempotent=is_idempotent))
        await asyncio.sleep(0)
        self.peers._usable = usable
        await until(lambda: first.begun > before, "the first place to begin")
        return task

    def _knows_all(self) -> bool:
        return all(peer.is_usable for peer in self.peers._peers.values())

    @asynccontextmanager
    async def meeting(self, folder: Path) -> AsyncGenerator[Caller]:
        names = {each: str(folder / f"{each.name}.sock") for each in self.places}
        self.meetings = {each: Meeting("unix", path=path) for each, path in names.items()}
        servers = [await listen(self.meetings[each], each.connection) for each in self.places]
        self.peers.update({"stock": [*self.meetings.values()]})
        await until(self._knows_all, "all places to be connected to")
        try:
            yield self
        finally:
            await self.peers.close()
            for server, place in zip(servers, self.places, strict=True):
                server.close()
                place.die()
                for each in place.connections:
                    await each.closed()


async def hedges_are_due() -> None:
    """Wait until the timers of all calls that were begun before have gone off."""
    due = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(SOON_SECONDS * 2, due.set_result, None)
    await due


Piece = Callable[[Caller, Place, Place], Awaitable[None]]


def play(folder: Path, piece: Piece, *, is_stream: bool = False) -> None:
    async def run() -> None:
        first, second = Place("a", is_stream=is_stream), Place("b", is_stream=is_stream)
        async with asyncio.timeout(PATIENCE_SECONDS), Caller(first, second).meeting(folder) as all_:
            await piece(all_, first, second)

    asyncio.run(run())


def test_a_late_call_is_made_in_another_place_and_the_first_answer_counts(tmp_path: Path) -> None:
    async def piece(caller: Caller, first: Place, second: Place) -> None:
        second.may_answer.set()
        assert await (await caller.begun()) == "b"
        await until(lambda: first.ended, "the other to be cancelled")
        assert (first.begun, second.begun) == (1, 1)
        assert first.extras == second.extras == [{"tenant": b"acme"}]
        assert caller.hedges == ["hedge", "won"]

    play(tmp_path, piece)


def test_the_first_place_may_still_answer_first(tmp_path: Path) -> None:
    async def piece(caller: Caller, first: Place, second: Place) -> None:
        task = await caller.begun()
        await until(lambda: second.begun, "the second place to begin")
        first.may_answer.set()
        assert await task == "a"
        await until(lambda: second.ended, "the other to be cancelled")
        assert caller.hedges == ["hedge"]

    play(tmp_path, piece)


def test_a_quick_call_is_made_once(tmp_path: Path) -> None:
    async def piece(caller: Caller, first: Place, second: Place) -> None:
        first.may_answer.set()
        second.may_answer.set()
        for _ in range(100):
            await caller.take(PATIENCE_SECONDS)
        assert first.begun + second.begun == 100
        assert caller.hedges == []

    play(tmp_path, piece)


def test_an_exception_of_the_operation_is_an_answer(tmp_path: Path) -> None:
    async def piece(caller: Caller, first: Place, second: Place) -> None:
        second.error = BrokenError("by nature")
        second.may_answer.set()
        with pytest.raises(BrokenError):
            await (await caller.begun())
        await until(lambda: first.ended, "the other to be cancelled")

    play(tmp_path, piece)


@pytest.mark.parametrize(
    "refusal",
    [OverloadedError("full"), UnavailableError("it stops", may_have_run=False)],
    ids=lambda each: type(each).__name__,
)
def test_a_place_that_refuses_gives_no_answer(tmp_path: Path, refusal: Exception) -> None:
    async def piece(caller: Caller, first: Place, second: Place) -> None:
        second.error = refusal
        second.may_answer.set()
        task = await caller.begun()
        await until(lambda: second.ended, "the second place to refuse")
        assert not task.done()
        first.may_answer.set()
        assert await task == "a"

    play(tmp_path, piece)


@pytest.mark.parametrize("which", [0, 1], ids=["the first", "the second"])
def test_a_place_that_is_lost_leaves_the_other(tmp_path: Path, which: int) -> None:
    async def piece(caller: Caller, first: Place, second: Place) -> None:
        task = await caller.begun()
        await until(lambda: second.begun, "the second place to begin")
        lost, other = (first, second) if which == 0 else (second, first)
        lost.die()
        await until(lambda: lost.ended, "its end")
        other.may_answer.set()
        assert await task == other.name

    play(tmp_path, piece)


def test_hedges_never_multiply_the_load(tmp_path: Path) -> None:
    async def piece(caller: Caller, first: Place, second: Place) -> None:
        tasks = [asyncio.create_task(caller.take()) for _ in range(100)]
        await until(lambda: len(caller.hedges) >= RETRIES_SAVED_MAX, "the budget to be used up")
        await hedges_are_due()
        assert first.begun + second.begun <= 100 + RETRIES_SAVED_MAX
        first.may_answer.set()
        second.may_answer.set()
        await asyncio.gather(*tasks)
        assert first.begun + second.begun <= 100 + RETRIES_SAVED_MAX

    play(tmp_path, piece)


def test_a_hedge_that_the_budget_has_not_enough_for_is_made_once_it_has(tmp_path: Path) -> None:
    async def piece(caller: Caller, first: Place, second: Place) -> None:
        second.may_answer.set()
        budget = caller.peers._budgets["stock"] = RetryBudget()
        while budget.spend():
            pass
        task = await caller.begun()
        await hedges_are_due()
        assert not task.done()
        for _ in range(10):
            budget.earn()
        assert await task == "b"

    play(tmp_path, piece)


def test_a_hedge_never_goes_to_the_same_place(tmp_path: Path) -> None:
    async def piece(caller: Caller, first: Place, second: Place) -> None:
        caller.peers.update({"stock": [caller.meetings[first]]})
        task = asyncio.create_task(caller.take())
        await until(lambda: first.begun, "the call to begin")
        await hedges_are_due()
        first.may_answer.set()
        assert await task == "a"
        assert (first.begun, caller.hedges) == (1, [])

    play(tmp_path, piece)


def test_a_call_that_is_cancelled_is_cancelled_in_both_places(tmp_path: Path) -> None:
    async def piece(caller: Caller, first: Place, second: Place) -> None:
        task = await caller.begun()
        await until(lambda: second.begun, "the second place to begin")
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await until(lambda: first.ended and second.ended, "both to be cancelled")

    play(tmp_path, piece)


def test_calls_to_a_silent_place_are_made_elsewhere_when_it_is_left_out(tmp_path: Path) -> None:
    async def piece(caller: Caller, first: Place, second: Place) -> None:
        second.may_answer.set()
        movable = await caller.begun(after=None)
        steadfast = await caller.begun(after=None, is_idempotent=False)
        peer = caller.peers._peers[caller.meetings[first]]
        for _ in range(MISSES_MAX):
            assert not movable.done()
            caller.peers._missed(peer)
        assert await movable == "b"
        assert not steadfast.done()
        first.may_answer.set()
        assert await steadfast == "a"

    play(tmp_path, piece)


def test_what_the_budget_has_not_enough_for_is_moved_when_it_has(tmp_path: Path) -> None:
    async def piece(caller: Caller, first: Place, second: Place) -> None:
        second.may_answer.set()
        tasks = [await caller.begun(after=None) for _ in range(20)]
        peer = caller.peers._peers[caller.meetings[first]]
        for _ in range(MISSES_MAX):
            caller.peers._missed(peer)
        await until(lambda: len(caller.hedges) == 2 * RETRIES_SAVED_MAX, "ten to be moved")
        assert sum(each.done() for each in tasks) == RETRIES_SAVED_MAX
        budget = caller.peers._budgets["stock"]
        while not all(each.done() for each in tasks):
            budget.earn()
            await asyncio.sleep(0)
        assert {each.result() for each in tasks} == {"b"}

    play(tmp_path, piece)


def test_calls_to_a_place_that_the_directory_drops_are_moved_if_it_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("outgrow.wire.balancing.QUIET_NS_MAX", 10_000_000)

    async def piece(caller: Caller, first: Place, second: Place) -> None:
        task = await caller.begun(after=None)
        second.may_answer.set()
        caller.peers.update({"stock": [caller.meetings[second]]})
        assert await task == "b"
        await until(lambda: first.ended, "the other to be cancelled")

    play(tmp_path, piece)


def test_a_place_under_suspicion_gets_one_call_to_see_and_its_caller_does_not_wait(
    tmp_path: Path,
) -> None:
    async def piece(caller: Caller, first: Place, second: Place) -> None:
        second.may_answer.set()
        peer = caller.peers._peers[caller.meetings[first]]
        peer.misses = MISSES_MAX
        for _ in range(100):
            assert await caller.take(after=None) == "b"
        assert first.begun == 1
        first.may_answer.set()
        await until(lambda: not peer.misses, "its late answer to be taken for a sign of life")
        begun = first.begun
        while first.begun < begun + 10:
            await caller.take(after=None)

    play(tmp_path, piece)


def test_a_stream_that_misses_its_deadline_is_a_miss_of_the_place(tmp_path: Path) -> None:
    async def piece(caller: Caller, first: Place, second: Place) -> None:
        second.may_answer.set()
        peer = caller.peers._peers[caller.meetings[first]]
        while peer.misses < MISSES_MAX:
            call = Call("Stock.take", "edge", 5_000_000, b"", {})
            with suppress(DeadlineExceededError):
                async for body in caller.peers.stream("stock", call):
                    assert body == b"b"
        assert peer.left_out_until_ns

    play(tmp_path, piece, is_stream=True)


def test_who_reads_a_stream_too_late_blames_nobody(tmp_path: Path) -> None:
    async def piece(caller: Caller, first: Place, second: Place) -> None:
        first.may_answer.set()
        second.may_answer.set()
        call = Call("Stock.take", "edge", 5_000_000, b"", {})
        late_ns = monotonic_ns() + 10_000_000
        with suppress(DeadlineExceededError):
            async for _ in caller.peers.stream("stock", call):
                await until(lambda: monotonic_ns() > late_ns, "the deadline to pass")
        assert not any(peer.misses for peer in caller.peers._peers.values())

    play(tmp_path, piece, is_stream=True)
