"""Who calls, and the span of what is called, for all that leaves this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.telemetry.traces import CLIENT, NOTED_BYTES_MAX, SPANS_MAX, failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from outgrow.telemetry.records import Attribute
    from outgrow.telemetry.traces import Segment

NOBODY = "edge"
OTHER = "(other)"


def _nobody() -> str:
    return NOBODY


_name_caller: list[Callable[[], str]] = [_nobody]


def name_caller(name: Callable[[], str]) -> None:
    """Have who calls named by this: the operation or the route that runs, `edge` for neither."""
    _name_caller[:] = [name]


def caller() -> str:
    """The operation or the route that runs here."""
    return _name_caller[0]()


def size_of(attributes: Mapping[str, Attribute]) -> int:
    """About how many bytes the attributes of a span are."""
    texts = [value for value in attributes.values() if isinstance(value, str)]
    return 64 * len(attributes) + sum(map(len, texts))


def note_client(
    segment: Segment,
    parent: int,
    number: int,
    name: str,
    begun_ns: int,
    ended_ns: int,
    error: str,
    attributes: Mapping[str, Attribute],
    attributes_bytes: int,
) -> None:
    """Note a span whose number was given out before, or whose attributes are many times the same.

    Otherwise it is as `traces.note`.
    """
    if error:
        failed(segment, wholly=False)
    if number > SPANS_MAX:
        return
    segment.noted_bytes += attributes_bytes
    if segment.noted_bytes > NOTED_BYTES_MAX:
        segment.dropped += 1
        return
    segment.spans.append((number, parent, name, CLIENT, begun_ns, ended_ns, error, attributes))
