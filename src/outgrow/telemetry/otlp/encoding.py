"""Records as requests of the protocol, the reverse of decoding: read again they are equal.

What a resource and a scope say goes back to where it came from; what only Outgrow knows goes as
attributes whose names begin with `outgrow.`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from outgrow.telemetry.otlp import lines, spans
from outgrow.telemetry.otlp.reading import (
    DROPPED_ATTRIBUTES,
    INSTANCE,
    OF_RESOURCE,
    OF_SCOPE,
    SERVICE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from outgrow.telemetry.records import Attribute, LogRecord, MetricPoint, SpanRecord

    Attributes = dict[str, Attribute]

_SCOPE_NAME = f"{OF_SCOPE}name"
_SCOPE_VERSION = f"{OF_SCOPE}version"
_DELTA, _CUMULATIVE = 1, 2
_INTEGER_MAX = 1 << 63
_encode = msgspec.msgpack.Encoder(order="deterministic").encode


class _Sorted:
    """Puts items where they belong: into a scope of a resource of a request."""

    def __init__(self, held: Any, scopes: str) -> None:
        self._held = held
        self._scopes = scopes
        self._resources: dict[bytes, Any] = {}
        self._known: dict[tuple[bytes, bytes], Any] = {}

    def scope(
        self, service: str, worker: str, scope: str, all_of: Attributes
    ) -> tuple[Any, Attributes]:
        """The scope that a record belongs to, and its own attributes."""
        own: Attributes = {}
        of_resource: Attributes = {}
        of_scope: Attributes = {_SCOPE_NAME: scope} if scope else {}
        for name, value in all_of.items():
            if name.startswith(OF_RESOURCE):
                of_resource[name.removeprefix(OF_RESOURCE)] = value
            elif name.startswith(OF_SCOPE):
                of_scope[name] = value
            else:
                own[name] = value
        if service:
            of_resource[SERVICE] = service
        if worker:
            of_resource[INSTANCE] = worker
        return self._found(of_resource, of_scope), own

    def _found(self, of_resource: Attributes, of_scope: Attributes) -> Any:
        key = _encode(of_resource), _encode(of_scope)
        known = self._known.get(key)
        if known is not None:
            return known
        held = self._resources.get(key[0])
        if held is None:
            held = self._resources[key[0]] = self._held.add()
            set_attributes(held.resource.attributes, of_resource)
        part = self._known[key] = getattr(held, self._scopes).add()
        part.scope.name = str(of_scope.pop(_SCOPE_NAME, ""))
        part.scope.version = str(of_scope.pop(_SCOPE_VERSION, ""))
        named = {name.removeprefix(OF_SCOPE): value for name, value in of_scope.items()}
        set_attributes(part.scope.attributes, named)
        return part


def set_attributes(pairs: Any, attributes: Mapping[str, Attribute]) -> None:
    """Write attributes."""
    for name, value in attributes.items():
        pair = pairs.add()
        pair.key = _valid(name)
        if isinstance(value, str):
            pair.value.string_value = _valid(value)
        elif isinstance(value, bool):
            pair.value.bool_value = value
        elif isinstance(value, float):
            pair.value.double_value = value
        elif -_INTEGER_MAX <= value < _INTEGER_MAX:
            pair.value.int_value = value
        else:
            pair.value.string_value = str(value)


def _valid(text: str) -> str:
    """A text that can be written as UTF-8: file names may hold halves of characters."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text


def _count(attributes: Attributes, name: str) -> int:
    value = attributes.pop(name, 0)
    return min(value, 0xFFFF_FFFF) if isinstance(value, int) and value >= 0 else 0


def encoded_spans(records: Iterable[SpanRecord]) -> bytes:
    """A request to /v1/traces."""
    request = ExportTraceServiceRequest()
    found = _Sorted(request.resource_spans, "scope_spans")
    for record in records:
        part, own = found.scope(record.service, record.worker, "", record.attributes)
        _write_span(part.spans.add(), record, own)
    return request.SerializeToString()


def _write_span(span: Any, record: SpanRecord, own: Attributes) -> None:
    span.trace_id, span.span_id = record.trace_id, record.span_id
    span.parent_span_id = record.parent_id
    span.name, span.kind = _valid(record.name), record.kind
    span.start_time_unix_nano = record.at_ns
    span.end_time_unix_nano = record.at_ns + record.duration_ns
    span.status.code, span.status.message = record.status, _valid(record.message)
    span.trace_state = str(own.pop(spans.STATE, ""))
    span.dropped_attributes_count = _count(own, DROPPED_ATTRIBUTES)
    span.dropped_events_count = _count(own, spans.DROPPED_EVENTS)
    span.dropped_links_count = _count(own, spans.DROPPED_LINKS)
    for at_ns, name, attributes in record.events:
        event = span.events.add(time_unix_nano=at_ns, name=_valid(name))
        event_own = dict(attributes)
        event.dropped_attributes_count = _count(event_own, DROPPED_ATTRIBUTES)
        set_attributes(event.attributes, event_own)
    for number, (trace_id, span_id) in enumerate(record.links):
        link = span.links.add(trace_id=trace_id, span_id=span_id)
        prefix = f"{spans.OF_LINK}{number}."
        said = [name for name in own if name.startswith(prefix)]
        set_attributes(link.attributes, {name.removeprefix(prefix): own.pop(name) for name in said})
    if record.kept_for not in ("", spans.RECEIVED):
        own[spans.KEPT_FOR] = record.kept_for
    set_attributes(span.attributes, own)


def encoded_logs(records: Iterable[LogRecord]) -> bytes:
    """A request to /v1/logs."""
    request = ExportLogsServiceRequest()
    found = _Sorted(request.resource_logs, "scope_logs")
    for record in records:
        part, own = found.scope(record.service, record.worker, record.logger, record.attributes)
        _write_line(part.log_records.add(), record, own)
    return request.SerializeToString()


def _write_line(line: Any, record: LogRecord, own: Attributes) -> None:
    line.time_unix_nano = line.observed_time_unix_nano = record.at_ns
    line.severity_number = record.severity
    line.severity_text = str(
        own.pop(lines.SEVERITY_TEXT, "") or lines.severity_name(record.severity)
    )
    line.event_name = str(own.pop(lines.EVENT_NAME, ""))
    line.body.string_value = _valid(record.text)
    line.trace_id, line.span_id = record.trace_id, record.span_id
    line.dropped_attributes_count = _count(own, DROPPED_ATTRIBUTES)
    for name, value in (
        (lines.EXCEPTION_TYPE, record.exception),
        (lines.EXCEPTION_TRACE, record.traceback),
        (lines.FINGERPRINT, record.fingerprint),
    ):
        if value:
            own[name] = value
    set_attributes(line.attributes, own)


def encoded_points(records: Iterable[MetricPoint]) -> bytes:
    """A request to /v1/metrics."""
    request = ExportMetricsServiceRequest()
    found = _Sorted(request.resource_metrics, "scope_metrics")
    metrics: dict[tuple[int, str, str, str, bool], Any] = {}
    for record in records:
        part, own = found.scope(record.service, "", "", record.attributes)
        key = (id(part), record.name, record.kind, record.unit, record.is_delta)
        data = metrics.get(key)
        if data is None:
            metric = part.metrics.add(name=_valid(record.name), unit=_valid(record.unit))
            data = metrics[key] = _part_of(metric, record)
        point = data.data_points.add()
        point.time_unix_nano, point.start_time_unix_nano = record.at_ns, record.began_ns
        set_attributes(point.attributes, own)
        _WRITERS.get(record.kind, _write_number)(point, record)
    return request.SerializeToString()


def _part_of(metric: Any, record: MetricPoint) -> Any:
    if record.kind == "gauge":
        metric.gauge.SetInParent()
        return metric.gauge
    data = metric.histogram if record.kind == "histogram" else metric.sum
    data.aggregation_temporality = _DELTA if record.is_delta else _CUMULATIVE
    if record.kind != "histogram":
        data.is_monotonic = True
    return data


def _write_number(point: Any, record: MetricPoint) -> None:
    point.as_double = record.value


def _write_histogram(point: Any, record: MetricPoint) -> None:
    point.sum, point.count = record.value, record.count
    point.explicit_bounds.extend(record.bounds)
    point.bucket_counts.extend(record.buckets)
    if record.least is not None:
        point.min = record.least
    if record.most is not None:
        point.max = record.most


_WRITERS: dict[str, Callable[[Any, MetricPoint], None]] = {"histogram": _write_histogram}
