"""What is sent on reads back equal, and answers are what the protocol says."""

from __future__ import annotations

import json
import os

import msgspec
import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from outgrow.telemetry.otlp.decoding import OtlpDecoder
from outgrow.telemetry.otlp.encoding import encoded_logs, encoded_points, encoded_spans
from outgrow.telemetry.otlp.limits import SIGNALS, Signal
from outgrow.telemetry.otlp.replies import failure, success
from outgrow.telemetry.records import LogRecord, MetricPoint, SpanRecord
from tests.unit.telemetry.otlp import sent

few = settings(max_examples=int(os.environ.get("OTLP_EXAMPLES", "10")))


def again(signal: Signal, records: list[SpanRecord] | list[LogRecord] | list[MetricPoint]) -> bytes:
    """Records as they are sent on."""
    if signal == "traces":
        return encoded_spans(one for one in records if isinstance(one, SpanRecord))
    if signal == "logs":
        return encoded_logs(one for one in records if isinstance(one, LogRecord))
    return encoded_points(one for one in records if isinstance(one, MetricPoint))


@pytest.mark.parametrize("signal", SIGNALS)
@few
@given(data=st.data())
def test_whatever_was_received_and_sent_on_reads_back_equal(
    signal: Signal, data: st.DataObject
) -> None:
    requests = {"traces": sent.traces, "logs": sent.logs, "metrics": sent.metrics}
    body = data.draw(requests[signal]).SerializeToString()
    first = OtlpDecoder().decode(signal, "protobuf", body)
    records = first.spans or first.logs or first.points
    second = OtlpDecoder().decode(signal, "protobuf", again(signal, records))
    assert not second.refused
    assert in_order(second.spans or second.logs or second.points) == in_order(records)


def in_order(records: list[SpanRecord] | list[LogRecord] | list[MetricPoint]) -> list[bytes]:
    """What is comparable of records; those of one scope are sent together."""
    encode = msgspec.msgpack.Encoder(order="deterministic").encode
    return sorted(encode(one) for one in records)


def test_what_our_own_workers_kept_reads_back_equal() -> None:
    span = SpanRecord(
        *(b"t" * 16, b"s" * 8, b"p" * 8, "POST /orders", 2, 1_796_000_000_000_000_123, 84_000_001),
        *(2, "declined", "shop", "front/1", "slow"),
        {"http.response.status_code": 502, "ratio": 0.5, "is_new": True, "huge": 1 << 70},
        [(1_796_000_000_000_000_200, "retry", {"attempt": 2})],
        [(b"u" * 16, b"v" * 8)],
    )
    line = LogRecord(
        at_ns=1_796_000_000_000_000_321,
        severity=17,
        text="the bank declined\nthe card",
        logger="shop.payments",
        service="shop",
        worker="front/1",
        trace_id=b"t" * 16,
        span_id=b"s" * 8,
        attributes={"cents": 1200},
        exception="shop.payments.DeclinedError",
        traceback="Traceback (most recent call last):\n  File ...",
        fingerprint="00ff00ff00ff00ff",
    )
    decoder = OtlpDecoder()
    (span_again,) = decoder.decode("traces", "protobuf", encoded_spans([span])).spans
    assert span_again.attributes.pop("huge") == str(span.attributes.pop("huge"))
    assert span_again == span
    assert decoder.decode("logs", "protobuf", encoded_logs([line])).logs == [line]


def test_a_severity_keeps_its_own_name_only_where_that_is_unusual() -> None:
    log = LogRecord(at_ns=1, severity=9, text="x", attributes={"otel.severity_text": "notice"})
    assert OtlpDecoder().decode("logs", "protobuf", encoded_logs([log])).logs == [log]


RESPONSES = {
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
}


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize(("refused", "text"), [(0, ""), (3, "too many"), (70_000, "é" * 300)])
def test_partial_success_is_what_the_protocol_says(signal: Signal, refused: int, text: str) -> None:
    kind, field = RESPONSES[signal]
    binary = kind.FromString(success(signal, "protobuf", refused, text))
    in_json = json_format.Parse(success(signal, "json", refused, text), kind())
    for response in (binary, in_json):
        assert getattr(response.partial_success, field) == refused
        assert response.partial_success.error_message == text
        assert response.HasField("partial_success") == bool(refused)


def test_a_failure_is_a_status_in_the_format_of_the_request() -> None:
    assert json.loads(failure("json", 3, "broken")) == {"code": 3, "message": "broken"}
    # google.rpc.Status has the number and the text in fields 1 and 2, as partial success has.
    status = ExportTraceServiceResponse.FromString(
        b"\x0a" + bytes([len(failure("protobuf", 3, "broken"))]) + failure("protobuf", 3, "broken")
    ).partial_success
    assert (status.rejected_spans, status.error_message) == (3, "broken")
