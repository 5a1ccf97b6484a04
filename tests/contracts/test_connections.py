"""Calls over connections of each kind: answers, errors, deadlines, limits, streams."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from time import monotonic_ns
from typing import Any

import pytest

from outgrow import (
    Baggage,
    DeadlineExceededError,
    OverloadedError,
    UnavailableError,
    ValueMismatchError,
    call,
    deadline,
    operation,
    service,
)
from outgrow.wire import CallingConnection, Frame, answering, current
from outgrow.wire.calling import WINDOW_BYTES
from tests.contracts.connecting import Kind, Stage, staged, until

LIMIT_BYTES = 5_000
ITEM_BYTES = 10_000
MINUTE_NS = 60 * 10**9
tenant = Baggage("tenant", str)
told: list[str] = []


class OutOfStockError(Exception):
    def __init__(self, sku: str, *, left: int) -> None:
        super().__init__(sku)
        self.left = left


class LoudError(Exception):
    pass


@service(concurrent_calls_max=4, queue_max=2)
class Stock:
    @operation
    async def take(self, what: bytes) -> bytes:
        return what

    @operation
    async def make(self, size_bytes: int) -> bytes:
        return bytes(size_bytes)

    @operation
    async def fail(self, size_bytes: int = 0) -> None:
        if size_bytes:
            raise LoudError("x" * size_bytes)
        raise OutOfStockError("tea", left=3)

    @operation
    async def fail_unspeakably(self) -> None:
        problem = LoudError("here")
        vars(problem)["\udcff"] = 1
        raise problem

    @operation
    async def hang(self) -> None:
        told.append("begun")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    @operation
    def in_thread(self, number: int) -> int:
        return number + 1

    @operation
    async def flood(self, count: int, size_bytes: int = ITEM_BYTES) -> AsyncIterator[bytes]:
        try:
            for number in range(count):
                told.append(f"made {number}")
                yield bytes(size_bytes)
        finally:
            told.append("closed")

    @operation
    async def never_give_up(self) -> AsyncIterator[bytes]:
        while True:
            with suppress(asyncio.CancelledError):
                yield bytes(ITEM_BYTES)
                await asyncio.sleep(0)


Piece = Callable[[Stage], Awaitable[Any]]
Play = Callable[..., Any]


@pytest.fixture(params=["unix", "tcp", "tls"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param


@pytest.fixture
def play(kind: Kind, tmp_path: Path) -> Play:
    """Do something with a service behind sockets; returns what that returns."""
    told.clear()

    def played(piece: Piece, **options: int) -> Any:
        async def run() -> Any:
            async with staged(Stock, kind, tmp_path, **options) as stage:
                result = await piece(stage)
                await until(lambda: not stage.in_flight, "all calls to end")
                return result

        return asyncio.run(run())

    return played


async def places_are_free(stage: Stage) -> None:
    """Have as many calls at once as there are places, and one more than the line takes."""
    calls = [asyncio.ensure_future(stage.client.hang()) for _ in range(7)]
    done, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    for each in waiting:
        each.cancel()
    await asyncio.wait(waiting)
    assert [type(each.exception()) for each in done] == [OverloadedError]


def test_the_caller_counts_what_crosses(play: Play) -> None:
    async def piece(stage: Stage) -> None:
        for size_bytes in (0, 1_000, 2_000):
            await stage.client.take(bytes(size_bytes))
        async for _ in stage.client.flood(3):
            pass
        with suppress(OutOfStockError):
            await stage.client.fail()
        take = stage.book.meet("edge", "Stock.take")
        flood = stage.book.meet("edge", "Stock.flood")
        fail = stage.book.meet("edge", "Stock.fail")
        assert (take.crossed, flood.crossed, fail.crossed) == (3, 1, 1)
        assert 3_000 <= take.sent_bytes < 3_100
        assert 3_000 <= take.received_bytes < 3_100
        assert 3 * ITEM_BYTES <= flood.received_bytes < 3 * ITEM_BYTES + 100
        assert 0 < flood.sent_bytes < 100
        assert (fail.received_bytes, take.calls, take.retries) == (0, 0, 0)

    play(piece)


def test_results_come_back(play: Play) -> None:
    async def piece(stage: Stage) -> list[Any]:
        sizes = [0, 1, 1000, 300_000, 4_000_000]
        sent = [bytes(size) for size in sizes]
        return [
            [await stage.client.take(each) for each in sent] == sent,
            await asyncio.gather(*(call(stage.client.in_thread, each) for each in range(4))),
        ]

    assert play(piece) == [True, [1, 2, 3, 4]]


def test_many_calls_are_under_way_at_once(play: Play) -> None:
    async def piece(stage: Stage) -> bool:
        sent = [bytes([each]) * (each * 2_000) for each in range(6)]
        return await asyncio.gather(*map(stage.client.take, sent)) == sent

    assert play(piece)


def test_exceptions_keep_their_class_and_content(play: Play) -> None:
    async def piece(stage: Stage) -> OutOfStockError:
        with pytest.raises(OutOfStockError) as caught:
            await stage.client.fail()
        return caught.value

    error = play(piece)
    assert (error.args, error.left) == (("tea",), 3)


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda stock: stock.fail(20_000), id="too large"),
        pytest.param(lambda stock: stock.fail_unspeakably(), id="not to be written"),
    ],
)
def test_an_exception_that_cannot_cross_says_so_and_the_connection_lives(
    play: Play, ask: Callable[[Any], Awaitable[None]]
) -> None:
    async def piece(stage: Stage) -> None:
        with pytest.raises(ValueMismatchError, match=r"LoudError.*`Stock\.fail"), deadline(5):
            await ask(stage.client)
        assert await stage.client.take(b"x") == b"x"
        assert len(stage.callers) == 1

    play(piece, caller_bytes_max=LIMIT_BYTES)


def test_a_deadline_ends_the_call_on_both_sides(play: Play) -> None:
    async def piece(stage: Stage) -> None:
        await stage.client.take(b"")  # so that the time is not spent on shaking hands
        with pytest.raises(DeadlineExceededError), deadline(0.2):
            await stage.client.hang()
        await until(lambda: told == ["begun", "cancelled"], "the callee to hear of it")
        await places_are_free(stage)

    play(piece)


def test_a_callee_ends_what_is_late_though_its_caller_says_nothing(play: Play) -> None:
    async def piece(stage: Stage) -> None:
        await stage.client.take(b"")
        with deadline(0.2):
            forgotten = asyncio.ensure_future(stage.client.hang())
        with pytest.raises(DeadlineExceededError):  # the block's timer is gone: this came back
            await forgotten
        await until(lambda: told == ["begun", "cancelled"], "the callee to end it")

    play(piece)


def test_a_caller_that_is_cancelled_frees_the_callees_place(play: Play) -> None:
    async def piece(stage: Stage) -> None:
        caller = asyncio.ensure_future(stage.client.hang())
        await until(lambda: told == ["begun"], "the call to begin")
        caller.cancel()
        await until(lambda: told == ["begun", "cancelled"], "the callee to hear of it")
        assert caller.cancelled()
        await places_are_free(stage)

    play(piece)


def test_streams_give_all_their_items(play: Play) -> None:
    async def piece(stage: Stage) -> list[int]:
        small = [item async for item in stage.client.flood(3_000, 1)]
        large = [item async for item in stage.client.flood(5, 3 * WINDOW_BYTES)]
        return [len(small), sum(map(len, large))]

    assert play(piece) == [3_000, 15 * WINDOW_BYTES]


def test_a_reader_that_stands_still_stops_its_writer_and_nobody_else(play: Play) -> None:
    async def piece(stage: Stage) -> None:
        async with aclosing(stage.client.flood(1_000)) as items:
            await anext(items)
            full = WINDOW_BYTES // ITEM_BYTES + 2
            await until(lambda: len(told) == full, "the writer to stop")
            for _ in range(50):
                assert await stage.client.take(bytes(ITEM_BYTES)) == bytes(ITEM_BYTES)
            assert len([item async for item in stage.client.flood(100)]) == 100
            assert len(told) == full + 101
            assert len([item async for item in items]) == 999

    play(piece)


def test_a_reader_that_stands_still_costs_little_for_small_items(play: Play) -> None:
    async def piece(stage: Stage) -> int:
        async with aclosing(stage.client.flood(1_000_000, 1)) as items:
            await anext(items)
            made = 0
            while made < len(told):
                made = len(told)
                for _ in range(20):
                    await stage.client.take(b"")
            return made

    assert play(piece) < 15_000


def test_a_stream_that_nobody_reads_any_more_is_closed(play: Play) -> None:
    async def piece(stage: Stage) -> None:
        async with aclosing(stage.client.flood(1_000)) as items:
            await anext(items)
        await until(lambda: told[-1] == "closed", "the stream to be closed")
        await places_are_free(stage)

    play(piece)


def test_a_stream_that_will_not_be_cancelled_sends_nothing_more(play: Play) -> None:
    async def piece(stage: Stage) -> None:
        async with aclosing(stage.client.never_give_up()) as items:
            await anext(items)
        await until(lambda: not stage.in_flight, "the stream to end")

    play(piece)


def test_what_is_too_large_is_refused_where_it_is_and_the_connection_lives(play: Play) -> None:
    async def piece(stage: Stage) -> None:
        stock = stage.client
        assert await stock.take(bytes(LIMIT_BYTES - 10)) == bytes(LIMIT_BYTES - 10)
        with pytest.raises(ValueMismatchError, match=r"arguments of `Stock.take`.*limit of 5,000"):
            await stock.take(bytes(LIMIT_BYTES))
        with tenant.set("t" * 100), pytest.raises(ValueMismatchError, match="arguments of"):
            await stock.take(bytes(LIMIT_BYTES - 10))
        with pytest.raises(ValueMismatchError, match=r"results of `Stock.make`.*limit of 5,000"):
            await stock.make(LIMIT_BYTES)
        with pytest.raises(ValueMismatchError, match=r"results of `Stock.flood`"):
            async for _ in stock.flood(1, LIMIT_BYTES):
                pass
        assert await stock.take(b"x") == b"x"
        assert len(stage.callers) == 1

    play(piece, caller_bytes_max=LIMIT_BYTES, callee_bytes_max=LIMIT_BYTES)


def test_calls_past_the_limit_of_a_connection_are_refused_and_the_others_go_on(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering, "CALLS_MAX", 3)

    async def piece(stage: Stage) -> list[str]:
        calls = [stage.client.take(bytes([each])) for each in range(5)]
        got = await asyncio.gather(*calls, return_exceptions=True)
        return [type(each).__name__ for each in got]

    assert play(piece) == ["bytes"] * 3 + ["OverloadedError"] * 2


def test_a_caller_that_nobody_knows_yet_is_introduced_once(play: Play) -> None:
    async def piece(stage: Stage) -> None:
        routes = [f"GET /items/{{{number}}}" for number in range(3)]
        for route in [*routes, *routes, "edge"]:
            current.set(Frame(route, monotonic_ns() + MINUTE_NS))
            await stage.client.take(b"")
        links = stage.host.book.links["Stock.take"]
        assert {name: each.calls for name, each in links.items()} == {
            **dict.fromkeys(routes, 2),
            "edge": 1,
        }

    play(piece)


def test_callers_past_the_limit_are_the_edge(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[CallingConnection.__module__], "CALLERS_MAX", 1)

    async def piece(stage: Stage) -> None:
        for route in ("GET /a", "GET /b", "GET /" + "c" * 2_000):
            current.set(Frame(route, monotonic_ns() + MINUTE_NS))
            await stage.client.take(b"")
        links = stage.host.book.links["Stock.take"]
        assert {name: each.calls for name, each in links.items()} == {"GET /a": 1, "edge": 2}

    play(piece)


def test_calls_that_a_connection_loses_say_that_they_may_have_run(play: Play) -> None:
    async def piece(stage: Stage) -> list[bool]:
        calls = [asyncio.ensure_future(stage.client.hang()) for _ in range(3)]
        await until(lambda: len(told) == 3, "the calls to begin")
        stage.replicas[0].close()
        lost = await asyncio.gather(*calls, return_exceptions=True)
        await until(lambda: told[3:] == ["cancelled"] * 3, "the callee to end them")
        return [each.may_have_run for each in lost if isinstance(each, UnavailableError)]

    assert play(piece) == [True] * 3
