"""Records as rows of tables, and back."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import msgspec

from outgrow.telemetry.records import LogRecord, MetricPoint, SpanRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

TEXT_CHARACTERS_MAX = 16_384
DURATION_NS_MAX = 1 << 60
_NAME_CHARACTERS_MAX = 512
_ATTRIBUTE_CHARACTERS_MAX = 512
_STATUS = "http.response.status_code"
_ERROR = 2
# Of a row, besides its texts.
_ROW_BYTES = 400

Row = tuple[Any, ...]

_two = struct.Struct(">QQ")
_encode_json = msgspec.json.Encoder().encode
# A number that is none, as some send, comes back as None.
_decode_json = msgspec.json.Decoder(dict[str, Any]).decode
_encode_rest = msgspec.msgpack.Encoder().encode
_Rest = tuple[list[tuple[int, str, dict[str, str | int | float | bool]]], list[tuple[bytes, bytes]]]
_decode_rest = msgspec.msgpack.Decoder(_Rest).decode
_decode_point = msgspec.msgpack.Decoder(MetricPoint).decode

SPAN_COLUMNS = (
    "at_ns, duration_ns, trace_high, trace_low, span_id, parent_id, name, kind, status, "
    "http_status, kept_for, service, worker, message, attributes, rest"
)
LOG_COLUMNS = (
    "at_ns, severity, text, logger, service, worker, trace_high, trace_low, span_id, attributes, "
    "exception, traceback, fingerprint"
)


def trace_number(trace_id: bytes) -> tuple[int, int]:
    """A trace's id as two numbers; 0 and 0 for none."""
    if len(trace_id) == 16:
        return _two.unpack(trace_id)
    return _two.unpack(trace_id[:16].rjust(16, b"\0"))


def trace_bytes(high: int, low: int) -> bytes:
    """A trace's id; empty for none."""
    return _two.pack(high, low) if high or low else b""


def _span_bytes(number: int) -> bytes:
    return number.to_bytes(8, "big") if number else b""


def _attributes_text(attributes: dict[str, Any]) -> str:
    if not attributes:
        return ""
    text = _encode_json(attributes).decode()
    if len(text) > TEXT_CHARACTERS_MAX:
        text = _encode_json(_cut(attributes)).decode()
    return text


def _cut(attributes: dict[str, Any]) -> dict[str, Any]:
    """As many as there is room for, each cut short."""
    kept: dict[str, Any] = {"outgrow.cut": True}
    for name in list(attributes)[:24]:
        value = attributes[name]
        short = value[:_ATTRIBUTE_CHARACTERS_MAX] if isinstance(value, str) else value
        kept[name[:128]] = short
    return kept


def span_row(span: SpanRecord) -> Row:
    """A span as a row."""
    attributes = span.attributes
    status = attributes.get(_STATUS)
    if type(status) is int and 0 < status < 1000:
        attributes = dict(attributes)
        del attributes[_STATUS]
    else:
        status = None
    high, low = trace_number(span.trace_id)
    rest = None
    if span.events or span.links:
        rest = _encode_rest((span.events, span.links))
        if len(rest) > TEXT_CHARACTERS_MAX:
            rest = None
    return (
        span.at_ns,
        max(0, min(span.duration_ns, DURATION_NS_MAX)),
        high,
        low,
        int.from_bytes(span.span_id[:8], "big"),
        int.from_bytes(span.parent_id[:8], "big"),
        span.name[:_NAME_CHARACTERS_MAX],
        span.kind if 0 <= span.kind < 256 else 0,
        span.status if 0 <= span.status < 256 else 0,
        status,
        span.kept_for[:_NAME_CHARACTERS_MAX],
        span.service[:_NAME_CHARACTERS_MAX],
        span.worker[:_NAME_CHARACTERS_MAX],
        span.message[:TEXT_CHARACTERS_MAX],
        _attributes_text(attributes),
        rest,
    )


def span_of(row: Row) -> SpanRecord:
    """A row as a span."""
    attributes = _decode_json(row[14]) if row[14] else {}
    if row[9] is not None:
        attributes[_STATUS] = row[9]
    events, links = _decode_rest(row[15]) if row[15] else ([], [])
    return SpanRecord(
        trace_bytes(row[2], row[3]),
        _span_bytes(row[4]),
        _span_bytes(row[5]),
        row[6],
        row[7],
        row[0],
        row[1],
        row[8],
        row[13],
        row[11],
        row[12],
        row[10],
        attributes,
        events,
        links,
    )


def row_bytes(kind: str, row: Row) -> int:
    """About how much memory a row takes."""
    if kind == "spans":
        return _ROW_BYTES + len(row[14]) + len(row[13]) + (len(row[15]) if row[15] else 0)
    if kind == "logs":
        return _ROW_BYTES + len(row[2]) + len(row[9]) + len(row[11])
    return _ROW_BYTES + (len(row[3]) if kind == "points" else 0)


def trace_rows(rows: Iterable[Row]) -> list[Row]:
    """What spans that are written together say of their traces."""
    found: dict[tuple[int, int], list[Any]] = {}
    for row in rows:
        key = (row[2], row[3])
        at_ns, duration_ns, is_root = row[0], row[1], not row[5]
        failed = row[8] == _ERROR
        known = found.get(key)
        if known is None:
            found[key] = [
                *(at_ns, at_ns + duration_ns, 1, int(failed), {row[11]}),
                *(at_ns, is_root, row[6], duration_ns, row[10]),
            ]
            continue
        known[0] = min(known[0], at_ns)
        known[1] = max(known[1], at_ns + duration_ns)
        known[2] += 1
        known[3] += failed
        known[4].add(row[11])
        # The first one is that without a parent, or else the earliest.
        if (is_root, -at_ns) > (known[6], -known[5]):
            known[5:] = [at_ns, is_root, row[6], duration_ns, row[10]]
    return [(*key, *one[:4], "\n".join(sorted(one[4])), *one[5:]) for key, one in found.items()]


def log_row(log: LogRecord) -> Row:
    """A line of a log as a row."""
    high, low = trace_number(log.trace_id)
    return (
        log.at_ns,
        max(0, min(log.severity, 255)),
        log.text[:TEXT_CHARACTERS_MAX],
        log.logger[:_NAME_CHARACTERS_MAX],
        log.service[:_NAME_CHARACTERS_MAX],
        log.worker[:_NAME_CHARACTERS_MAX],
        high,
        low,
        int.from_bytes(log.span_id[:8], "big"),
        _attributes_text(log.attributes),
        log.exception[:_NAME_CHARACTERS_MAX],
        log.traceback[-TEXT_CHARACTERS_MAX:],
        log.fingerprint[:64],
    )


def log_of(row: Row) -> LogRecord:
    """A row as a line of a log."""
    return LogRecord(
        at_ns=row[0],
        severity=row[1],
        text=row[2],
        logger=row[3],
        service=row[4],
        worker=row[5],
        trace_id=trace_bytes(row[6], row[7]),
        span_id=_span_bytes(row[8]),
        attributes=_decode_json(row[9]) if row[9] else {},
        exception=row[10],
        traceback=row[11],
        fingerprint=row[12],
    )


def point_row(point: MetricPoint) -> Row:
    """A point of a metric as a row."""
    service = point.service[:_NAME_CHARACTERS_MAX]
    return (point.at_ns, point.name[:_NAME_CHARACTERS_MAX], service, _encode_rest(point))


def point_of(row: Row) -> MetricPoint:
    """A row as a point of a metric."""
    return _decode_point(row[3])
