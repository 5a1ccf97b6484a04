"""Bodies of requests as records: all items that can be kept, and counts of those that cannot."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as LogMessage
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from outgrow.telemetry.otlp import shapes
from outgrow.telemetry.otlp.limits import BRACES_MAX, COMMAS_MAX, ITEM_BYTES_MAX, ITEMS_MAX
from outgrow.telemetry.otlp.lines import log_record
from outgrow.telemetry.otlp.points import metric_points
from outgrow.telemetry.otlp.protobuf import broken, parts, resources
from outgrow.telemetry.otlp.quick import QuickSpans
from outgrow.telemetry.otlp.reading import ItemRefusedError, Place, place_of, within
from outgrow.telemetry.otlp.refusing import TEXTS, Names, OtlpRefusedError, Reason
from outgrow.telemetry.otlp.spans import span_record
from outgrow.telemetry.records import LogRecord, MetricPoint, SpanRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

    from outgrow.telemetry.otlp.limits import Signal

Format = Literal["protobuf", "json"]


class Received(msgspec.Struct):
    """What one request brought.

    Attributes:
        spans: That can be kept.
        logs: Likewise.
        points: Likewise.
        items: How many spans, lines or points these are.
        refused: Items that cannot be kept, by reason; a metric counts as one.
    """

    spans: list[SpanRecord] = msgspec.field(default_factory=list[SpanRecord])
    logs: list[LogRecord] = msgspec.field(default_factory=list[LogRecord])
    points: list[MetricPoint] = msgspec.field(default_factory=list[MetricPoint])
    refused: dict[Reason, int] = msgspec.field(default_factory=dict[Reason, int])

    @property
    def items(self) -> int:
        """How many are taken."""
        return len(self.spans) + len(self.logs) + len(self.points)

    @property
    def refused_text(self) -> str:
        """Why some are not; empty where all are taken."""
        found = sorted(self.refused)
        return "; ".join(TEXTS.get(reason, f"an item is {reason}") for reason in found)

    def refuse(self, reason: Reason, count: int = 1) -> None:
        """Count items that are not kept."""
        self.refused[reason] = self.refused.get(reason, 0) + count


class OtlpDecoder:
    """Reads bodies, one at a time; it remembers names, so it is made once.

    Args:
        clock_seconds: Any clock that only grows.
    """

    def __init__(self, clock_seconds: Callable[[], float] = time.monotonic) -> None:
        self._names = Names(clock_seconds)
        self._quick = QuickSpans()

    def decode(self, signal: Signal, form: Format, body: bytes) -> Received:
        """The records of a body.

        Raises:
            OtlpRefusedError: The body is broken, or more than can be looked at.
        """
        received = Received()
        if form == "json":
            self._read_json(signal, body, received)
        elif signal == "traces":
            self._read_spans(body, received)
        else:
            self._read_protobuf(signal, body, received)
        return received

    def _read_spans(self, body: bytes, received: Received) -> None:
        span_of, spans = self._quick.span, received.spans
        for place, extents in _scopes(body):
            known = self._names.of("traces", place.service)
            for at, end in _allowed(extents, received):
                span = span_of(body, at, end, place)
                if span is not None and span.name in known:
                    spans.append(span)
                elif span is not None:
                    self._keep_span(span, received)
                else:
                    self._read_item("traces", body[at:end], place, received)

    def _read_protobuf(self, signal: Signal, body: bytes, received: Received) -> None:
        for place, extents in _scopes(body):
            for at, end in _allowed(extents, received):
                self._read_item(signal, body[at:end], place, received)

    def _read_item(self, signal: Signal, raw: bytes, place: Place, received: Received) -> None:
        if len(raw) > ITEM_BYTES_MAX:
            received.refuse("size")
            return
        try:
            item = _ITEMS[signal].FromString(raw)
        except DecodeError:
            raise broken() from None
        self._keep(signal, item, place, received)

    def _read_json(self, signal: Signal, body: bytes, received: Received) -> None:
        for held in getattr(_message_in(signal, body), _RESOURCES[signal]):
            outer = place_of(held.resource)
            for part in getattr(held, _SCOPES[signal]):
                place = within(outer, part.scope)
                known = self._names.of(signal, place.service)
                for item in _allowed(getattr(part, _HELD[signal]), received):
                    self._keep(signal, item, place, received, known)

    def _keep(
        self,
        signal: Signal,
        item: Any,
        place: Place,
        received: Received,
        known: Container[str] = (),
    ) -> None:
        try:
            if signal == "traces":
                span = span_record(item, place)
                if span.name in known:
                    received.spans.append(span)
                else:
                    self._keep_span(span, received)
            elif signal == "logs":
                self._keep_line(log_record(item, place), received)
            else:
                self._keep_points(list(metric_points(item, place)), received)
        except ItemRefusedError as refused:
            received.refuse(refused.reason)

    def _keep_span(self, span: SpanRecord, received: Received) -> None:
        if self._names.meet("traces", span.service, span.name):
            received.spans.append(span)
        else:
            received.refuse("names")

    def _keep_line(self, line: LogRecord, received: Received) -> None:
        if self._names.meet("logs", line.service, line.logger):
            received.logs.append(line)
        else:
            received.refuse("names")

    def _keep_points(self, points: list[MetricPoint], received: Received) -> None:
        room = ITEMS_MAX - len(received.points)
        if len(points) > room:
            received.refuse("items", len(points) - room)
        for point in points[:room]:
            if self._names.meet("metrics", point.service, point.name):
                received.points.append(point)
            else:
                received.refuse("names")


_ITEMS: dict[Signal, Any] = {"traces": Span, "logs": LogMessage, "metrics": Metric}
_RESOURCES = {"traces": "resource_spans", "logs": "resource_logs", "metrics": "resource_metrics"}
_SCOPES = {"traces": "scope_spans", "logs": "scope_logs", "metrics": "scope_metrics"}
_HELD = {"traces": "spans", "logs": "log_records", "metrics": "metrics"}
_SHAPES: dict[Signal, type[msgspec.Struct]] = {
    "traces": shapes.Traces,
    "logs": shapes.Logs,
    "metrics": shapes.Metrics,
}
# Not strict: numbers of 64 bits may be written as text.
_JSON = {signal: msgspec.json.Decoder(shape, strict=False) for signal, shape in _SHAPES.items()}


def _scopes(body: bytes) -> Iterator[tuple[Place, Sequence[tuple[int, int]]]]:
    """Each scope of a body, and where its items are."""
    for extent in resources(body):
        description, scopes = parts(body, extent)
        outer = place_of(_described(Resource, description))
        for scope_extent in scopes:
            scope, items = parts(body, scope_extent)
            yield within(outer, _described(InstrumentationScope, scope)), items


def _described(kind: Any, raw: bytes) -> Any:
    try:
        return kind.FromString(raw)
    except DecodeError:
        raise broken() from None


def _allowed(items: Sequence[Any], received: Received) -> Sequence[Any]:
    """As many items as one request may still have; the others are counted."""
    room = ITEMS_MAX - received.items - sum(received.refused.values())
    if len(items) <= room:
        return items
    room = max(0, room)
    received.refuse("items", len(items) - room)
    return items[:room]


def _message_in(signal: Signal, body: bytes) -> Any:
    if body.count(b"{") > BRACES_MAX or body.count(b",") > COMMAS_MAX:
        raise OtlpRefusedError("size", "the body holds too much; send smaller batches", status=413)
    try:
        return _JSON[signal].decode(body)
    except msgspec.ValidationError as problem:
        # The mapping of protobuf to JSON lets null stand for what is not there.
        if b"null" not in body:
            raise _not_understood(problem) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
        raise _not_understood(problem) from None
    try:
        tree = _without_nulls(msgspec.json.decode(body))
        return msgspec.convert(tree, _SHAPES[signal], strict=False)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as problem:
        raise _not_understood(problem) from None


def _not_understood(problem: Exception) -> OtlpRefusedError:
    return OtlpRefusedError("broken", f"the body is not understood: {problem}"[:400])


def _without_nulls(tree: object) -> object:
    if isinstance(tree, dict):
        known = cast("dict[str, object]", tree)
        return {key: _without_nulls(one) for key, one in known.items() if one is not None}
    if isinstance(tree, list):
        return [_without_nulls(one) for one in cast("list[object]", tree)]
    return tree
