"""Each request is a span, with the trace that it came with, and what it does is within that."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic_ns
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI, WebSocket
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from websockets.asyncio.client import connect

from outgrow import client, operation, service, wait
from outgrow.telemetry import CLIENT, LogRecord, SpanRecord, note, outgoing, outgoing_state
from tests.recorded import logs, named, path_to, recorded, spans
from tests.unit.host.serving import Served, answer, serve

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
SAMPLED = f"Traceparent: 00-{TRACE}-{SPAN}-01"


@service
class Stock:
    @operation
    async def left(self, sku: str) -> int:
        query(f"SELECT {sku}")
        return len(sku)


def query(name: str) -> None:
    now_ns = monotonic_ns()
    note(name, CLIENT, now_ns, now_ns + 1000)


def served(
    test: Callable[[Served], Awaitable[None]], app: Any = None, **settings: Any
) -> tuple[list[SpanRecord], list[LogRecord]]:
    """Serve an app while recording; what is kept of it."""
    with recorded():
        changed: dict[str, Any] = {"lifespan": "off", **settings}
        serve(test, app, **changed)
        return spans(), logs()


def asking(*requests: tuple[str, ...]) -> Callable[[Served], Awaitable[None]]:
    """A client that asks for these on one connection, each with its headers."""

    async def test(served: Served) -> None:
        one = await served.client()
        for path, *headers in requests:
            await one.ask(path, *headers)
            await one.response()
        await served.until(lambda: served.edge.in_flight == 0)

    return test


def test_a_request_is_a_span_of_its_route() -> None:
    app = FastAPI()

    @app.get("/items/{id}")
    async def item(id: int) -> int:
        return id

    (span,), _ = served(asking(("/items/7?secret=1", "Cookie: secret")), app)
    assert (span.name, span.kind, span.status) == ("GET /items/{id}", 2, 0)
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/items/{id}",
        "http.response.status_code": 200,
    }
    assert span.parent_id == b""
    assert span.duration_ns > 0
    assert (span.service, span.worker) == ("shop", "web/1")


def test_a_request_that_came_with_a_trace_goes_on_with_it() -> None:
    seen: list[tuple[str | None, str]] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        seen.append((outgoing(), outgoing_state()))
        await answer(send, 200, b"")

    (span,), _ = served(asking(("/", SAMPLED, "tracestate: a=1", "TraceState: b=2")), app)
    assert (span.trace_id.hex(), span.parent_id.hex()) == (TRACE, SPAN)
    assert span.kept_for == "asked"
    assert seen == [(f"00-{TRACE}-{span.span_id.hex()}-01", "a=1,b=2")]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param((f"traceparent: ff-{TRACE}-{SPAN}-01",), id="a version that is none"),
        pytest.param((SAMPLED, SAMPLED), id="said twice"),
        pytest.param(("tracestate: a=1",), id="a state alone"),
    ],
)
def test_a_request_with_headers_that_are_not_valid_begins_a_trace(headers: tuple[str, ...]) -> None:
    (span,), _ = served(asking(("/", *headers)))
    assert span.trace_id.hex() != TRACE
    assert span.parent_id == b""


def test_trailers_say_nothing_of_the_next_request() -> None:
    async def test(served: Served) -> None:
        one = await served.client()
        body = f"0\r\ntraceparent: 00-{TRACE}-{SPAN}-01\r\n\r\n"
        await one.ask("/body", "Transfer-Encoding: chunked", method="POST")
        await one.send(body.encode())
        await one.response()
        await one.ask("/hello")
        await one.response()

    found, _ = served(test)
    assert len(found) == 2
    assert all(span.trace_id.hex() != TRACE for span in found)


def test_requests_of_one_connection_are_traces_of_their_own() -> None:
    found, _ = served(asking(("/hello",), ("/hello",), ("/hello",)))
    assert len({span.trace_id for span in found}) == len(found) == 3


def test_a_call_of_a_service_is_within_the_request() -> None:
    stock = client(Stock)

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await answer(send, 200, b"%d" % await stock.left("tea"))

    found, _ = served(asking(("/",)), app)
    assert path_to(found, "SELECT tea") == ["GET /", "Stock.left", "SELECT tea"]


def test_a_wsgi_app_in_its_thread_is_within_the_request() -> None:
    stock = client(Stock)

    def app(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        query("SELECT thread")
        wait(stock.left("tea"))
        start_response("200 OK", [("content-length", "2")])
        return [b"ok"]

    found, _ = served(asking(("/",)), app, interface="wsgi")
    assert path_to(found, "SELECT thread") == ["GET /", "SELECT thread"]
    assert path_to(found, "SELECT tea") == ["GET /", "Stock.left", "SELECT tea"]


def test_an_exception_of_the_app_is_an_error_and_one_log_record() -> None:
    found, said = served(asking(("/broken",)), log_level="error")
    (span,) = found
    assert (span.status, span.message, span.kept_for) == (2, "ValueError: broken", "error")
    assert span.attributes["http.response.status_code"] == 500
    (record,) = said
    assert (record.trace_id, record.span_id) == (span.trace_id, span.span_id)
    assert record.exception == "ValueError"
    assert 'raise ValueError("broken")' in record.traceback


def test_an_exception_that_the_app_logged_itself_is_not_told_twice() -> None:
    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        try:
            raise ValueError("broken")
        except ValueError:
            logging.getLogger("shop").exception("it broke")
            raise

    _, said = served(asking(("/",)), app, log_level="error")
    assert [record.text for record in said] == ["it broke"]


def test_an_exception_behind_a_framework_that_answers_first_is_told() -> None:
    app = FastAPI()

    @app.get("/")
    async def broken() -> None:
        raise ValueError("broken")

    (span,), said = served(asking(("/",)), app, log_level="error")
    assert (span.status, span.message) == (2, "ValueError: broken")
    assert [record.exception for record in said] == ["ValueError"]


def test_a_stream_ends_its_span_when_it_ends() -> None:
    async def test(served: Served) -> None:
        one = await served.client()
        await one.ask("/stream")
        await one.head()
        assert spans() == []
        served.app.gate.set()
        await served.until(lambda: served.edge.in_flight == 0)

    (span,), _ = served(test)
    assert span.name == "GET /stream"


def test_a_client_that_leaves_ends_the_span_and_is_no_error() -> None:
    async def test(served: Served) -> None:
        one = await served.client()
        await one.ask("/stream")
        await one.head()
        one.reset()
        await served.until(lambda: served.edge.requests_total == 1)

    (span,), _ = served(test)
    assert span.status == 0
    assert span.attributes["outgrow.cut_off"] is True


def test_what_a_request_leaves_to_be_done_is_in_its_trace() -> None:
    app, stock = FastAPI(), client(Stock)

    @app.get("/")
    async def begin(background: BackgroundTasks) -> None:
        background.add_task(stock.left, "later")

    found, _ = served(asking(("/",)), app)
    assert len({span.trace_id for span in found}) == 1
    assert path_to(found, "SELECT later") == ["GET /", "Stock.left", "SELECT later"]


def test_a_web_socket_is_a_span_until_it_closes() -> None:
    app = FastAPI()

    @app.websocket("/talk/{name}")
    async def talk(socket: WebSocket, name: str) -> None:
        await socket.accept()
        query(f"SELECT {name}")
        await socket.send_text(await socket.receive_text())
        await socket.close()

    async def test(served: Served) -> None:
        url = f"ws://127.0.0.1:{served.ports[0]}/talk/tea"
        async with connect(url, additional_headers={"traceparent": SAMPLED[13:]}) as socket:
            await socket.send("hello")
            assert await socket.recv() == "hello"
        await served.until(lambda: served.edge.requests_total == 1)

    found, _ = served(test, app)
    assert path_to(found, "SELECT tea") == ["WEBSOCKET /talk/{name}", "SELECT tea"]
    root = named(found, "WEBSOCKET /talk/{name}")
    assert (root.trace_id.hex(), root.parent_id.hex()) == (TRACE, SPAN)
    assert root.attributes["http.response.status_code"] == 101


# Somebody else's tracing.


def otel_app(sampler: Sampler, exported: InMemorySpanExporter) -> Any:
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(SimpleSpanProcessor(exported))
    tracer = provider.get_tracer("shop")

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        attributes = {
            "order.id": 7,
            "url.full": "http://x/y?secret=1",
            "http.request.header.cookie": "secret",
        }
        with tracer.start_as_current_span("price", attributes=attributes) as span:
            span.add_event("priced", {"with": "tax"})
            await asyncio.sleep(0)
            with tracer.start_as_current_span("tax", kind=trace.SpanKind.CLIENT):
                pass
        await answer(send, 200, b"")

    return app


def test_spans_of_the_apps_own_tracer_join() -> None:
    exported = InMemorySpanExporter()
    with recorded():
        app = otel_app(ParentBased(ALWAYS_ON), exported)
        serve(asking(("/", f"traceparent: 00-{TRACE}-{SPAN}-01")), app, lifespan="off")
        found = spans()
    assert path_to(found, "tax") == ["GET /", "price", "tax"]
    assert {span.trace_id.hex() for span in found} == {TRACE}
    price = named(found, "price")
    assert price.attributes == {"order.id": 7, "url.full": "http://x/y"}
    assert [(name, attributes) for _, name, attributes in price.events] == [
        ("priced", {"with": "tax"})
    ]
    assert (price.kind, named(found, "tax").kind) == (1, 3)
    assert {span.name for span in exported.get_finished_spans()} == {"price", "tax"}


@pytest.mark.parametrize(
    ("sampler", "count"),
    [
        pytest.param(ParentBased(ALWAYS_ON), 2, id="all"),
        pytest.param(ParentBased(ALWAYS_OFF), 0, id="none"),
    ],
)
def test_their_sampler_decides_what_they_export_as_it_did(sampler: Sampler, count: int) -> None:
    exported = InMemorySpanExporter()
    with recorded():
        serve(asking(("/",)), otel_app(sampler, exported), lifespan="off")
        assert len(spans()) == 1 + count
    assert len(exported.get_finished_spans()) == count


def test_their_spans_are_left_alone_where_nothing_is_recorded() -> None:
    exported = InMemorySpanExporter()
    with recorded():
        app = otel_app(ALWAYS_ON, exported)
    serve(asking(("/",)), app, lifespan="off")
    price = next(span for span in exported.get_finished_spans() if span.name == "price")
    assert price.parent is None
