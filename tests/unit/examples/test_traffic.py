"""The traffic maker's arithmetic: when requests leave, and what is counted."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from examples.exchange import Address, BrokenAnswerError, Exchange
from examples.latencies import GROWTH_RATIO, Latencies
from examples.shop.visitors import SCENARIO
from examples.traffic import Report, Traffic, Visit, arrivals, in_words

Reaction = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
VISIT = Visit(weight=1, method="GET", route="/", path=lambda _dice: "/")


def test_arrivals_come_at_the_rate_asked_for() -> None:
    dues = list(itertools.islice(arrivals(50, random.Random(1)), 20_000))
    assert dues == sorted(dues)
    assert dues[-1] == pytest.approx(20_000 / 50, rel=0.03)


def test_gaps_between_arrivals_vary_as_those_of_strangers_do() -> None:
    dues = list(itertools.islice(arrivals(10, random.Random(2)), 20_000))
    gaps = [later - earlier for earlier, later in itertools.pairwise(dues)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert variance**0.5 == pytest.approx(mean, rel=0.05)  # as in an exponential distribution


def test_a_quantile_is_never_too_low_and_hardly_too_high() -> None:
    dice = random.Random(3)
    exact = sorted(dice.lognormvariate(-4, 1) for _ in range(5_000))
    latencies = Latencies()
    for seconds in exact:
        latencies.add(seconds)
    for ratio in (0.5, 0.95, 0.99, 1.0):
        truth = exact[int(ratio * len(exact)) - 1]
        assert truth <= latencies.quantile(ratio) <= truth * GROWTH_RATIO


def test_no_latencies_have_the_quantile_zero() -> None:
    assert Latencies().quantile(0.99) == 0.0


def test_merged_latencies_count_both() -> None:
    one, other = Latencies(), Latencies()
    for seconds in (0.1, 0.2):
        one.add(seconds)
    other.add(5.0)
    one.merge(other)
    assert (one.count, one.max_seconds) == (3, 5.0)
    assert one.quantile(1.0) == 5.0


def test_unanswered_failed_and_unsent_requests_are_errors() -> None:
    report = Report(seconds=2.0, held_back_count=1)
    tally = report.routes["GET /"]
    tally.statuses.update({200: 5, 404: 2, 500: 3})
    tally.errors["TimeoutError"] = 4
    assert report.answered_count() == 10
    assert report.errors_count() == 1 + 3 + 4
    assert report.to_json()["answers_per_second"] == 5.0
    assert "8 errors, 1 of them never sent" in in_words(report)


def test_the_scenario_of_the_shop_makes_paths_that_fit_its_routes() -> None:
    dice = random.Random(4)
    for visit in SCENARIO:
        for _ in range(20):
            path = visit.path(dice)
            assert path.startswith(visit.route.split("{")[0])
            assert " " not in path
    order = next(visit for visit in SCENARIO if visit.method == "POST")
    assert json.loads(order.body(dice))["lines"]


async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(OK)


def saying(*pieces: bytes) -> Reaction:
    async def react(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.writelines(pieces)
        await writer.drain()

    return react


@asynccontextmanager
async def peer(react: Reaction) -> AsyncIterator[tuple[Exchange, list[int]]]:
    """A server that reacts so, a client for it, and the ports that the client came from."""
    came_from: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came_from.append(writer.get_extra_info("peername")[1])
        try:
            await react(reader, writer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    exchange = Exchange(address=Address(port=server.sockets[0].getsockname()[1]), answer_seconds=5)
    try:
        yield exchange, came_from
    finally:
        await exchange.close()
        server.close()


def test_latency_counts_from_the_intended_start_and_lag_is_told() -> None:
    async def go() -> Report:
        async with peer(answering) as (exchange, _):
            clock = iter(itertools.count(0, 1.0))  # every look at it is a second later
            traffic = Traffic(
                exchange=exchange,
                visits=[VISIT],
                rate_per_second=1.0,
                dice=random.Random(5),
                clock=lambda: next(clock),
            )
            await traffic.run(seconds=10)
            return traffic.report

    report = asyncio.run(go())
    assert report.answered_count() == report.lag.count > 0
    assert report.lag.max_seconds > 0
    assert report.routes["GET /"].latencies.max_seconds >= report.lag.max_seconds


def test_requests_past_the_limit_in_flight_are_held_back() -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def go() -> Report:
        async with peer(silent) as (exchange, _):
            exchange.answer_seconds = 0.2
            traffic = Traffic(
                exchange=exchange,
                visits=[VISIT],
                rate_per_second=2_000,
                in_flight_max=3,
                dice=random.Random(6),
            )
            await traffic.run(seconds=0.05)
            return traffic.report

    report = asyncio.run(go())
    assert report.routes["GET /"].errors == {"TimeoutError": 3}
    assert report.held_back_count > 10


def test_a_connection_is_used_again() -> None:
    async def go() -> list[int]:
        async with peer(answering) as (exchange, came_from):
            for _ in range(3):
                assert (await exchange.ask("GET", "/")).body == b"ok"
            return came_from

    assert len(asyncio.run(go())) == 1


def test_a_connection_that_the_server_ends_is_not_used_again() -> None:
    last = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

    async def go() -> list[int]:
        async with peer(saying(last)) as (exchange, came_from):
            for _ in range(2):
                assert (await exchange.ask("GET", "/")).status == 200
            return came_from

    assert len(asyncio.run(go())) == 2


def test_a_chunked_body_is_put_together() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"3\r\ntea\r\n5;x=y\r\n cups\r\n0\r\n\r\n"

    async def go() -> bytes:
        async with peer(saying(head, chunks)) as (exchange, _):
            return (await exchange.ask("GET", "/")).body

    assert asyncio.run(go()) == b"tea cups"


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0\r\n\r\n", OK[:-1], b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"],
    ids=["nothing", "another protocol", "too short", "no length"],
)
def test_a_broken_answer_is_an_error_and_not_tried_again(answer: bytes) -> None:
    async def go() -> list[int]:
        async with peer(saying(answer)) as (exchange, came_from):
            with pytest.raises(BrokenAnswerError):
                await exchange.ask("GET", "/")
            return came_from

    assert len(asyncio.run(go())) == 1
