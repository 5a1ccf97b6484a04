"""The edge counts every request, comes and goes with its sockets, and starts and stops the app."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from outgrow.errors import SettingValueError, StartupFailedError
from outgrow.host.app import LoadedApp
from outgrow.host.edge import Edge
from outgrow.model import Settings
from outgrow.telemetry import LOOP_KEY
from tests.unit.host.serving import Served, serve


def test_responses_are_counted_with_their_status() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        for path, status in (("/", 200), ("/hello", 200), ("/broken", 500)):
            await client.ask(path)
            assert (await client.response())[0] == status

    served = serve(test)
    assert served.calls() == {"GET /": (1, 0, 0), "GET /hello": (1, 0, 0), "GET /broken": (1, 1, 0)}
    assert served.edge.requests_total == 3


def test_a_request_is_counted_when_its_response_ends_and_not_before() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask("/stream")
        await client.head()
        assert served.edge.requests_total == 0
        assert served.edge.in_flight == 1
        served.app.gate.set()
        await served.until(lambda: served.edge.requests_total == 1)
        await served.until(lambda: served.edge.in_flight == 0)

    serve(test)


def test_a_client_that_leaves_in_the_middle_is_a_call_that_was_cut_off() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask("/stream")
        await client.head()
        client.reset()
        await served.until(lambda: served.edge.requests_total == 1)

    assert serve(test).calls() == {"GET /stream": (1, 0, 1)}


def test_a_client_that_stops_sending_is_taken_for_one_that_left() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask("/stream")
        await client.head()
        client.writer.write_eof()
        await client.rest()
        served.app.gate.set()

    assert serve(test).calls() == {"GET /stream": (1, 0, 1)}


@pytest.mark.parametrize("raises", [True, False], ids=["raises", "returns"])
def test_an_app_that_fails_in_the_middle_of_its_response_is_an_error(raises: bool) -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"one", "more_body": True})
            if raises:
                raise ValueError("broken")

    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask()
        assert (await client.rest()).endswith(b"one\r\n"), "the client sees no end of it"

    assert serve(test, app).calls() == {"GET /": (1, 1, 0)}


def test_pipelined_requests_are_answered_in_order_and_all_counted() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.send(
            b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
            b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
            b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n"
        )
        bodies = [(await client.response())[2] for _ in range(3)]
        assert bodies == [b"hello", b"3", b"Internal Server Error"]

    served = serve(test)
    calls = {"GET /hello": (1, 0, 0), "POST /body": (1, 0, 0), "GET /broken": (1, 1, 0)}
    assert served.calls() == calls


def test_some_requests_are_metered_even_where_each_has_its_own_connection() -> None:
    async def test(served: Served) -> None:
        for _ in range(40):
            client = await served.client()
            await client.ask("/hello", "Connection: close")
            assert (await client.rest()).endswith(b"hello")

    served = serve(test)
    totals = served.totals["GET /hello"]
    assert totals.calls == 40
    assert 2 <= totals.metered < 40
    assert totals.loop_ns > 0


def test_metering_changes_no_answer() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        for _ in range(40):
            await client.ask("/body", "Content-Length: 2", method="POST")
            await client.send(b"ab")
            assert (await client.response())[2] == b"2"

    assert serve(test).calls() == {"POST /body": (40, 0, 0)}


def test_every_request_of_a_wsgi_app_is_metered_in_its_thread() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]

    async def test(served: Served) -> None:
        client = await served.client()
        for _ in range(20):
            await client.ask("/page")
            assert (await client.response())[2] == b"ok"
        await served.until(lambda: served.edge.requests_total == 20)

    totals = serve(test, app, "wsgi").totals["GET /page"]
    assert (totals.calls, totals.metered) == (20, 20)


def test_a_time_that_something_nearer_the_app_measured_is_taken() -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope[LOOP_KEY] = 10**9  # as the bridge to WSGI notes the time of its threads
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})

    async def test(served: Served) -> None:
        client = await served.client()
        for _ in range(16):
            await client.ask("/page")
            assert (await client.head())[0] == 204
        await served.until(lambda: served.edge.requests_total == 16)

    assert serve(test, app).totals["GET /page"].loop_ns == 16 * 10**9


def test_asgi2_apps_are_served() -> None:
    def app(scope: Any) -> Any:
        async def run(_receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                await send({"type": "http.response.start", "status": 204, "headers": []})
                await send({"type": "http.response.body"})

        return run

    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask()
        assert (await client.head())[0] == 204

    serve(test, app, "asgi2")


def test_sockets_come_and_go_while_it_runs() -> None:
    async def test(served: Served) -> None:
        first = await served.client(0)
        await served.open_port()
        await served.open_port()
        second = await served.client(1)
        served.edge.release(1)
        served.edge.release(1)
        served.edge.release(99)
        with pytest.raises(ConnectionRefusedError):
            await served.client(1)
        third = await served.client(2)
        for client in (first, second, third):
            await client.ask()
            assert (await client.response())[0] == 200
        assert served.edge.connection_count == 3

    serve(test)


def test_a_socket_that_it_has_already_is_not_listened_on_twice() -> None:
    async def test(served: Served) -> None:
        again = socket.create_server(("127.0.0.1", 0))
        await served.edge.listen(0, again)
        assert again.fileno() == -1
        await (await served.client(0)).ask()

    serve(test)


class Lifespan:
    """An app of which only the start-up and shut-down matter."""

    def __init__(self, problem: str = "") -> None:
        self.problem = problem
        self.seen: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            body = scope["state"].get("answer", "none").encode()
            headers = [(b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
            return
        scope["state"]["answer"] = "from the start"
        while self.seen != ["lifespan.startup", "lifespan.shutdown"]:
            message = await receive()
            self.seen.append(message["type"])
            if self.problem:
                raise ValueError(self.problem)
            await send({"type": f"{message['type']}.complete"})


def test_the_app_is_started_and_stopped_and_its_state_reaches_requests() -> None:
    app = Lifespan()

    async def test(served: Served) -> None:
        assert app.seen == ["lifespan.startup"]
        client = await served.client()
        await client.ask()
        assert (await client.response())[2] == b"from the start"

    serve(test, app)
    assert app.seen == ["lifespan.startup", "lifespan.shutdown"]


def test_an_app_that_fails_to_start_says_why() -> None:
    async def test(_served: Served) -> None: ...

    with pytest.raises(StartupFailedError, match="the app's start-up failed"):
        serve(test, Lifespan("no database"), lifespan="on")


def test_without_lifespan_nothing_is_started() -> None:
    app = Lifespan("must not run")

    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask()
        assert (await client.response())[2] == b"none"

    serve(test, app, lifespan="off")
    assert app.seen == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({"tls_certificate": "none.pem"}, "TLS files", id="no certificate"),
        pytest.param({"header": ("no colon",)}, "`header` is `no colon`", id="no header"),
        pytest.param({"header": (": value",)}, "`header`", id="a header without a name"),
    ],
)
def test_settings_that_cannot_be_used_are_said(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingValueError, match=said):
        Edge(LoadedApp(Lifespan(), "asgi3", ""), Settings(**settings))


def test_headers_of_ones_own_are_on_every_response() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask()
        _, headers, _ = await client.response()
        assert headers["x-shop"] == "a: b"
        assert "server" not in headers
        assert "date" not in headers

    serve(test, header=("X-Shop: a: b",), server_header=False, date_header=False)
