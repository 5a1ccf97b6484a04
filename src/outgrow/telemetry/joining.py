"""The app's own OpenTelemetry spans as parts of our traces, where it has made a tracer provider.

Nothing of OpenTelemetry is imported by this. Their spans get ours as parents, and are copied when
they end; their exporters and samplers do what they did before.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, cast

from outgrow.telemetry.faultlines import without_parameters
from outgrow.telemetry.records import SpanRecord
from outgrow.telemetry.traces import (
    SPANS_MAX,
    TEXT_MAX,
    failed,
    joined,
    place,
    recording,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from outgrow.telemetry.records import Attribute
    from outgrow.telemetry.traces import Segment

_OPEN_MAX = 10_000
_ATTRIBUTES_MAX = 64
_EVENTS_MAX = 32
_LINKS_MAX = 32
_SPAN_BYTES = 2000
# What may hold secrets: headers, query strings, parameters of statements.
_LEFT_OUT = ("http.request.header.", "http.response.header.", "db.query.parameter.")
_LEFT_OUT_NAMES = {"url.query", "db.statement.parameters", "db.params"}
_URLS = {"http.url", "url.full", "http.target", "url.original"}


def join_opentelemetry() -> None:
    """Join the tracer providers of the app: the global one now, and any that it makes later.

    Call it once the app is imported, and again after its start-up. Without OpenTelemetry's SDK
    nothing happens.
    """
    sdk = sys.modules.get("opentelemetry.sdk.trace")
    api = sys.modules.get("opentelemetry.trace")
    if sdk is None or api is None or not hasattr(sdk, "TracerProvider"):
        return
    provider_class: Any = sdk.TracerProvider
    if getattr(provider_class, "is_watched", False):
        return
    provider_class.is_watched = True
    made: list[Any] = []
    make = cast("Callable[..., None]", provider_class.__init__)

    def join(provider: Any) -> None:
        provider.add_span_processor(_processor_for(sdk))
        made.append(provider)

    @wraps(make)
    def make_and_join(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        join(self)

    provider_class.__init__ = make_and_join
    known = api.get_tracer_provider()
    if isinstance(known, provider_class):
        join(known)
    joined.append(partial(_attach_if_possible, api, made))


def _attach(api: Any, providers: list[Any], segment: Segment, number: int) -> None:
    """Have our span be the parent of theirs, in a task that does nothing else."""
    context = sys.modules.get("opentelemetry.context")
    if not providers or context is None:
        return
    parent = segment.parent
    if parent is not None:
        flags, state = parent.flags & 1, api.TraceState.from_header([parent.state])
    else:
        # As their own sampler decides where no span is around: ours must not change that.
        kind = api.SpanKind.SERVER
        said = providers[-1].sampler.should_sample(None, segment.trace_id, "request", kind)
        flags, state = int(said.decision.is_sampled()), said.trace_state
    ours = api.SpanContext(
        segment.trace_id, segment.span_id(number), False, api.TraceFlags(flags), state
    )
    context.attach(api.set_span_in_context(api.NonRecordingSpan(ours)))


def _attach_if_possible(api: Any, providers: list[Any], segment: Segment, number: int) -> None:
    # Their sampler may be the app's own, and a request is not to fail for it.
    with suppress(Exception):
        _attach(api, providers, segment, number)


def _processor_for(sdk: Any) -> Any:
    return type("OutgrowSpans", (_Copying, sdk.SpanProcessor), {})()


class _Copying:
    """Copies the spans that end into the segment in which they began."""

    def __init__(self) -> None:
        self._open: dict[int, Segment] = {}

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        del parent_context
        if not recording.is_on:
            return
        segment, _ = place()
        context = span.get_span_context()
        if segment is None or context.trace_id != segment.trace_id:
            return  # it belongs to a trace that the app began by itself
        if len(self._open) < _OPEN_MAX:
            self._open[context.span_id] = segment

    def on_end(self, span: Any) -> None:
        segment = self._open.pop(span.context.span_id, None)
        if segment is None:
            return
        if span.status.status_code.value == 2:
            failed(segment, wholly=False)
        if segment.next() <= SPANS_MAX:
            segment.noted_bytes += _SPAN_BYTES
            segment.spans.append(partial(_record_of, span))

    def shutdown(self) -> None:
        self._open.clear()

    def force_flush(self, timeout_millis: int = 0) -> bool:
        del timeout_millis
        return True


def _record_of(span: Any) -> SpanRecord:
    context = span.context
    parent = span.parent
    return SpanRecord(
        context.trace_id.to_bytes(16, "big"),
        context.span_id.to_bytes(8, "big"),
        parent.span_id.to_bytes(8, "big") if parent is not None else b"",
        span.name[:TEXT_MAX],
        span.kind.value + 1,
        span.start_time,
        max(0, span.end_time - span.start_time),
        status=span.status.status_code.value,
        message=_shown(span.status.description or ""),
        service=recording.app,
        worker=recording.worker,
        attributes=_attributes_of(span.attributes),
        events=[
            (event.timestamp, event.name, _attributes_of(event.attributes))
            for event in list(span.events)[:_EVENTS_MAX]
        ],
        links=[
            (link.context.trace_id.to_bytes(16, "big"), link.context.span_id.to_bytes(8, "big"))
            for link in list(span.links)[:_LINKS_MAX]
        ],
    )


def _attributes_of(given: Any) -> dict[str, Attribute]:
    made: dict[str, Attribute] = {}
    for name, value in cast("Iterable[tuple[str, Any]]", (given or {}).items()):
        if name.startswith(_LEFT_OUT) or name in _LEFT_OUT_NAMES or len(made) >= _ATTRIBUTES_MAX:
            continue
        if isinstance(value, bool | int | float):
            made[name] = value
        else:
            text = str(value)
            made[name] = _shown(text.partition("?")[0] if name in _URLS else text)
    return made


def _shown(text: str) -> str:
    return without_parameters(text)[:TEXT_MAX]
