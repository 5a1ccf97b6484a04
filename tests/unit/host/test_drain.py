"""A worker that leaves fails no request, and ends what does not end."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.unit.host.serving import Served, serve


def draining(served: Served, *, closes_idle: bool = False, seconds: float = 30) -> Any:
    return asyncio.ensure_future(served.edge.drain(closes_idle=closes_idle, seconds=seconds))


async def begun(drain: Any) -> None:
    """Wait until a drain has begun."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert not drain.done()


def test_an_idle_connection_is_served_once_more_and_told_to_close() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask()
        assert "connection" not in (await client.response())[1]
        drain = draining(served)
        await begun(drain)
        await client.ask()
        status, headers, _ = await client.response()
        assert (status, headers["connection"]) == (200, "close")
        assert await client.rest() == b""
        await drain

    serve(test)


def test_a_request_under_way_is_finished_and_told_to_close() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask("/wait")
        await served.until(lambda: served.edge.in_flight == 1)
        drain = draining(served)
        await begun(drain)
        served.app.gate.set()
        status, headers, _ = await client.response()
        assert (status, headers["connection"]) == (200, "close")
        await drain

    assert serve(test).calls() == {"GET /wait": (1, 0, 0)}


def test_a_response_under_way_is_finished() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask("/stream")
        await client.head()
        drain = draining(served, closes_idle=True)
        await begun(drain)
        served.app.gate.set()
        assert (await client.rest()).endswith(b"two\r\n0\r\n\r\n")
        await drain

    assert serve(test).calls() == {"GET /stream": (1, 0, 0)}


def test_no_connection_is_accepted_any_more() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        drain = draining(served)
        await begun(drain)
        with pytest.raises(ConnectionRefusedError):
            await served.client()
        await client.ask()
        assert (await client.response())[0] == 200
        await drain

    serve(test)


def test_a_connection_without_a_request_may_still_send_one() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        drain = draining(served)
        await begun(drain)
        await client.ask()
        status, headers, _ = await client.response()
        assert (status, headers["connection"]) == (200, "close")
        await drain

    serve(test)


def test_a_connection_that_never_sends_anything_does_not_hold_the_drain_up() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        drain = draining(served)
        await begun(drain)
        await served.pass_time(12)
        assert await client.rest() == b""
        await drain

    serve(test, header_seconds=10)


@pytest.mark.parametrize("asked_before", [True, False], ids=["idle", "without a request"])
def test_idle_connections_are_closed_where_nobody_serves_on(asked_before: bool) -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        if asked_before:
            await client.ask()
            await client.response()
        drain = draining(served, closes_idle=True)
        assert await client.rest() == b""
        await drain

    serve(test)


def test_pipelined_requests_are_all_answered_before_the_end() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask("/wait")
        await client.ask("/hello")
        await served.until(lambda: served.edge.in_flight == 1)
        for _ in range(10):
            await asyncio.sleep(0)
        drain = draining(served)
        await begun(drain)
        served.app.gate.set()
        assert (await client.response())[0] == 200
        await drain

    served = serve(test)
    assert served.calls()["GET /wait"] == (1, 0, 0)


def test_what_does_not_end_is_cut_off_after_its_time(caplog: pytest.LogCaptureFixture) -> None:
    async def test(served: Served) -> None:
        streaming, waiting = await served.client(), await served.client()
        await streaming.ask("/stream")
        await streaming.head()
        await waiting.ask("/wait")
        await served.until(lambda: served.edge.in_flight == 2)
        drain = draining(served, seconds=30)
        await begun(drain)
        served.clock.ahead_seconds += 31
        await drain
        assert served.edge.in_flight == served.edge.connection_count == 0
        assert not (await streaming.rest()).endswith(b"0\r\n\r\n")

    with caplog.at_level(logging.WARNING, "uvicorn.error"):
        served = serve(test, log_level="warning")
    assert "cut off 2 requests" in caplog.text
    assert {"cancelled /stream", "cancelled /wait"} <= set(served.app.seen)
    assert served.calls()["GET /stream"] == (1, 0, 1)


async def web_socket(served: Served) -> ClientConnection:
    client = await connect(f"ws://127.0.0.1:{served.ports[0]}/ws", compression=None, proxy=None)
    await client.send("hello")
    assert await client.recv() == "hello"
    return client


async def closing_code(client: ClientConnection) -> int | None:
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(client.recv(), 5)
    return client.close_code


def test_web_sockets_go_on_until_the_time_is_over_and_hear_why() -> None:
    async def test(served: Served) -> None:
        client = await web_socket(served)
        drain = draining(served, seconds=30)
        await begun(drain)
        await client.send("still here")
        assert await client.recv() == "still here"
        served.clock.ahead_seconds += 31
        assert await closing_code(client) == 1012
        await drain

    assert serve(test, ws_ping_seconds=0).calls() == {"WEBSOCKET /ws": (1, 0, 0)}


def test_an_app_hears_that_its_web_socket_was_closed_by_the_drain() -> None:
    async def test(served: Served) -> None:
        await web_socket(served)
        drain = draining(served, seconds=30)
        await begun(drain)
        served.clock.ahead_seconds += 31
        await drain

    assert serve(test, ws_ping_seconds=0).app.seen == ["closed with 1012"]


def test_web_sockets_are_closed_at_once_where_nobody_serves_on() -> None:
    async def test(served: Served) -> None:
        client = await web_socket(served)
        drain = draining(served, closes_idle=True)
        assert await closing_code(client) == 1012
        await drain

    serve(test, ws_ping_seconds=0)


def test_a_drain_without_connections_is_over_at_once() -> None:
    async def test(served: Served) -> None:
        await asyncio.wait_for(served.edge.drain(closes_idle=False, seconds=30), 5)

    serve(test)
