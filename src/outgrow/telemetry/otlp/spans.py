"""Spans as others send them, as records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outgrow.telemetry.otlp.limits import (
    EVENTS_MAX,
    LINKS_MAX,
    NAME_CHARACTERS_MAX,
    TIME_NS_MAX,
    VALUE_CHARACTERS_MAX,
)
from outgrow.telemetry.otlp.reading import (
    OF_SCOPE,
    ItemRefusedError,
    Place,
    attributes_of,
    identity,
    noted_drops,
)
from outgrow.telemetry.records import SpanRecord

if TYPE_CHECKING:
    from outgrow.telemetry.records import Attribute

RECEIVED = "received"
# Why another observer kept it.
KEPT_FOR = "outgrow.kept_for"
DROPPED_EVENTS = "otel.dropped_events_count"
DROPPED_LINKS = "otel.dropped_links_count"
STATE = "w3c.tracestate"
# What is said of a link, with the link's place among the span's.
OF_LINK = "otel.link."

Event = tuple[int, str, "dict[str, Attribute]"]


def span_record(span: Any, place: Place) -> SpanRecord:
    """A message `Span` as a record.

    Raises:
        ItemRefusedError: It cannot be kept.
    """
    trace_id, span_id = identity(span.trace_id, 16), identity(span.span_id, 8)
    if not trace_id or not span_id:
        raise ItemRefusedError("ids")
    began_ns = span.start_time_unix_nano
    if not 0 <= began_ns <= TIME_NS_MAX:
        raise ItemRefusedError("time")
    attributes = _outset(place)
    _, dropped = attributes_of(span.attributes, attributes)
    noted_drops(attributes, dropped, span.dropped_attributes_count)
    if span.trace_state:
        attributes[STATE] = span.trace_state[:VALUE_CHARACTERS_MAX]
    links = _links(span, attributes)
    events = _events(span, attributes)
    status = span.status.code
    kept_for = attributes.pop(KEPT_FOR, RECEIVED)
    return SpanRecord(
        trace_id,
        span_id,
        identity(span.parent_span_id, 8),
        span.name[:NAME_CHARACTERS_MAX],
        span.kind if 0 <= span.kind < 256 else 0,
        began_ns,
        max(0, min(span.end_time_unix_nano, TIME_NS_MAX) - began_ns),
        status if 0 <= status < 256 else 0,
        span.status.message[:VALUE_CHARACTERS_MAX],
        place.service,
        place.worker,
        str(kept_for)[:NAME_CHARACTERS_MAX],
        attributes,
        events,
        links,
    )


def _outset(place: Place) -> dict[str, Attribute]:
    """The attributes that each span of a scope has."""
    attributes = place.attributes.copy()
    if place.scope:
        attributes[f"{OF_SCOPE}name"] = place.scope
    return attributes


def _events(span: Any, attributes: dict[str, Attribute]) -> list[Event]:
    if not span.events and not span.dropped_events_count:
        return []
    events = [event_of(event) for event in span.events[:EVENTS_MAX]]
    dropped = span.dropped_events_count + len(span.events) - len(events)
    if dropped:
        attributes[DROPPED_EVENTS] = dropped
    return events


def event_of(event: Any) -> Event:
    """An event as a record has it."""
    attributes, dropped = attributes_of(event.attributes, {})
    at_ns = min(max(0, event.time_unix_nano), TIME_NS_MAX)
    return at_ns, event.name[:NAME_CHARACTERS_MAX], noted_drops(attributes, dropped, 0)


def _links(span: Any, attributes: dict[str, Attribute]) -> list[tuple[bytes, bytes]]:
    """The links; what is said of them becomes attributes of the span."""
    if not span.links and not span.dropped_links_count:
        return []
    found: list[tuple[bytes, bytes]] = []
    for number, link in enumerate(span.links[:LINKS_MAX]):
        found.append((identity(link.trace_id, 16), identity(link.span_id, 8)))
        said, _ = attributes_of(link.attributes, {})
        attributes |= {f"{OF_LINK}{number}.{name}": value for name, value in said.items()}
    dropped = span.dropped_links_count + len(span.links) - len(found)
    if dropped:
        attributes[DROPPED_LINKS] = dropped
    return found
