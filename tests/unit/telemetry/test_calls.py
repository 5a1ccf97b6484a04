"""What is counted of a request: its errors, its duration, its time on the loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from outgrow.telemetry import LOOP_KEY, CallCounter, CountedWebSockets
from outgrow.telemetry.histogram import bucket_of

SCOPE = {"type": "http", "method": "GET", "path": "/a", "root_path": ""}


@dataclass
class Carried:
    wait_ns: int
    received_bytes: int
    sent_bytes: int


def counted(*statuses: int) -> Any:
    counter = CallCounter()
    for status in statuses:
        counter.ended(dict(SCOPE), "GET", status, 2_000_000)
    return counter.routes["GET", "/a"]


@pytest.mark.parametrize(
    ("status", "errors", "cut_off"),
    [
        pytest.param(200, 0, 0, id="fine"),
        pytest.param(422, 0, 0, id="the client's fault"),
        pytest.param(500, 1, 0, id="the app's fault"),
        pytest.param(503, 1, 0, id="too much at once"),
        pytest.param(0, 0, 1, id="cut off"),
    ],
)
def test_a_status_says_how_a_request_ended(status: int, errors: int, cut_off: int) -> None:
    totals = counted(status)
    assert (totals.calls, totals.errors, totals.cut_off) == (1, errors, cut_off)


def test_what_ended_with_4xx_or_504_is_told_apart() -> None:
    totals = counted(200, 403, 422, 500, 504, 0)
    assert (totals.client_errors, totals.errors, totals.timeouts) == (2, 2, 1)


def test_what_requests_carried_adds_up() -> None:
    counter = CallCounter()
    for carried in (Carried(1_000, 10, 0), Carried(2_000, 0, 300), None):
        counter.ended(dict(SCOPE), "GET", 200, 2_000_000, None, carried)
    totals = counter.routes["GET", "/a"]
    assert (totals.wait_ns, totals.received_bytes, totals.sent_bytes) == (3_000, 10, 300)


def test_durations_add_up_and_fall_into_buckets() -> None:
    totals = counted(200, 500, 0)
    assert totals.duration_ns == 6_000_000
    assert totals.buckets == {bucket_of(2_000_000): 3}


def test_only_metered_requests_add_time_on_the_loop() -> None:
    counter = CallCounter()
    counter.ended(dict(SCOPE), "GET", 200, 1)
    counter.ended(SCOPE | {LOOP_KEY: 700}, "GET", 200, 1)
    totals = counter.routes["GET", "/a"]
    assert (totals.calls, totals.metered, totals.loop_ns) == (2, 1, 700)


def test_methods_are_counted_apart() -> None:
    counter = CallCounter()
    for method in ("GET", "POST", "GET"):
        counter.ended(dict(SCOPE), method, 200, 1)
    assert {key: totals.calls for key, totals in counter.routes.items()} == {
        ("GET", "/a"): 2,
        ("POST", "/a"): 1,
    }


def test_a_known_path_that_is_not_found_later_is_not_counted_as_its_route() -> None:
    counter = CallCounter()
    for status in (200, 404):
        counter.ended(dict(SCOPE), "GET", status, 1)
    assert set(counter.routes) == {("GET", "/a"), ("GET", "(not found)")}


def web_socket(app: Any, *, is_gone: bool = False) -> tuple[Any, list[str]]:
    """Totals of one WebSocket that an app served, and the messages that passed."""
    counter = CallCounter()
    passed: list[str] = []

    async def receive() -> Any:
        return {"type": "websocket.disconnect" if is_gone else "websocket.connect"}

    async def send(message: Any) -> None:
        if is_gone and message["type"] != "websocket.accept":
            raise OSError("the client left")
        passed.append(message["type"])

    scope: Any = {"type": "websocket", "path": "/ws", "root_path": ""}
    try:
        asyncio.run(CountedWebSockets(app, counter)(scope, receive, send))
    except (ValueError, OSError) as problem:
        passed.append(str(problem))
    return counter.routes["WEBSOCKET", "/ws"], passed


def test_a_web_socket_counts_once_when_it_closes() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "a"})
        await send({"type": "websocket.close"})

    totals, passed = web_socket(app)
    assert (totals.calls, totals.errors, totals.cut_off) == (1, 0, 0)
    assert passed == ["websocket.accept", "websocket.send", "websocket.close"]


@pytest.mark.parametrize(
    ("message", "errors"),
    [
        pytest.param({"type": "websocket.close"}, 0, id="closed"),
        pytest.param({"type": "websocket.http.response.start", "status": 401}, 0, id="401"),
        pytest.param({"type": "websocket.http.response.start", "status": 503}, 1, id="503"),
        pytest.param(None, 1, id="no answer, which the server makes a 500"),
    ],
)
def test_a_refused_web_socket_counts_as_what_its_client_got(message: Any, errors: int) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        if message:
            await send(message)

    totals, _ = web_socket(app)
    assert (totals.calls, totals.errors, totals.cut_off) == (1, errors, 0)


def test_an_app_that_fails_in_a_web_socket_is_an_error_and_still_raises() -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        raise ValueError("broken")

    totals, passed = web_socket(app)
    assert (totals.calls, totals.errors) == (1, 1)
    assert passed == ["websocket.accept", "broken"]


@pytest.mark.parametrize("sends", [True, False], ids=["sends on", "hears of it"])
def test_an_app_whose_client_has_left_a_web_socket_is_no_error(sends: bool) -> None:
    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        if sends:
            await send({"type": "websocket.send", "text": "a"})
        if (await receive())["type"] == "websocket.disconnect":
            raise ValueError("disconnected")

    totals, passed = web_socket(app, is_gone=True)
    assert (totals.calls, totals.errors, totals.cut_off) == (1, 0, 0)
    assert passed == ["websocket.accept", "the client left" if sends else "disconnected"]


def test_a_client_that_leaves_before_a_web_socket_is_accepted_is_cut_off() -> None:
    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()

    totals, _ = web_socket(app, is_gone=True)
    assert (totals.calls, totals.errors, totals.cut_off) == (1, 0, 1)


def test_other_kinds_of_calls_pass_through_uncounted() -> None:
    counter = CallCounter()
    seen: list[Any] = []

    async def app(*arguments: Any) -> None:
        seen.extend(arguments)

    scope: Any = {"type": "lifespan"}
    asyncio.run(CountedWebSockets(app, counter)(scope, "receive", "send"))  # pyright: ignore[reportArgumentType]
    assert seen == [scope, "receive", "send"]
    assert counter.calls == 0
