"""Clients that send too much, too slowly or never are sent away, and others are not."""

from __future__ import annotations

import asyncio
import contextlib
import tracemalloc

import pytest

from tests.unit.host.serving import Client, Served, serve

LINE = b"GET /hello HTTP/1.1\r\nHost: x\r\n"


def test_a_head_within_its_limit_is_served_and_one_past_it_is_refused() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask("/hello", "X-Big: " + "x" * 700)
        assert (await client.response())[0] == 200
        await client.ask("/hello", "X-Big: " + "x" * 1000)
        status, headers, _ = await client.response()
        assert (status, headers["connection"]) == (431, "close")
        assert await client.rest() == b""

    serve(test, header_bytes_max=1000)


def test_a_head_past_its_limit_is_refused_before_its_end() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.send(LINE)
        await asyncio.sleep(0)
        await client.send(
            b"".join(b"X-%d: " % number + b"x" * 90 + b"\r\n" for number in range(12))
        )
        assert (await client.response())[0] == 431
        assert served.app.seen == []

    serve(test, header_bytes_max=1000)


@pytest.mark.parametrize("path", ["/wait", "/stream"])
def test_an_endless_head_is_refused_behind_a_request_that_runs(path: str) -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask(path)
        await served.until(lambda: served.app.seen == [f"begun {path}"])
        await client.send(LINE)
        with contextlib.suppress(ConnectionError):
            for number in range(100):
                await client.send(b"X-%d: " % number + b"x" * 100 + b"\r\n")
        await served.pass_time(4)
        await served.until(lambda: served.edge.connection_count == 0)

    serve(test, header_bytes_max=1000)


def test_a_large_body_after_a_small_head_is_no_head() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        head = b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n"
        await client.send(head + b"x" * 50_000)
        assert (await client.response())[2] == b"50000"
        await client.ask()
        assert (await client.response())[0] == 200

    serve(test, header_bytes_max=1000)


def test_endless_trailers_take_no_memory() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask("/wait", "Transfer-Encoding: chunked", method="POST")
        await client.send(b"0\r\n")
        before = tracemalloc.get_traced_memory()[0]
        line = b"X-Trailer: " + b"x" * 4000 + b"\r\n"
        for _ in range(1000):
            await client.send(line)
            await asyncio.sleep(0)
        grown = tracemalloc.get_traced_memory()[0] - before
        assert served.edge.connection_count == 0 or grown < 1_000_000

    tracemalloc.start()
    try:
        serve(test, header_bytes_max=1000)
    finally:
        tracemalloc.stop()


def test_many_small_chunks_do_not_buy_endless_trailers() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask("/body", "Transfer-Encoding: chunked", method="POST")
        for _ in range(20):
            await client.send(b"1\r\nx\r\n" * 1000)
            await asyncio.sleep(0)
        await client.send(b"0\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(50):
                await client.send(b"X-Trailer: " + b"x" * 1000 + b"\r\n")
                await asyncio.sleep(0)
        await served.pass_time(4)
        await served.until(lambda: served.edge.connection_count == 0)

    serve(test, header_bytes_max=1000)


@pytest.mark.parametrize(
    ("path", "status"), [("/body", 413), ("/hello", 413)], ids=["read", "not read"]
)
def test_a_body_that_announces_too_much_is_refused_unseen(path: str, status: int) -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask(path, "Content-Length: 1001", method="POST")
        assert (await client.response())[0] == status
        assert served.app.seen == []

    serve(test, body_bytes_max=1000)


def test_a_body_that_grows_too_large_is_refused() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask("/body", "Transfer-Encoding: chunked", method="POST")
        for _ in range(3):
            await client.send(b"190\r\n" + b"x" * 400 + b"\r\n")
        assert (await client.response())[0] == 413
        await served.until(lambda: "disconnected" in served.app.seen)

    served = serve(test, body_bytes_max=1000)
    assert served.calls() == {"POST /body": (1, 0, 1)}


def test_a_body_within_its_limit_passes_again_and_again() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        for _ in range(3):
            await client.ask("/body", "Content-Length: 1000", method="POST")
            await client.send(b"x" * 1000)
            assert (await client.response())[2] == b"1000"

    serve(test, body_bytes_max=1000)


def test_a_body_past_its_limit_after_the_response_gets_no_second_one() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask("/hello", "Transfer-Encoding: chunked", method="POST")
        assert (await client.response())[0] == 200
        for _ in range(3):
            await client.send(b"190\r\n" + b"x" * 400 + b"\r\n")
        assert await client.rest() == b""

    serve(test, body_bytes_max=1000)


def test_requests_past_those_at_once_are_refused_with_when_to_come_again() -> None:
    async def test(served: Served) -> None:
        clients = [await served.client() for _ in range(3)]
        for client in clients[:2]:
            await client.ask("/wait")
        await served.until(lambda: served.edge.in_flight == 2)
        await clients[2].ask("/hello")
        status, headers, _ = await clients[2].response()
        assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
        served.app.gate.set()
        assert [(await client.response())[0] for client in clients[:2]] == [200, 200]
        later = await served.client()
        await later.ask("/hello")
        assert (await later.response())[0] == 200

    served = serve(test, concurrency_max=2)
    assert served.calls() == {
        "GET /wait": (2, 0, 0),
        "GET (refused)": (1, 1, 0),
        "GET /hello": (1, 0, 0),
    }


async def closes(client: Client) -> bytes:
    """What a client gets until the server closes."""
    return await client.rest()


def test_a_head_that_comes_too_slowly_is_answered_with_408() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.send(LINE)
        await served.pass_time(8)
        assert served.edge.connection_count == 1
        await client.send(b"X-Slow: 1\r\n")
        await served.pass_time(8)
        assert (await closes(client)).startswith(b"HTTP/1.1 408")

    serve(test, header_seconds=10)


def test_a_connection_without_a_request_is_closed_without_a_word() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await served.pass_time(15)
        assert await closes(client) == b""

    serve(test, header_seconds=10)


def test_an_idle_connection_is_closed_after_its_time() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask()
        await client.response()
        await served.pass_time(4)
        assert served.edge.connection_count == 1
        await served.pass_time(2)
        assert await closes(client) == b""

    serve(test, keep_alive_seconds=5)


def test_a_second_head_that_comes_too_slowly_is_refused_too() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask()
        await client.response()
        await client.send(LINE)
        await served.pass_time(12)
        assert (await closes(client)).startswith(b"HTTP/1.1 408")

    serve(test, header_seconds=10, keep_alive_seconds=5)


def test_a_body_that_pauses_too_long_is_refused_and_the_app_is_told() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask("/body", "Content-Length: 10", method="POST")
        for _ in range(3):
            await client.send(b"x")
            await served.pass_time(20)
        assert served.edge.connection_count == 1
        await served.pass_time(12)
        assert (await closes(client)).startswith(b"HTTP/1.1 408")
        await served.until(lambda: "disconnected" in served.app.seen)

    serve(test, body_idle_seconds=30)


def test_a_slow_answer_of_the_app_closes_nothing() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask("/wait")
        await served.until(lambda: served.edge.in_flight == 1)
        await served.pass_time(200)
        served.app.gate.set()
        assert (await client.response())[0] == 200

    serve(test)


def test_a_client_that_reads_nothing_is_cut_off() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        client.reader._transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue]
        await client.ask("/endless")
        await served.until(lambda: served.edge.in_flight == 1)
        for _ in range(50):
            await asyncio.sleep(0)
        await served.pass_time(50)
        assert served.edge.connection_count == 1
        await served.pass_time(20)
        await served.until(lambda: served.edge.connection_count == 0)

    serve(test, write_idle_seconds=60)
