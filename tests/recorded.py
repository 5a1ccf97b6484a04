"""Recording for the length of a test, and what was kept, in words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from outgrow.telemetry import LogRecord, SpanRecord, keeper, start_recording, stop_recording, tap

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def recorded() -> Iterator[None]:
    """Record from nothing, and stop at the end."""
    keeper.forget()
    tap.forget()
    start_recording("shop", "web/1")
    try:
        yield
    finally:
        stop_recording()
        keeper.forget()
        tap.forget()


def spans() -> list[SpanRecord]:
    """The spans that are kept, by when they began; they are taken by this."""
    return sorted(keeper.take()[0], key=lambda span: (span.at_ns, -span.duration_ns))


def logs() -> list[LogRecord]:
    """The records that came; they are taken by this."""
    return tap.take()[0]


def named(found: list[SpanRecord], name: str) -> SpanRecord:
    """The one span of this name."""
    (one,) = [span for span in found if span.name == name]
    return one


def path_to(found: list[SpanRecord], name: str) -> list[str]:
    """The names from the outermost span to this one."""
    by_id = {span.span_id: span for span in found}
    span, names = named(found, name), [name]
    while span.parent_id in by_id and len(names) < len(found):
        span = by_id[span.parent_id]
        names.insert(0, span.name)
    return names
