"""The protocol's messages as they are written in JSON; their names are those of its protobuf.

So one mapping reads both. Fields that nothing is made of are left out, and unknown ones skipped, as
the protocol wants it. Numbers of 64 bits come as text as well.
"""

from __future__ import annotations

import msgspec


class _Shape(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """Cannot be part of a cycle, so the garbage collector need not look at it."""


class AnyValue(_Shape, frozen=True):
    """One value, of one of these kinds."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | None = None
    double_value: float | str | None = None
    array_value: ArrayValue | None = None
    kvlist_value: KeyValueList | None = None
    bytes_value: str | None = None


class ArrayValue(_Shape, frozen=True):
    """A list of values."""

    values: tuple[AnyValue, ...] = ()


class KeyValue(_Shape, frozen=True):
    """A named value."""

    key: str = ""
    value: AnyValue = AnyValue()


class KeyValueList(_Shape, frozen=True):
    """A map of values."""

    values: tuple[KeyValue, ...] = ()


class Resource(_Shape, frozen=True):
    """Who measured."""

    attributes: tuple[KeyValue, ...] = ()


class InstrumentationScope(_Shape, frozen=True):
    """By which library."""

    name: str = ""
    version: str = ""
    attributes: tuple[KeyValue, ...] = ()


class SpanEvent(_Shape, frozen=True):
    """What happened within a span."""

    time_unix_nano: int = 0
    name: str = ""
    attributes: tuple[KeyValue, ...] = ()


class SpanLink(_Shape, frozen=True):
    """Another span."""

    trace_id: str = ""
    span_id: str = ""
    attributes: tuple[KeyValue, ...] = ()


class Status(_Shape, frozen=True):
    """How a span ended."""

    message: str = ""
    code: int = 0


class Span(_Shape, frozen=True):
    """A piece of work."""

    trace_id: str = ""
    span_id: str = ""
    trace_state: str = ""
    parent_span_id: str = ""
    name: str = ""
    kind: int = 0
    start_time_unix_nano: int = 0
    end_time_unix_nano: int = 0
    attributes: tuple[KeyValue, ...] = ()
    dropped_attributes_count: int = 0
    events: tuple[SpanEvent, ...] = ()
    dropped_events_count: int = 0
    links: tuple[SpanLink, ...] = ()
    dropped_links_count: int = 0
    status: Status = Status()


class ScopeSpans(_Shape, frozen=True):
    """Spans of one scope."""

    scope: InstrumentationScope = InstrumentationScope()
    spans: tuple[Span, ...] = ()


class ResourceSpans(_Shape, frozen=True):
    """Spans of one resource."""

    resource: Resource = Resource()
    scope_spans: tuple[ScopeSpans, ...] = ()


class Traces(_Shape, frozen=True):
    """A request to /v1/traces."""

    resource_spans: tuple[ResourceSpans, ...] = ()


class LogRecord(_Shape, frozen=True):
    """A line of a log."""

    time_unix_nano: int = 0
    observed_time_unix_nano: int = 0
    severity_number: int = 0
    severity_text: str = ""
    body: AnyValue = AnyValue()
    attributes: tuple[KeyValue, ...] = ()
    dropped_attributes_count: int = 0
    trace_id: str = ""
    span_id: str = ""
    event_name: str = ""


class ScopeLogs(_Shape, frozen=True):
    """Lines of one scope."""

    scope: InstrumentationScope = InstrumentationScope()
    log_records: tuple[LogRecord, ...] = ()


class ResourceLogs(_Shape, frozen=True):
    """Lines of one resource."""

    resource: Resource = Resource()
    scope_logs: tuple[ScopeLogs, ...] = ()


class Logs(_Shape, frozen=True):
    """A request to /v1/logs."""

    resource_logs: tuple[ResourceLogs, ...] = ()


class _Point(_Shape, frozen=True):
    attributes: tuple[KeyValue, ...] = ()
    start_time_unix_nano: int = 0
    time_unix_nano: int = 0
    flags: int = 0


class NumberPoint(_Point, frozen=True):
    """One value of a sum or a gauge."""

    as_double: float | str | None = None
    as_int: int | None = None


class HistogramPoint(_Point, frozen=True):
    """A histogram with its bounds written out."""

    count: int = 0
    sum: float | str | None = None
    bucket_counts: tuple[int, ...] = ()
    explicit_bounds: tuple[float, ...] = ()
    min: float | str | None = None
    max: float | str | None = None


class Buckets(_Shape, frozen=True):
    """Buckets on one side of zero."""

    offset: int = 0
    bucket_counts: tuple[int, ...] = ()


class ExponentialPoint(_Point, frozen=True):
    """A histogram whose bounds follow from a scale."""

    count: int = 0
    sum: float | str | None = None
    scale: int = 0
    zero_count: int = 0
    positive: Buckets = Buckets()
    negative: Buckets = Buckets()
    min: float | str | None = None
    max: float | str | None = None
    zero_threshold: float = 0.0


class ValueAtQuantile(_Shape, frozen=True):
    """A quantile."""

    quantile: float = 0.0
    value: float | str = 0.0


class SummaryPoint(_Point, frozen=True):
    """Quantiles that were taken elsewhere."""

    count: int = 0
    sum: float | str = 0.0
    quantile_values: tuple[ValueAtQuantile, ...] = ()


class Gauge(_Shape, frozen=True):
    """Values as they are."""

    data_points: tuple[NumberPoint, ...] = ()


class Sum(_Shape, frozen=True):
    """Values that add up."""

    data_points: tuple[NumberPoint, ...] = ()
    aggregation_temporality: int = 0
    is_monotonic: bool = False


class Histogram(_Shape, frozen=True):
    """Counts by bucket."""

    data_points: tuple[HistogramPoint, ...] = ()
    aggregation_temporality: int = 0


class ExponentialHistogram(_Shape, frozen=True):
    """Counts by bucket."""

    data_points: tuple[ExponentialPoint, ...] = ()
    aggregation_temporality: int = 0


class Summary(_Shape, frozen=True):
    """Quantiles."""

    data_points: tuple[SummaryPoint, ...] = ()


class Metric(_Shape, frozen=True):
    """A metric with its points."""

    name: str = ""
    unit: str = ""
    gauge: Gauge | None = None
    sum: Sum | None = None
    histogram: Histogram | None = None
    exponential_histogram: ExponentialHistogram | None = None
    summary: Summary | None = None


class ScopeMetrics(_Shape, frozen=True):
    """Metrics of one scope."""

    scope: InstrumentationScope = InstrumentationScope()
    metrics: tuple[Metric, ...] = ()


class ResourceMetrics(_Shape, frozen=True):
    """Metrics of one resource."""

    resource: Resource = Resource()
    scope_metrics: tuple[ScopeMetrics, ...] = ()


class Metrics(_Shape, frozen=True):
    """A request to /v1/metrics."""

    resource_metrics: tuple[ResourceMetrics, ...] = ()
