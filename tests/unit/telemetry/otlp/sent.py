"""Requests as senders write them, made at random: usual ones and odd ones."""

from __future__ import annotations

import base64
from typing import Any

from google.protobuf import json_format
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

Request = ExportTraceServiceRequest | ExportMetricsServiceRequest | ExportLogsServiceRequest

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
long_texts = st.integers(100, 400).map(lambda size: "x" * size)
keys = st.sampled_from(["http.route", "db.query.text", "id", "a", "service.name"]) | texts
integers = st.integers(-(1 << 63), (1 << 63) - 1)
floats = st.floats(width=64)
small = st.integers(0, 200)
times = st.integers(0, (1 << 63) - 1)
any_times = times | st.integers(1 << 63, (1 << 64) - 1)


def values(depth: int = 2) -> st.SearchStrategy[AnyValue]:
    """Values of attributes, at times nested."""
    plain = st.one_of(
        st.builds(AnyValue, string_value=texts | long_texts),
        st.builds(AnyValue, int_value=integers | small),
        st.builds(AnyValue, bool_value=st.booleans()),
        st.builds(AnyValue, double_value=floats),
        st.builds(AnyValue, bytes_value=st.binary(max_size=20)),
        st.just(AnyValue()),
    )
    if not depth:
        return plain
    lists = st.builds(ArrayValue, values=st.lists(values(depth - 1), max_size=3))
    maps = st.builds(KeyValueList, values=st.lists(pairs(depth - 1), max_size=3))
    return st.one_of(
        plain,
        plain,
        plain,
        st.builds(AnyValue, array_value=lists),
        st.builds(AnyValue, kvlist_value=maps),
    )


def pairs(depth: int = 2) -> st.SearchStrategy[KeyValue]:
    """Attributes."""
    return st.builds(KeyValue, key=keys, value=values(depth))


attributes = st.lists(pairs(), max_size=5)
resources = st.builds(Resource, attributes=attributes)
scopes = st.builds(InstrumentationScope, name=texts, version=texts, attributes=attributes)
trace_ids = st.integers(1, (1 << 128) - 1).map(lambda number: number.to_bytes(16, "big"))
span_ids = st.integers(1, (1 << 64) - 1).map(lambda number: number.to_bytes(8, "big"))
odd_ids = st.sampled_from([b"", b"x", bytes(16), bytes(8), b"y" * 17])

events = st.builds(Span.Event, time_unix_nano=any_times, name=texts, attributes=attributes)
links = st.builds(Span.Link, trace_id=trace_ids | odd_ids, span_id=span_ids, attributes=attributes)
statuses = st.builds(Status, message=texts | long_texts, code=st.integers(0, 3))
usual_spans = st.builds(
    Span,
    trace_id=trace_ids,
    span_id=span_ids,
    parent_span_id=span_ids | st.just(b""),
    name=texts.filter(bool),
    kind=st.integers(1, 5),
    start_time_unix_nano=times.filter(bool),
    end_time_unix_nano=times.filter(bool),
    attributes=attributes,
    status=statuses,
    flags=st.integers(0, 0x3FF),
)
odd_spans = st.builds(
    Span,
    trace_id=trace_ids | odd_ids,
    span_id=span_ids | odd_ids,
    trace_state=texts,
    parent_span_id=span_ids | odd_ids,
    name=texts | long_texts,
    kind=st.integers(-1, 300),
    start_time_unix_nano=any_times,
    end_time_unix_nano=any_times,
    attributes=attributes | st.lists(pairs(0), min_size=126, max_size=131),
    dropped_attributes_count=small,
    events=st.lists(events, max_size=3),
    dropped_events_count=small,
    links=st.lists(links, max_size=3),
    dropped_links_count=small,
    status=statuses | st.builds(Status, code=st.integers(-5, 400)),
)
spans = usual_spans | odd_spans
traces = st.builds(
    ExportTraceServiceRequest,
    resource_spans=st.lists(
        st.builds(
            ResourceSpans,
            resource=resources,
            scope_spans=st.lists(
                st.builds(ScopeSpans, scope=scopes, spans=st.lists(spans, max_size=4)), max_size=2
            ),
            schema_url=texts,
        ),
        max_size=2,
    ),
)

lines = st.builds(
    LogRecord,
    time_unix_nano=any_times | st.just(0),
    observed_time_unix_nano=times,
    severity_number=st.integers(0, 24),
    severity_text=texts | st.sampled_from(["INFO", "WARN", "ERROR3"]),
    body=values(),
    attributes=attributes,
    dropped_attributes_count=small,
    trace_id=trace_ids | odd_ids,
    span_id=span_ids | st.just(b""),
    event_name=texts,
)
logs = st.builds(
    ExportLogsServiceRequest,
    resource_logs=st.lists(
        st.builds(
            ResourceLogs,
            resource=resources,
            scope_logs=st.lists(
                st.builds(ScopeLogs, scope=scopes, log_records=st.lists(lines, max_size=4)),
                max_size=2,
            ),
        ),
        max_size=2,
    ),
)

_common: dict[str, Any] = {
    "attributes": attributes,
    "start_time_unix_nano": times,
    "time_unix_nano": times,
    "flags": st.integers(0, 1),
}
numbers = st.builds(NumberDataPoint, as_double=floats, **_common) | st.builds(
    NumberDataPoint, as_int=integers, **_common
)
temporalities = st.integers(0, 2)


@st.composite
def histogram_points(draw: st.DrawFn) -> HistogramDataPoint:
    """Points of a histogram, mostly with one bucket more than bounds."""
    bounds = draw(st.lists(st.floats(-1e9, 1e9), max_size=4))
    size = draw(st.sampled_from([0, len(bounds) + 1, len(bounds) + 1, 2]))
    buckets = draw(st.lists(small, min_size=size, max_size=size))
    further = {"sum": draw(floats), "min": draw(floats)} if draw(st.booleans()) else {}
    common = {name: draw(strategy) for name, strategy in _common.items()}
    return HistogramDataPoint(
        count=sum(buckets), explicit_bounds=bounds, bucket_counts=buckets, **further, **common
    )


_buckets = st.builds(
    ExponentialHistogramDataPoint.Buckets,
    offset=st.integers(-50, 50),
    bucket_counts=st.lists(small, max_size=5),
)
exponential_points = st.builds(
    ExponentialHistogramDataPoint,
    count=small,
    sum=floats,
    scale=st.integers(-3, 8),
    zero_count=small,
    positive=_buckets,
    negative=_buckets,
    **_common,
)
quantiles = st.builds(SummaryDataPoint.ValueAtQuantile, quantile=st.floats(0, 1), value=floats)
summary_points = st.builds(
    SummaryDataPoint,
    count=small,
    sum=floats,
    quantile_values=st.lists(quantiles, max_size=3),
    **_common,
)
_named: dict[str, Any] = {"name": texts, "unit": st.sampled_from(["", "s", "By"])}
metrics_of_one = st.one_of(
    st.builds(Metric, gauge=st.builds(Gauge, data_points=st.lists(numbers, max_size=3)), **_named),
    st.builds(
        Metric,
        sum=st.builds(
            Sum,
            data_points=st.lists(numbers, max_size=3),
            aggregation_temporality=temporalities,
            is_monotonic=st.booleans(),
        ),
        **_named,
    ),
    st.builds(
        Metric,
        histogram=st.builds(
            Histogram,
            data_points=st.lists(histogram_points(), max_size=3),
            aggregation_temporality=temporalities,
        ),
        **_named,
    ),
    st.builds(
        Metric,
        exponential_histogram=st.builds(
            ExponentialHistogram,
            data_points=st.lists(exponential_points, max_size=2),
            aggregation_temporality=temporalities,
        ),
        **_named,
    ),
    st.builds(
        Metric,
        summary=st.builds(Summary, data_points=st.lists(summary_points, max_size=2)),
        **_named,
    ),
    st.builds(Metric, **_named),
)
metrics = st.builds(
    ExportMetricsServiceRequest,
    resource_metrics=st.lists(
        st.builds(
            ResourceMetrics,
            resource=resources,
            scope_metrics=st.lists(
                st.builds(ScopeMetrics, scope=scopes, metrics=st.lists(metrics_of_one, max_size=3)),
                max_size=2,
            ),
        ),
        max_size=2,
    ),
)


def as_json(request: Request) -> Any:
    """A request as the protocol writes it in JSON: like protobuf, but ids as hexadecimal digits."""
    return _with_hex(json_format.MessageToDict(request, use_integers_for_enums=True))


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
