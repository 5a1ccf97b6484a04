"""Requests to elsewhere and to Redis are seen, and carry the trace, with no changed line."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import aiohttp
import httpx
import pytest
import redis
import requests
import urllib3
from redis.asyncio import Redis

from outgrow.telemetry import outgoing, watch_outside
from tests.adopt.seeing import CALLER, Seen, seeing


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> None:
    watch_outside(lambda: CALLER)
    monkeypatch.setattr("outgrow.telemetry.outside.noting._name_caller", [lambda: CALLER])


class Elsewhere(ThreadingHTTPServer):
    """A server that remembers the `traceparent`s of each request; `/503` and `/moved` do so."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.sent: list[list[str]] = []

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.place}"


class Answer(BaseHTTPRequestHandler):
    server: Elsewhere  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        self.server.sent.append(self.headers.get_all("traceparent") or [])
        status = {"/503": 503, "/404": 404, "/moved": 302}.get(self.path, 200)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    server = Elsewhere()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def by_httpx(url: str) -> None:
    with httpx.Client(trust_env=False) as client:
        client.get(url)


def by_async_httpx(url: str) -> None:
    async def ask() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get(url)

    asyncio.run(ask())


def by_aiohttp(url: str) -> None:
    async def ask() -> None:
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            await response.read()

    asyncio.run(ask())


def by_requests(url: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.get(url, allow_redirects=False)


def by_urllib3(url: str) -> None:
    with urllib3.PoolManager() as pool:
        pool.request("GET", url)


ASKING = pytest.mark.parametrize(
    "ask", [by_httpx, by_async_httpx, by_aiohttp, by_requests, by_urllib3]
)


def parents(seen: Seen) -> list[str]:
    """The `traceparent` that each span would be sent as."""
    segment = seen.segment
    ids = [(segment.trace_id, segment.span_id(span[0])) for span in seen.spans]
    return [f"00-{trace:032x}-{span:016x}-00" for trace, span in ids]


@ASKING
def test_a_request_is_a_link_a_span_and_carries_the_trace(
    elsewhere: Elsewhere, ask: Callable[[str], None]
) -> None:
    with seeing() as seen:
        ask(f"{elsewhere.url}/items?token=secret")
    (link,) = seen.links
    assert (link.caller, link.callee) == (CALLER, f"http {elsewhere.place}")
    assert (link.calls, link.errors) == (1, 0)
    (span,) = seen.spans
    assert span[2] == f"GET {elsewhere.place}"
    assert span[7]["http.response.status_code"] == 200
    assert "secret" not in str(span)
    assert elsewhere.sent == [parents(seen)]
    assert seen.segment.is_shared


@ASKING
def test_what_the_other_side_cannot_do_is_an_error(
    elsewhere: Elsewhere, ask: Callable[[str], None]
) -> None:
    with seeing() as seen:
        ask(f"{elsewhere.url}/404")
        ask(f"{elsewhere.url}/503")
    (link,) = seen.links
    assert (link.calls, link.errors) == (2, 1)
    assert [span[6] for span in seen.spans] == ["", "HTTP 503"]


@ASKING
def test_a_server_that_is_not_there_is_an_error(ask: Callable[[str], None]) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and does not listen
        port = held.getsockname()[1]
        with seeing() as seen, pytest.raises(Exception, match=r"."):
            ask(f"http://127.0.0.1:{port}/")
    (link,) = seen.links
    assert (link.callee, link.calls, link.errors) == (f"http 127.0.0.1:{port}", 1, 1)


def test_a_trace_that_the_app_sends_itself_is_left_alone(elsewhere: Elsewhere) -> None:
    own = "00-11111111111111111111111111111111-2222222222222222-01"

    async def ask() -> None:
        session = aiohttp.ClientSession(headers={"Traceparent": own})
        async with session, session.get(elsewhere.url):
            pass

    with seeing():
        httpx.get(elsewhere.url, headers={"TraceParent": own}, trust_env=False)
        asyncio.run(ask())
    assert elsewhere.sent == [[own], [own]]


def test_a_request_of_the_app_is_left_as_it_was(elsewhere: Elsewhere) -> None:
    with seeing(), httpx.Client(trust_env=False) as client:
        request = client.build_request("GET", elsewhere.url)
        client.send(request)
        assert "traceparent" not in request.headers


def test_outside_of_requests_nothing_is_sent(elsewhere: Elsewhere) -> None:
    assert outgoing() is None
    httpx.get(elsewhere.url, trust_env=False)
    assert elsewhere.sent == [[]]


def test_what_a_transport_answers_in_this_process_is_not_outside() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    with seeing() as seen, httpx.Client(transport=transport) as client:
        client.get("http://here/")
    assert not seen.links
    assert not seen.spans


def test_a_redirect_of_aiohttp_is_the_same_call(elsewhere: Elsewhere) -> None:
    with seeing() as seen:
        by_aiohttp(f"{elsewhere.url}/moved")
    assert [link.calls for link in seen.links] == [1]
    assert elsewhere.sent == [parents(seen), parents(seen)]


class Cache(threading.Thread):
    """Answers each command of Redis with `+OK`, and `BAD` with an error."""

    def __init__(self) -> None:
        super().__init__()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._is_open = True

    def run(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                if not self._is_open:
                    return
                connection.settimeout(10)
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        reader = connection.makefile("rb")
        while head := reader.readline():
            count = int(head[1:])
            words = [reader.readline() and reader.readline().strip() for _ in range(count)]
            bad = words[0] == b"BAD"
            connection.sendall(b"-ERR no\r\n" if bad else b"+OK\r\n")

    def close(self) -> None:
        self._is_open = False
        socket.create_connection(("127.0.0.1", self.port)).close()
        self.join()
        self._listener.close()


@pytest.fixture
def cache() -> Iterator[Cache]:
    made = Cache()
    made.start()
    yield made
    made.close()


OPTIONS = {"host": "127.0.0.1", "db": 0, "protocol": 2, "driver_info": None}


def test_commands_of_redis_are_calls(cache: Cache) -> None:
    with seeing() as seen, redis.Redis(port=cache.port, **OPTIONS) as client:
        client.set("secret", "1")
        with pytest.raises(redis.ResponseError):
            client.execute_command("BAD", "secret")
    (link,) = seen.links
    assert (link.caller, link.callee) == (CALLER, f"redis 127.0.0.1:{cache.port}/0")
    assert (link.calls, link.errors) == (2, 1)
    assert [(span[2], span[6]) for span in seen.spans] == [
        ("SET redis", ""),
        ("BAD redis", "ResponseError"),
    ]
    assert "secret" not in str(seen.spans)


def test_commands_of_asyncio_redis_are_calls_and_a_pipeline_is_one(cache: Cache) -> None:
    async def use() -> None:
        async with Redis(port=cache.port, **OPTIONS) as client:
            await client.set("a", "1")
            async with client.pipeline(transaction=False) as pipeline:
                pipeline.set("a", "1")
                pipeline.set("b", "2")
                await pipeline.execute()

    with seeing() as seen:
        asyncio.run(use())
    assert [span[2] for span in seen.spans] == ["SET redis", "PIPELINE redis"]
    assert [link.calls for link in seen.links] == [2]
