"""Every way of reading comes to the same: quickly, as protobuf does, and from JSON."""

from __future__ import annotations

import contextlib
import json
import os

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from outgrow.telemetry.otlp.decoding import OtlpDecoder
from outgrow.telemetry.otlp.limits import Signal
from outgrow.telemetry.otlp.quick import QuickSpans
from outgrow.telemetry.otlp.reading import ItemRefusedError, Place
from outgrow.telemetry.otlp.refusing import OtlpRefusedError
from outgrow.telemetry.otlp.spans import span_record
from outgrow.telemetry.records import SpanRecord
from tests.unit.telemetry.otlp import sent

PLACE = Place("shop", "front/1", "library", {"otel.scope.version": "1"})
# Requests take long to make; OTLP_EXAMPLES=2000 looks further.
few = settings(max_examples=int(os.environ.get("OTLP_EXAMPLES", "10")))
REQUESTS: dict[Signal, st.SearchStrategy[sent.Request]] = {
    "traces": sent.traces,
    "logs": sent.logs,
    "metrics": sent.metrics,
}


def read_slowly(raw: bytes) -> SpanRecord | None:
    """A span as protobuf reads it; None where it cannot be kept."""
    try:
        return span_record(Span.FromString(raw), PLACE)
    except ItemRefusedError:
        return None


def comparable(record: object) -> object:
    """What is alike where it is alike: NaN is not equal to itself."""
    return msgspec.msgpack.encode(record)


@few
@given(sent.spans)
def test_the_quick_way_comes_to_what_protobuf_comes_to(span: Span) -> None:
    raw = span.SerializeToString()
    quick = QuickSpans().span(raw, 0, len(raw), PLACE)
    assert quick is None or quick == read_slowly(raw)


@few
@given(sent.usual_spans)
def test_usual_spans_take_the_quick_way(span: Span) -> None:
    raw = span.SerializeToString()
    assert QuickSpans().span(raw, 0, len(raw), PLACE) is not None


@few
@given(sent.usual_spans | sent.odd_spans, st.data())
def test_spans_whose_bytes_were_changed_are_read_alike_or_not_quickly(
    span: Span, data: st.DataObject
) -> None:
    raw = bytearray(span.SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    quick = QuickSpans().span(cut, 0, len(cut), PLACE)
    assert quick is None or quick == read_slowly(cut)


@few
@given(st.lists(sent.spans, max_size=5))
def test_what_was_remembered_of_one_span_is_true_of_the_next(spans: list[Span]) -> None:
    reader = QuickSpans()
    for span in [*spans, *spans]:
        raw = span.SerializeToString()
        quick = reader.span(raw, 0, len(raw), PLACE)
        assert quick is None or quick == read_slowly(raw)


@pytest.mark.parametrize("signal", REQUESTS)
@few
@given(data=st.data())
def test_json_says_the_same_as_protobuf(signal: Signal, data: st.DataObject) -> None:
    request = data.draw(REQUESTS[signal])
    body = json.dumps(sent.as_json(request)).encode()
    from_json = OtlpDecoder().decode(signal, "json", body)
    from_protobuf = OtlpDecoder().decode(signal, "protobuf", request.SerializeToString())
    assert comparable(from_json) == comparable(from_protobuf)


@pytest.mark.parametrize("signal", REQUESTS)
@few
@given(body=st.binary(max_size=300), data=st.data())
def test_bytes_of_any_kind_are_read_or_refused(
    signal: Signal, body: bytes, data: st.DataObject
) -> None:
    request = data.draw(REQUESTS[signal]).SerializeToString()
    at = data.draw(st.integers(0, len(request)))
    for bad in (body, request[:at] + body + request[at:], request[:at]):
        read_or_refuse(signal, bad)


def read_or_refuse(signal: Signal, body: bytes) -> None:
    """Read what may be broken; anything raised but a refusal is a fault of ours."""
    with contextlib.suppress(OtlpRefusedError):
        OtlpDecoder().decode(signal, "protobuf", body)


@few
@given(sent.traces, sent.traces)
def test_two_requests_one_after_the_other_are_one(
    first: ExportTraceServiceRequest, second: ExportTraceServiceRequest
) -> None:
    decoder = OtlpDecoder()
    apart = [
        decoder.decode("traces", "protobuf", one.SerializeToString()) for one in (first, second)
    ]
    both = first.SerializeToString() + second.SerializeToString()
    together = decoder.decode("traces", "protobuf", both)
    assert together.spans == [*apart[0].spans, *apart[1].spans]


@example(body=b'{"resourceSpans": null}')
@few
@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["resourceSpans", "scopeSpans", "spans", "attributes", "value", "x"]
                ),
                inner,
                max_size=3,
            )
        ),
        max_leaves=15,
    ).map(lambda tree: json.dumps(tree).encode())
)
def test_json_of_any_kind_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(OtlpRefusedError):
        OtlpDecoder().decode("traces", "json", body)


def test_in_json_ids_are_hexadecimal_and_numbers_may_be_text() -> None:
    body = b"""{"resourceSpans": [{"resource": {"attributes": [
        {"key": "service.name", "value": {"stringValue": "shop"}}]},
      "scopeSpans": [{"scope": {"name": "js"}, "spans": [{
        "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "eee19b7ec3c1b174",
        "parentSpanId": null, "name": "I'm a server span", "kind": 2, "unknown": {"a": [1]},
        "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": 1544712661000000000,
        "attributes": [
          {"key": "n", "value": {"intValue": "7"}}, {"key": "d", "value": {"doubleValue": 1}},
          {"key": "inf", "value": {"doubleValue": "Infinity"}},
          {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "x"}]}}},
          {"key": "bytes", "value": {"bytesValue": "aGk="}}]}]}]}]}"""
    (span,) = OtlpDecoder().decode("traces", "json", body).spans
    assert span.trace_id.hex() == "5b8efff798038103d269b633813fc60c"
    assert span.span_id.hex() == "eee19b7ec3c1b174"
    assert (span.parent_id, span.kind, span.service) == (b"", 2, "shop")
    assert (span.at_ns, span.duration_ns) == (1544712660000000000, 10**9)
    assert span.attributes == {
        "otel.scope.name": "js",
        "n": 7,
        "d": 1.0,
        "inf": "Infinity",
        "list": '["x"]',
        "bytes": "aGk=",
    }


def test_a_resource_that_comes_in_two_parts_is_both_of_them() -> None:
    def attribute(name: str) -> bytes:
        pair = KeyValue(key=name, value=AnyValue(string_value=name)).SerializeToString()
        resource = b"\x0a" + bytes([len(pair)]) + pair
        return b"\x0a" + bytes([len(resource)]) + resource

    span = Span(trace_id=b"t" * 16, span_id=b"s" * 8, name="x").SerializeToString()
    scope = b"\x12" + bytes([len(span)]) + span
    held = attribute("service.name") + b"\x12" + bytes([len(scope)]) + scope + attribute("zone")
    body = b"\x0a" + bytes([len(held)]) + held
    (found,) = OtlpDecoder().decode("traces", "protobuf", body).spans
    assert found.service == "service.name"
    assert found.attributes == {"resource.zone": "zone"}
