"""The receiver over HTTP: who may send, what is answered, and what happens when it is too much."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.applications import Starlette

from outgrow.dashboard import otlp
from outgrow.dashboard.access import Access, access_from
from outgrow.dashboard.otlp import OtlpDesk
from outgrow.telemetry import OtlpReceiver, SpanRecord
from outgrow.telemetry.otlp.sending import VIA_HEADER

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
MEDIA = (PROTOBUF["content-type"], JSON["content-type"])
TOKEN = "a-token-of-some-length"

Asking = Callable[[httpx.AsyncClient], Coroutine[Any, Any, httpx.Response]]


class Kept:
    """Where records go."""

    def __init__(self, error: Exception | None = None) -> None:
        self.spans: list[SpanRecord] = []
        self.lost: dict[str, int] = {}
        self._error = error

    def keep(self, *, spans: Any = (), logs: Any = (), points: Any = ()) -> None:
        if self._error is not None:
            raise self._error
        self.spans += spans

    def lose(self, what: str, count: int) -> None:
        self.lost[what] = self.lost.get(what, 0) + count


def request_of(*names: str) -> bytes:
    """A request of spans with these names; an empty one has no id."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for name in names:
        spans.add(trace_id=b"t" * 16, span_id=b"s" * 8 if name else b"", name=name, kind=1)
    return request.SerializeToString()


def ask(desk: OtlpDesk, asking: Asking, access: Access | None = None) -> httpx.Response:
    """What the desk answers, without a network."""

    async def exchange() -> httpx.Response:
        app = Starlette(routes=desk.routes(access or Access()))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await asking(client)

    try:
        return asyncio.run(exchange())
    finally:
        desk.close()


def send(body: bytes, headers: dict[str, str], *, path: str = "/v1/traces") -> Asking:
    return lambda client: client.post(path, content=body, headers=headers)


def desk_of(kept: Kept | None = None, **options: Any) -> OtlpDesk:
    return OtlpDesk(OtlpReceiver(kept or Kept()), **options)


def status_of(response: httpx.Response) -> tuple[int, str]:
    """The number and the text of google.rpc.Status, whichever format it has."""
    if response.headers["content-type"] == "application/json":
        found = response.json()
        return found["code"], found["message"]
    inner = b"\x0a" + bytes([len(response.content)]) + response.content
    status = ExportTraceServiceResponse.FromString(inner).partial_success
    return status.rejected_spans, status.error_message


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("form", ["protobuf", "json"])
def test_spans_are_kept_and_the_answer_is_empty(packed: bool, form: str) -> None:
    kept = Kept()
    body = request_of("a", "b")
    headers = dict(PROTOBUF)
    if form == "json":
        spans = [{"traceId": "74" * 16, "spanId": "73" * 8, "name": name} for name in "ab"]
        body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).encode()
        headers = dict(JSON)
    if packed:
        body, headers["content-encoding"] = gzip.compress(body), "gzip"
    response = ask(desk_of(kept), send(body, headers))
    assert response.status_code == 200
    assert response.headers["content-type"] == headers["content-type"]
    assert response.content == (b"{}" if form == "json" else b"")
    assert [span.name for span in kept.spans] == ["a", "b"]


def test_a_span_that_cannot_be_kept_is_told_in_a_partial_success() -> None:
    desk = desk_of()
    response = ask(desk, send(request_of("a", ""), PROTOBUF))
    assert response.status_code == 200
    partial = ExportTraceServiceResponse.FromString(response.content).partial_success
    assert partial.rejected_spans == 1
    assert "id" in partial.error_message
    assert desk.receiver.counts.refused_items == {("traces", "ids"): 1}


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        pytest.param(b"\x0a\xff", PROTOBUF, 400, id="broken protobuf"),
        pytest.param(b"{", JSON, 400, id="broken JSON"),
        pytest.param(b"x", PROTOBUF | {"content-encoding": "gzip"}, 400, id="no gzip"),
        pytest.param(b"x", PROTOBUF | {"content-encoding": "br"}, 415, id="brotli"),
        pytest.param(b"x", {"content-type": "text/plain"}, 415, id="text"),
        pytest.param(b"x", {}, 415, id="no type"),
        pytest.param(b"x", PROTOBUF | {"content-length": "10737418240"}, 413, id="10 GB claimed"),
        pytest.param(b"x", PROTOBUF | {"host": "evil.example"}, 421, id="another name"),
        pytest.param(b"{}", JSON | {"origin": "https://evil.example"}, 403, id="another site"),
    ],
)
def test_what_is_refused_says_why_in_the_format_of_the_request(
    body: bytes, headers: dict[str, str], status: int
) -> None:
    desk = desk_of()
    response = ask(desk, send(body, headers))
    assert response.status_code == status
    code, text = status_of(response)
    assert code > 0
    assert text
    wanted = headers.get("content-type") if headers.get("content-type") in MEDIA else MEDIA[1]
    assert response.headers["content-type"] == wanted
    assert sum(desk.receiver.counts.refused_requests.values()) == 1
    assert desk.receiver.counts.requests == {("traces", status): 1}


def test_an_observer_that_sends_to_itself_refuses_it() -> None:
    kept = Kept()
    desk = desk_of(kept)
    response = ask(desk, send(request_of("a"), PROTOBUF | {VIA_HEADER: desk.receiver.via}))
    assert response.status_code == 400
    assert desk.receiver.counts.refused_requests == {("traces", "loop"): 1}
    assert kept.lost == {"requests of traces by OTLP (loop)": 1}
    assert ask(desk_of(), send(b"", PROTOBUF | {VIA_HEADER: "other"})).status_code == 200


def test_with_tokens_a_sender_needs_one() -> None:
    access = access_from(environment={"OUTGROW_TOKENS": f"shop read {TOKEN}"})
    body = request_of("a")
    refused = ask(desk_of(), send(body, PROTOBUF), access)
    assert (refused.status_code, status_of(refused)[0]) == (401, 16)
    assert refused.headers["www-authenticate"] == "Bearer"
    bearer = PROTOBUF | {"authorization": f"Bearer {TOKEN}", "host": "observer.example"}
    assert ask(desk_of(), send(body, bearer), access).status_code == 200


def test_a_full_archive_asks_senders_to_wait() -> None:
    response = ask(desk_of(is_full=lambda: True), send(request_of("a"), PROTOBUF))
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert status_of(response)[0] == 14


def test_bodies_that_wait_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "HELD_BYTES_MAX", 1000)
    desk = desk_of()
    response = ask(desk, send(request_of(*["x" * 100] * 20), PROTOBUF))
    assert response.status_code == 503
    assert desk.receiver.counts.refused_requests == {("traces", "pressure"): 1}


def test_after_a_refusal_there_is_room_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "HELD_BYTES_MAX", 1000)

    async def twice(client: httpx.AsyncClient) -> httpx.Response:
        for _ in range(5):
            await client.post("/v1/traces", content=b"x" * 2000, headers=PROTOBUF)
        return await client.post("/v1/traces", content=request_of("a"), headers=PROTOBUF)

    assert ask(desk_of(), twice).status_code == 200


def test_a_body_that_grows_too_large_is_refused_on_the_way() -> None:
    async def grows(client: httpx.AsyncClient) -> httpx.Response:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(40):
                yield bytes(1024**2)

        return await client.post("/v1/traces", content=pieces(), headers=PROTOBUF)

    assert ask(desk_of(), grows).status_code == 413


def test_a_body_that_never_ends_is_given_up() -> None:
    async def app_alone() -> tuple[int, dict[tuple[str, str], int]]:
        desk = desk_of(body_seconds=0.05)
        app = Starlette(routes=desk.routes(Access()))
        answers: list[Any] = []

        async def receive() -> dict[str, Any]:
            if not answers:
                answers.append(None)
                return {"type": "http.request", "body": b"\x0a", "more_body": True}
            return await asyncio.get_running_loop().create_future()

        async def sending(message: Any) -> None:
            answers.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/logs",
            "query_string": b"",
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        }
        await app(scope, receive, sending)
        desk.close()
        return answers[1]["status"], {**desk.receiver.counts.refused_requests}

    assert asyncio.run(app_alone()) == (408, {("logs", "unfinished"): 1})


def test_a_fault_of_ours_is_told_without_its_details() -> None:
    response = ask(desk_of(Kept(ValueError("secret"))), send(request_of("a"), PROTOBUF))
    assert response.status_code == 500
    code, text = status_of(response)
    assert code == 13
    assert "secret" not in text


def test_only_posts_are_answered() -> None:
    assert ask(desk_of(), lambda client: client.get("/v1/traces")).status_code == 405
