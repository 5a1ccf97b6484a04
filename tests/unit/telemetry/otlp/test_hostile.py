"""A hostile sender is refused, and counted; memory stays bounded."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable, Sequence

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from outgrow.telemetry.otlp import bodies
from outgrow.telemetry.otlp.bodies import inflated
from outgrow.telemetry.otlp.decoding import OtlpDecoder, Received
from outgrow.telemetry.otlp.limits import (
    ATTRIBUTES_MAX,
    INFLATED_BYTES_MAX,
    ITEMS_MAX,
    NAMES_MAX,
    NAMES_SECONDS,
    SIGNALS,
    VALUE_CHARACTERS_MAX,
    Signal,
)
from outgrow.telemetry.otlp.receiver import OtlpReceiver
from outgrow.telemetry.otlp.refusing import OtlpRefusedError

MEBIBYTE = 1024**2


class Kept:
    """Where records go; remembers how many."""

    def __init__(self) -> None:
        self.count = 0
        self.lost: dict[str, int] = {}

    def keep(
        self,
        *,
        spans: Sequence[object] = (),
        logs: Sequence[object] = (),
        points: Sequence[object] = (),
    ) -> None:
        self.count += len(spans) + len(logs) + len(points)

    def lose(self, what: str, count: int) -> None:
        self.lost[what] = self.lost.get(what, 0) + count


def one_span(request: ExportTraceServiceRequest, name: str) -> None:
    """Add a span to a request."""
    if not request.resource_spans:
        request.resource_spans.add().scope_spans.add()
    spans = request.resource_spans[0].scope_spans[0].spans
    spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name=name, kind=1, end_time_unix_nano=1)


def named(names: range) -> bytes:
    """A request of spans with such names."""
    request = ExportTraceServiceRequest()
    for number in names:
        one_span(request, f"GET /users/{number}")
    return request.SerializeToString()


def refusal(call: Callable[[], object]) -> OtlpRefusedError:
    with pytest.raises(OtlpRefusedError) as caught:
        call()
    return caught.value


def peak_bytes(call: Callable[[], object]) -> int:
    """The most memory that a call takes."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_gzip_bomb_is_stopped_while_it_unfolds() -> None:
    bomb = gzip.compress(bytes(40 * MEBIBYTE), compresslevel=1)
    assert len(bomb) < MEBIBYTE
    caught: list[OtlpRefusedError] = []
    used = peak_bytes(lambda: caught.append(refusal(lambda: inflated([bomb], "gzip"))))
    assert (caught[0].reason, caught[0].status) == ("size", 413)
    assert used < 3 * INFLATED_BYTES_MAX


def test_many_small_gzips_in_a_row_are_counted_together() -> None:
    part = gzip.compress(bytes(MEBIBYTE))
    assert len(inflated([part * 16], "gzip")) == INFLATED_BYTES_MAX
    assert refusal(lambda: inflated([part * 17], "gzip")).reason == "size"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"no gzip", id="something else"),
        pytest.param(b"", id="nothing"),
        pytest.param(gzip.compress(b"x" * 1000)[:-9], id="cut short"),
        pytest.param(gzip.compress(b"x" * 1000)[:20] + b"\0" * 20, id="changed"),
    ],
)
def test_what_is_no_gzip_is_refused(body: bytes) -> None:
    assert refusal(lambda: inflated([body], "gzip")).reason == "broken"


def test_gzip_may_come_in_pieces_and_in_members() -> None:
    packed = gzip.compress(b"abc") + gzip.compress(b"def")
    assert inflated([packed[at : at + 1] for at in range(len(packed))], "gzip") == b"abcdef"
    assert inflated([b"ab", b"c"], "") == b"abc"


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip"])
def test_other_encodings_are_refused(encoding: str) -> None:
    problem = refusal(lambda: bodies.check_encoding(encoding))
    assert (problem.status, problem.reason) == (415, "encoding")


@pytest.mark.parametrize("size", ["10737418240", "9" * 400])
def test_a_claim_of_ten_gigabytes_is_refused_before_it_is_read(size: str) -> None:
    receiver = OtlpReceiver(Kept())
    headers = {"content-type": "application/x-protobuf", "content-length": size}
    assert refusal(lambda: receiver.format_of(headers)).status == 413


@pytest.mark.parametrize(
    "prefix",
    [
        pytest.param(b"\x0a", id="a resource"),
        pytest.param(b"\x0a\x08\x12", id="a scope"),
        pytest.param(b"\x0a\x0a\x12\x08\x12", id="a span"),
    ],
)
def test_a_length_of_ten_gigabytes_within_is_broken(prefix: bytes) -> None:
    claim = prefix + b"\x80\x80\x80\x80\x28" + b"x" * 8
    for signal in SIGNALS:
        with pytest.raises(OtlpRefusedError, match="no valid protobuf"):
            OtlpDecoder().decode(signal, "protobuf", claim)


def test_a_million_names_are_refused_past_a_bound_and_forgotten_in_an_hour() -> None:
    now = [0.0]
    decoder = OtlpDecoder(lambda: now[0])
    taken = refused = 0
    for first in range(0, 1_000_000, 1000 * 50):
        received = decoder.decode("traces", "protobuf", named(range(first, first + 1000)))
        taken += len(received.spans)
        refused += received.refused.get("names", 0)
    assert (taken, refused) == (NAMES_MAX, 20 * 1000 - NAMES_MAX)
    assert len(decoder.decode("traces", "protobuf", named(range(10))).spans) == 10, "known ones"
    now[0] = NAMES_SECONDS
    assert len(decoder.decode("traces", "protobuf", named(range(10**6, 10**6 + 10))).spans) == 10


def test_services_are_bounded_like_names() -> None:
    decoder = OtlpDecoder()
    request = ExportLogsServiceRequest()
    for number in range(NAMES_MAX + 50):
        held = request.resource_logs.add()
        pair = held.resource.attributes.add(key="service.name")
        pair.value.string_value = f"s{number}"
        held.scope_logs.add().log_records.add(time_unix_nano=1)
    received = decoder.decode("logs", "protobuf", request.SerializeToString())
    assert (received.items, received.refused) == (NAMES_MAX, {"names": 50})


def test_too_many_items_are_counted_and_the_first_are_taken() -> None:
    body = named(range(1)) * (ITEMS_MAX + 7)
    received = OtlpDecoder().decode("traces", "protobuf", body)
    assert (len(received.spans), received.refused) == (ITEMS_MAX, {"items": 7})
    assert "too many" in received.refused_text


def test_too_many_points_of_one_metric_are_counted() -> None:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="queue.depth")
    for _ in range(ITEMS_MAX - 10):
        metric.gauge.data_points.add(time_unix_nano=1, as_int=1)
    body = request.SerializeToString() * 2
    received = OtlpDecoder().decode("metrics", "protobuf", body)
    assert (len(received.points), received.refused) == (ITEMS_MAX, {"items": ITEMS_MAX - 20})


def within(field: int, content: bytes) -> bytes:
    """A message's field of bytes, with its length in four bytes."""
    size = len(content)
    lengths = bytes([size >> 7 * place & 0x7F | (0x80 if place < 3 else 0) for place in range(4)])
    return bytes([field << 3 | 2]) + lengths + content


@pytest.mark.parametrize("signal", SIGNALS)
def test_empty_items_in_thousands_take_little_memory(signal: Signal) -> None:
    body = within(1, within(2, b"\x12\x00" * (ITEMS_MAX + 10_000)))
    received: list[Received] = []
    used = peak_bytes(lambda: received.append(OtlpDecoder().decode(signal, "protobuf", body)))
    assert received[0].items + sum(received[0].refused.values()) == ITEMS_MAX + 10_000
    assert received[0].refused["items"] == 10_000
    assert used < 64 * MEBIBYTE


def test_json_that_would_become_millions_of_objects_is_refused_unread() -> None:
    body = b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"{}," * 3_000_000 + b"{}]}]}]}"
    caught: list[OtlpRefusedError] = []
    used = peak_bytes(
        lambda: caught.append(refusal(lambda: OtlpDecoder().decode("traces", "json", body)))
    )
    assert (caught[0].reason, caught[0].status) == ("size", 413)
    assert used < MEBIBYTE


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"a":' * 100_000, id="unknown and deep"),
        pytest.param(
            b'{"resourceSpans":[{"resource":{"attributes":[{"value":'
            + b'{"arrayValue":{"values":[' * 50_000,
            id="known and deep",
        ),
        pytest.param(b'{"resourceSpans":[' + b"\xff" * 10, id="no text"),
        pytest.param(b'{"resourceSpans": 7}', id="a wrong kind"),
        pytest.param(b"", id="nothing"),
        pytest.param(b'{"x":null,"y":' + b"[" * 100_000, id="nulls and deep"),
    ],
)
def test_json_that_is_broken_or_too_deep_is_refused(body: bytes) -> None:
    assert refusal(lambda: OtlpDecoder().decode("traces", "json", body)).reason == "broken"


def test_attributes_past_a_bound_are_dropped_and_counted_and_long_ones_cut() -> None:
    request = ExportTraceServiceRequest()
    one_span(request, "x")
    span = request.resource_spans[0].scope_spans[0].spans[0]
    for number in range(1000):
        span.attributes.add(key=f"k{number}").value.string_value = "v"
    span.attributes[0].value.string_value = "x" * 100_000
    (found,) = OtlpDecoder().decode("traces", "protobuf", request.SerializeToString()).spans
    assert len(found.attributes) == ATTRIBUTES_MAX + 1
    assert found.attributes["otel.dropped_attributes_count"] == 1000 - ATTRIBUTES_MAX
    assert found.attributes["k0"] == "x" * VALUE_CHARACTERS_MAX


def test_an_item_that_is_too_large_is_refused_and_its_neighbours_are_taken() -> None:
    request = ExportLogsServiceRequest()
    lines = request.resource_logs.add().scope_logs.add().log_records
    for text in ("a", "x" * (2 * MEBIBYTE), "b"):
        lines.add(time_unix_nano=1).body.string_value = text
    received = OtlpDecoder().decode("logs", "protobuf", request.SerializeToString())
    assert [line.text for line in received.logs] == ["a", "b"]
    assert received.refused == {"size": 1}


def test_what_is_refused_is_remembered_by_reason() -> None:
    kept = Kept()
    receiver = OtlpReceiver(kept)
    request = ExportTraceServiceRequest()
    one_span(request, "good")
    request.resource_spans[0].scope_spans[0].spans.add(trace_id=b"short", name="bad")
    answer = receiver.take("traces", "json", "", [json.dumps({}).encode()])
    assert answer == b"{}"
    receiver.take("traces", "protobuf", "", [request.SerializeToString()])
    assert kept.count == 1
    assert receiver.counts.items == {"traces": 1}
    assert receiver.counts.refused_items == {("traces", "ids"): 1}
    assert kept.lost == {"spans by OTLP (ids)": 1}
