"""Spans that one core takes in: what OpenTelemetry's Python SDK sends, decoded, received, kept.

All figures are spans a second of CPU time, so they are those of one core whatever else runs. The
reference is what protobuf's own decoder needs, which makes messages and no records yet.
"""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from google.protobuf import json_format
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Tracer
from starlette.applications import Starlette

from benchmarks import cost
from benchmarks.harness import Measurements, publish
from outgrow.dashboard.access import Access
from outgrow.dashboard.otlp import OtlpDesk
from outgrow.telemetry import Archive, Keeping, OtlpReceiver
from outgrow.telemetry.otlp.decoding import OtlpDecoder
from outgrow.telemetry.otlp.quick import QuickSpans
from outgrow.telemetry.otlp.reading import Place

BATCH = 512  # as the SDK's batch processor sends
REQUESTS = BATCH // 4
_PROTOBUF, _JSON = "application/x-protobuf", "application/json"
_METRIC = "spans a second and core"
_WARM_UP_SECONDS = 0.3


def _request(tracer: Tracer, numbers: random.Random) -> None:
    """Four spans, as a request for a page makes them."""
    with tracer.start_as_current_span(
        "GET /orders/{id}",
        kind=SpanKind.SERVER,
        attributes={
            "http.request.method": "GET",
            "http.route": "/orders/{id}",
            "http.response.status_code": 200,
            "url.path": f"/orders/{numbers.randrange(10**6)}",
            "server.address": "shop.example",
            "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64)",
        },
    ):
        order = {"code.function.name": "Orders.get", "order.id": numbers.randrange(10**9)}
        with tracer.start_as_current_span("Orders.get", attributes=order):
            sql = {
                "db.system.name": "postgresql",
                "db.query.text": "SELECT id, total FROM orders WHERE id = $1",
                "db.namespace": "shop",
                "server.port": 5432,
            }
            with tracer.start_as_current_span(
                "SELECT orders", kind=SpanKind.CLIENT, attributes=sql
            ):
                pass
        page = {"template": "order.html", "bytes": numbers.randrange(10**5), "hit": True}
        with tracer.start_as_current_span("render", attributes=page):
            pass


def _batch() -> ExportTraceServiceRequest:
    """A request as the SDK sends it."""
    remembered = InMemorySpanExporter()
    resource = Resource.create({"service.name": "shop", "service.instance.id": "front/1"})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(SimpleSpanProcessor(remembered))
    numbers = random.Random(1)
    for _ in range(REQUESTS):
        _request(provider.get_tracer("shop", "1.0"), numbers)
    provider.shutdown()
    return encode_spans(remembered.get_finished_spans())


def _in_json(request: ExportTraceServiceRequest) -> bytes:
    tree = json_format.MessageToDict(request, use_integers_for_enums=True)
    return json.dumps(_with_hex(tree), separators=(",", ":")).encode()


def _with_hex(tree: Any) -> Any:
    if isinstance(tree, list):
        return [_with_hex(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    ids = {"traceId", "spanId", "parentSpanId"}
    return {
        name: base64.b64decode(one).hex() if name in ids else _with_hex(one)
        for name, one in tree.items()
    }


def _decoded_per_second(decode: Callable[[], object], seconds: float) -> float:
    """Spans decoded in a second of CPU time of this thread."""
    decode()
    began, until, runs = time.thread_time(), time.monotonic() + seconds, 0
    while time.monotonic() < until:
        decode()
        runs += 1
    return BATCH * runs / (time.thread_time() - began)


class _Slow(QuickSpans):
    """Leaves every span to protobuf."""

    def span(self, content: bytes, at: int, end: int, place: Place) -> None:
        return None


def _slow_decoder() -> OtlpDecoder:
    decoder = OtlpDecoder()
    decoder._quick = _Slow()
    return decoder


def run(rounds: int, seconds: float) -> None:
    """Measure decoding alone, then all of receiving and keeping."""
    found = Measurements("ingest", reference="protobuf, messages only")
    request = _batch()
    binary, text = request.SerializeToString(), _in_json(request)
    quick, slow = OtlpDecoder(), _slow_decoder()
    decoders: dict[str, Callable[[], object]] = {
        "protobuf, messages only": lambda: ExportTraceServiceRequest.FromString(binary),
        "decode, protobuf, through messages": lambda: slow.decode("traces", "protobuf", binary),
        "decode, protobuf": lambda: quick.decode("traces", "protobuf", binary),
        "decode, JSON": lambda: quick.decode("traces", "json", text),
    }
    bodies = {
        "protobuf": (binary, _PROTOBUF, ""),
        "protobuf, gzip": (gzip.compress(binary, 6), _PROTOBUF, "gzip"),
        "JSON": (text, _JSON, ""),
    }
    for _ in range(rounds):
        for name, decode in decoders.items():
            found.add(name, _METRIC, _decoded_per_second(decode, seconds / 3), "spans/s")
        for kept in ("nothing", "archive"):
            for name, (body, kind, packing) in bodies.items():
                with _server(kept) as (pid, port):
                    rate = _received_per_second(pid, port, (body, kind, packing), seconds)
                doing = "receive" if kept == "nothing" else "receive and keep"
                found.add(f"{doing}, {name}", _METRIC, rate, "spans/s")
    publish(found)


def _received_per_second(
    pid: int, port: int, sent: tuple[bytes, str, str], seconds: float
) -> float:
    """Spans taken in a second of CPU time of the server."""
    body, kind, packing = sent
    headers = {"content-type": kind, **({"content-encoding": packing} if packing else {})}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def send_for(seconds: float) -> int:
        until, count = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            connection.request("POST", "/v1/traces", body, headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            count += 1
        return count

    send_for(_WARM_UP_SECONDS)
    before = cost.cpu_seconds(pid)
    count = send_for(seconds)
    spent = cost.cpu_seconds(pid) - before
    connection.close()
    return BATCH * count / spent


@contextmanager
def _server(kept: str) -> Iterator[tuple[int, int]]:
    """A receiver in a process of its own: its pid and port."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.ingest", kept, folder],
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()
            process.communicate()


class _Nothing:
    """Keeps nothing."""

    def keep(self, *, spans: object = (), logs: object = (), points: object = ()) -> None:
        """Forget it."""

    def lose(self, what: str, count: int) -> None:
        """Forget that as well."""


class _Telling(uvicorn.Server):
    """Prints its port."""

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)


def _serve(kept: str, folder: str) -> None:
    keeping: Keeping = _Nothing()
    if kept == "archive":
        keeping = archive = Archive(Path(folder))
        archive.start()
    app = Starlette(routes=OtlpDesk(OtlpReceiver(keeping)).routes(Access()))
    _Telling(uvicorn.Config(app, port=0, log_level="error", lifespan="off", loop="uvloop")).run()


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2])
