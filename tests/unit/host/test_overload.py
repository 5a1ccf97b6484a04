"""A request that waited too long for its turn is refused at once, and others are served."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import uvloop

from outgrow.host.app import LoadedApp
from outgrow.host.edge import Edge
from outgrow.model import Settings
from tests.unit.host.clock import SECOND_NS, Stopwatch, stopped
from tests.unit.host.serving import App, Client, Served, answer, serve


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Stopwatch:
    """The clock by which requests wait."""
    return stopped(monkeypatch)


def computing(watch: Stopwatch, seconds: float) -> Any:
    """An app that keeps the loop busy with each request."""

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            watch.pass_seconds(seconds)
            await answer(send, 200, b"done")

    return app


async def ask_at_once(served: Served, count: int) -> list[Client]:
    """So many clients whose requests the loop reads in one turn."""
    clients = [await served.client() for _ in range(count)]
    for client in clients:
        await client.ask("/items/7")
    return clients


async def statuses(clients: list[Client]) -> Counter[int]:
    return Counter([(await client.response())[0] for client in clients])


def test_those_that_waited_past_the_limit_are_refused(watch: Stopwatch) -> None:
    async def test(served: Served) -> None:
        clients = await ask_at_once(served, 6)
        # They begin after 0.0, 0.2 and 0.4 s, and would after 0.6 s.
        assert await statuses(clients) == {200: 3, 503: 3}

    serve(test, computing(watch, 0.2), wait_seconds_max=0.5)


def test_a_refusal_says_when_to_come_again_and_keeps_the_connection(watch: Stopwatch) -> None:
    async def test(served: Served) -> None:
        for client in await ask_at_once(served, 2):
            status, headers, body = await client.response()
            assert "connection" not in headers
            if status == 503:
                assert (headers["retry-after"], body) == ("1", b"Service Unavailable")
            await client.ask()
            assert (await client.response())[0] == 200

    serve(test, computing(watch, 1.0), wait_seconds_max=0.5)


def test_refusals_are_counted_as_errors_under_one_name(watch: Stopwatch) -> None:
    async def test(served: Served) -> None:
        await statuses(await ask_at_once(served, 3))

    served = serve(test, computing(watch, 1.0), wait_seconds_max=0.5)
    assert served.calls() == {"GET /items/{}": (1, 0, 0), "GET (refused)": (2, 2, 0)}


@pytest.mark.parametrize(
    ("hosts_services", "limit", "refused"),
    [
        pytest.param(False, None, 0, id="an app without services waits as under uvicorn"),
        pytest.param(True, None, 1, id="an app with services is protected"),
        pytest.param(True, 0.0, 0, id="unless its protection is off"),
        pytest.param(False, 0.5, 1, id="and any app that asks for it"),
        pytest.param(True, float("inf"), 0, id="for ever is no limit"),
    ],
)
def test_who_is_protected(
    watch: Stopwatch, hosts_services: bool, limit: float | None, refused: int
) -> None:
    async def test(served: Served) -> None:
        served.edge.state.hosts_services = hosts_services
        served.edge.state.note_lag(0.0)
        found = await statuses(await ask_at_once(served, 2))
        assert found[503] == refused

    serve(test, computing(watch, 3600.0), wait_seconds_max=limit)


@pytest.mark.parametrize(
    ("lag_seconds", "left_seconds"),
    [
        pytest.param(0.0, 0.5, id="all of it while the loop is free"),
        pytest.param(-0.1, 0.5, id="all of it when the clock was put back"),
        pytest.param(0.1, 0.4, id="less after a long turn"),
        pytest.param(60.0, 0.25, id="half of it after any turn"),
    ],
)
def test_the_time_in_which_nothing_was_read_counts(lag_seconds: float, left_seconds: float) -> None:
    async def test(served: Served) -> None:
        served.edge.state.note_lag(lag_seconds)
        assert served.edge.state.wait_ns_max == left_seconds * SECOND_NS

    serve(test, wait_seconds_max=0.5)


def test_the_least_limit_is_no_missing_one() -> None:
    async def test(served: Served) -> None:
        served.edge.state.note_lag(1.0)
        assert served.edge.state.wait_ns_max == 1

    serve(test, wait_seconds_max=1e-9)


def test_waiting_for_the_response_before_is_no_overload(watch: Stopwatch) -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask("/wait")
        await client.ask("/hello")
        await served.until(lambda: served.app.seen == ["begun /wait"])
        watch.pass_seconds(60)
        served.app.gate.set()
        assert [(await client.response())[2] for _ in range(2)] == [b"waited", b"hello"]

    serve(test, wait_seconds_max=0.5)


def test_a_client_that_asks_before_it_sends_its_body_is_refused_for_good(watch: Stopwatch) -> None:
    async def test(served: Served) -> None:
        clients = [await served.client() for _ in range(2)]
        for client in clients:
            await client.ask("/body", "Expect: 100-continue", "Content-Length: 9", method="POST")
        heads = dict([await client.head() for client in clients])
        assert heads[503]["connection"] == "close"

    serve(test, computing(watch, 1.0), wait_seconds_max=0.5)


def test_a_refused_body_is_not_taken_for_the_next_request(watch: Stopwatch) -> None:
    async def test(served: Served) -> None:
        clients = [await served.client() for _ in range(2)]
        for client in clients:
            await client.ask("/body", "Content-Length: 9", method="POST")
        for client in clients:
            await client.response()
            await client.send(b"GET / HTT")
            await client.ask()
            assert (await client.response())[0] == 200

    serve(test, computing(watch, 1.0), wait_seconds_max=0.5)


def test_one_warning_stands_for_all_refusals_of_a_second(
    watch: Stopwatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(served: Served) -> None:
        clients = await ask_at_once(served, 6)
        assert (await statuses(clients))[503] == 5
        assert len(caplog.messages) == 1
        await served.pass_time(2)
        await statuses(await ask_at_once(served, 6))
        assert len(caplog.messages) == 2

    serve(test, computing(watch, 1.0), wait_seconds_max=0.5, log_level="warning")
    assert "`wait_seconds_max` is 0.5" in caplog.text


@contextlib.contextmanager
def clients_of(port: int, count: int) -> Iterator[None]:
    """So many connections of which the server has not heard yet."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        yield


def test_all_connections_that_wait_are_accepted_together() -> None:
    async def test() -> None:
        settings = Settings(access_log=False, log_level="critical", wait_seconds_max=0.5)
        edge = Edge(LoadedApp(App(), "asgi3", ""), settings)
        await edge.start()
        sock = socket.create_server(("127.0.0.1", 0), backlog=100)
        sock.setblocking(False)
        await edge.listen(0, sock)
        with clients_of(sock.getsockname()[1], 50):
            for _ in range(8):
                await asyncio.sleep(0)
            assert edge.connection_count == 50
        await edge.drain(closes_idle=True, seconds=0)
        await edge.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test())
