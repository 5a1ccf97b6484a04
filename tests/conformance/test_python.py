"""OpenTelemetry's Python SDK exports to us, and all reads back equal; also what we send on."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from outgrow.telemetry import Forwarder, ForwardTarget, LogRecord, SpanRecord
from tests.conformance.serving import Receiving, receiving
from tests.unit.telemetry.otlp.elsewhere import wait_for

RESOURCE = Resource(
    {"service.name": "shop", "service.instance.id": "py/1", "deployment.environment.name": "test"}
)
OF_RESOURCE = {"resource.deployment.environment.name": "test"}
STATUS = {StatusCode.UNSET: 0, StatusCode.OK: 1, StatusCode.ERROR: 2}


@contextmanager
def tracing(url: str, compression: Compression) -> Iterator[tuple[Any, InMemorySpanExporter]]:
    """A tracer that exports to us, and what the SDK had of its spans."""
    remembered = InMemorySpanExporter()
    provider = TracerProvider(resource=RESOURCE)
    exporter = OTLPSpanExporter(f"{url}/v1/traces", compression=compression)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    provider.add_span_processor(SimpleSpanProcessor(remembered))
    try:
        yield provider.get_tracer("shop-library", "2.3"), remembered
        assert provider.force_flush()
    finally:
        provider.shutdown()


def make_spans(tracer: Any, count: int) -> None:
    """Spans with everything that one can have."""
    for number in range(count):
        with tracer.start_as_current_span(
            f"GET /orders/{{id}} {number % 3}",
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": "GET",
                "order.number": number,
                "ratio": number / 3,
                "is.new": number % 2 == 0,
                "tags": ["a", "b", "é"],
                "large": 2**62 + number,
                "negative": -number,
            },
        ) as parent:
            link = Link(parent.get_span_context(), {"why": "test"})
            child = tracer.start_span("Orders.find", kind=SpanKind.INTERNAL, links=[link])
            child.add_event("cache miss", {"key": f"order {number}"})
            if number % 5 == 0:
                child.record_exception(TypeError("no such order"))
                child.set_status(Status(StatusCode.ERROR, "no such order"))
            child.end()


def plain(value: Any) -> Any:
    """An attribute as it is kept: lists as JSON."""
    is_list = isinstance(value, tuple | list)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) if is_list else value


def attributes_of(attributes: Any) -> dict[str, Any]:
    return {name: plain(value) for name, value in (attributes or {}).items()}


def span_as_kept(span: ReadableSpan) -> SpanRecord:
    """What should be kept of a span, by what the SDK says of it."""
    context, scope = span.get_span_context(), span.instrumentation_scope
    assert context is not None
    assert scope is not None
    assert span.start_time is not None
    assert span.end_time is not None
    links = [
        (link.context.trace_id.to_bytes(16, "big"), link.context.span_id.to_bytes(8, "big"))
        for link in span.links
    ]
    of_links = {
        f"otel.link.{number}.{name}": plain(value)
        for number, link in enumerate(span.links)
        for name, value in (link.attributes or {}).items()
    }
    return SpanRecord(
        trace_id=context.trace_id.to_bytes(16, "big"),
        span_id=context.span_id.to_bytes(8, "big"),
        parent_id=span.parent.span_id.to_bytes(8, "big") if span.parent else b"",
        name=span.name,
        kind=span.kind.value + 1,
        at_ns=span.start_time,
        duration_ns=span.end_time - span.start_time,
        status=STATUS[span.status.status_code],
        message=span.status.description or "",
        service="shop",
        worker="py/1",
        kept_for="received",
        attributes={
            **OF_RESOURCE,
            "otel.scope.name": scope.name,
            "otel.scope.version": scope.version or "",
            **attributes_of(span.attributes),
            **of_links,
        },
        events=[(one.timestamp, one.name, attributes_of(one.attributes)) for one in span.events],
        links=links,
    )


def expected_spans(remembered: InMemorySpanExporter) -> list[SpanRecord]:
    found = [span_as_kept(span) for span in remembered.get_finished_spans()]
    return sorted(found, key=lambda span: (span.trace_id, span.span_id))


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_spans_read_back_equal(tmp_path: Path, compression: Compression) -> None:
    with receiving(tmp_path) as ours:
        with tracing(ours.url, compression) as (tracer, remembered):
            make_spans(tracer, 50)
        wanted = expected_spans(remembered)
        assert len(wanted) == 100
        assert ours.spans({span.trace_id for span in wanted}) == wanted
        assert ours.receiver.counts.items == {"traces": 100}
        assert not ours.receiver.counts.refused_items


def make_logs(url: str, now_ns: int) -> list[LogRecord]:
    """Export lines, some of them within a span; returns what should be kept."""
    provider = LoggerProvider(resource=RESOURCE)
    provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{url}/v1/logs")))
    logger = provider.get_logger("shop.payments", "1")
    wanted: list[LogRecord] = []
    context = trace.SpanContext(7 << 100, 9, is_remote=False, trace_flags=trace.TraceFlags(1))
    in_span = trace.set_span_in_context(trace.NonRecordingSpan(context))
    for number, severity in enumerate(SeverityNumber):
        is_traced = number % 2 == 0
        logger.emit(
            timestamp=now_ns + number,
            context=in_span if is_traced else trace.set_span_in_context(trace.INVALID_SPAN),
            severity_number=severity,
            body=f"line {number} é",
            attributes={"cents": number * 100, "tags": ["a", "b"]},
            event_name="payment" if number % 3 == 0 else None,
        )
        event = {"otel.event_name": "payment"} if number % 3 == 0 else {}
        wanted.append(
            LogRecord(
                at_ns=now_ns + number,
                severity=severity.value,
                text=f"line {number} é",
                logger="shop.payments",
                service="shop",
                worker="py/1",
                trace_id=(7 << 100).to_bytes(16, "big") if is_traced else b"",
                span_id=(9).to_bytes(8, "big") if is_traced else b"",
                attributes={
                    **OF_RESOURCE,
                    "otel.scope.version": "1",
                    "cents": number * 100,
                    "tags": '["a","b"]',
                    **event,
                },
            )
        )
    assert provider.force_flush()
    provider.shutdown()
    return wanted


def test_logs_read_back_equal(tmp_path: Path) -> None:
    now_ns = time.time_ns()
    with receiving(tmp_path) as ours:
        wanted = make_logs(ours.url, now_ns)
        assert ours.logs(now_ns) == wanted


def test_an_exception_in_a_log_gets_a_fingerprint(tmp_path: Path) -> None:
    now_ns = time.time_ns()
    with receiving(tmp_path) as ours:
        provider = LoggerProvider(resource=RESOURCE)
        exporter = OTLPLogExporter(f"{ours.url}/v1/logs")
        provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
        for number in range(2):
            try:
                raise ValueError(f"order {number}")
            except ValueError as error:
                provider.get_logger("shop").emit(timestamp=now_ns + number, exception=error)
        provider.shutdown()
        first, second = ours.logs(now_ns)
        assert first.exception == "ValueError"
        assert "test_python.py" in first.traceback
        assert first.fingerprint
        assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize("is_delta", [False, True], ids=["cumulative", "delta"])
def test_metrics_read_back_equal(tmp_path: Path, is_delta: bool) -> None:
    now_ns = time.time_ns()
    with receiving(tmp_path) as ours:
        delta = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}
        exporter = OTLPMetricExporter(
            f"{ours.url}/v1/metrics", preferred_temporality=delta if is_delta else None
        )
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
        provider = MeterProvider([reader], RESOURCE)
        meter = provider.get_meter("shop-meter", "4")
        orders = meter.create_counter("orders", unit="{order}")
        depth = meter.create_up_down_counter("queue.depth")
        sizes = meter.create_histogram(
            "basket.size", unit="By", explicit_bucket_boundaries_advisory=[1, 10, 100]
        )
        meter.create_observable_gauge("temperature", [lambda _: [Observation(21.5, {"room": "a"})]])
        for size in (0.5, 5, 50, 500, 7):
            orders.add(2, {"kind": "web"})
            depth.add(-1 if size > 10 else 3)
            sizes.record(size)
        assert provider.force_flush()
        provider.shutdown()
        (sum_,) = of_first(ours, "orders", now_ns)
        assert (sum_.kind, sum_.value, sum_.unit, sum_.is_delta) == ("sum", 10, "{order}", is_delta)
        assert sum_.attributes == {
            **OF_RESOURCE,
            "resource.service.instance.id": "py/1",
            "otel.scope.name": "shop-meter",
            "otel.scope.version": "4",
            "kind": "web",
        }
        assert now_ns <= sum_.began_ns <= sum_.at_ns <= time.time_ns()
        (up_and_down,) = of_first(ours, "queue.depth", now_ns)
        assert (up_and_down.kind, up_and_down.value) == ("gauge", 7)
        (histogram,) = of_first(ours, "basket.size", now_ns)
        assert (histogram.kind, histogram.count, histogram.value) == ("histogram", 5, 562.5)
        assert (histogram.bounds, histogram.buckets) == ([1, 10, 100], [1, 2, 1, 1])
        assert (histogram.least, histogram.most) == (0.5, 500)
        (gauge,) = of_first(ours, "temperature", now_ns)
        assert (gauge.kind, gauge.value, gauge.attributes["room"]) == ("gauge", 21.5, "a")


def of_first(ours: Receiving, name: str, now_ns: int) -> list[Any]:
    """The points of a metric as it was first exported: shutting down exports once more."""
    points = ours.points(name, now_ns)
    first_ns = min(point.at_ns for point in points)
    return [point for point in points if point.at_ns == first_ns]


def test_what_we_send_on_reads_back_equal_from_another_observer(tmp_path: Path) -> None:
    now_ns = time.time_ns()
    with receiving(tmp_path / "theirs") as theirs:
        forwarder = Forwarder(ForwardTarget(url=theirs.url))
        forwarder.start()
        with receiving(tmp_path / "ours", on_kept=forwarder.kept) as ours:
            with tracing(ours.url, Compression.Gzip) as (tracer, remembered):
                make_spans(tracer, 30)
            lines = make_logs(ours.url, now_ns)
            wanted = expected_spans(remembered)
            count = len(wanted) + len(lines)
            wait_for(lambda: sum(forwarder.counts().sent.values()) == count)
            trace_ids = {span.trace_id for span in wanted}
            assert ours.spans(trace_ids) == wanted
            assert theirs.spans(trace_ids) == wanted
            assert ours.logs(now_ns) == lines
            assert theirs.logs(now_ns) == lines
        forwarder.stop()
