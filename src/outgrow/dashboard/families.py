"""Metrics as values, and as the texts in which Prometheus reads them.

Source:
    Prometheus, Exposition formats, text 0.0.4; OpenMetrics 1.0. They differ in the names of
    counters, in how they end, and in that only OpenMetrics has units and exemplars.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from outgrow.telemetry import MetricPoint, lower_edge_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Kind = Literal["counter", "gauge", "histogram", "summary", "info"]
Values = tuple[str, ...]

# Powers of two are edges of the archive's buckets as well, so counts stay exact.
BOUNDS_NS = tuple(1 << power for power in (*range(17, 34), 35))
BOUNDS_SECONDS = tuple(bound / 1e9 for bound in BOUNDS_NS)
TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPEN_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_SECONDS = "seconds"


@dataclass(frozen=True)
class Example:
    """One of the calls in a bucket, whose trace is kept."""

    trace_id: str
    seconds: float
    at_seconds: float


@dataclass
class Spread:
    """A histogram, or a summary where it has no buckets.

    Attributes:
        counts: In each bucket, the last being that without a bound.
        examples: By bucket.
    """

    count: int
    sum_seconds: float
    counts: list[int] = field(default_factory=list[int])
    examples: Mapping[int, Example] = field(default_factory=dict[int, Example])


@dataclass
class Family:
    """All samples of one name.

    Attributes:
        name: Without `_total` and its like.
        labels: Their names.
        values: Numbers by the values of the labels.
        spreads: Of a histogram or a summary.
    """

    name: str
    kind: Kind
    text: str
    labels: Values = ()
    values: dict[Values, float] = field(default_factory=dict[Values, float])
    spreads: dict[Values, Spread] = field(default_factory=dict[Values, Spread])

    def put(self, values: Values, number: float) -> None:
        """Set a number."""
        self.values[values] = number


def place_of(duration_ns: int) -> int:
    """The number of the bucket that a duration falls into."""
    return bisect_left(BOUNDS_NS, duration_ns + 1)


def spread_of(
    calls: int, duration_ns: int, buckets: Mapping[int, int], examples: Mapping[int, Example]
) -> Spread:
    """A histogram from the archive's buckets."""
    counts = [0] * (len(BOUNDS_NS) + 1)
    for bucket, count in buckets.items():
        counts[bisect_right(BOUNDS_NS, lower_edge_ns(bucket))] += count
    return Spread(calls, duration_ns / 1e9, counts, examples)


def text_of(families: Iterable[Family], *, is_open: bool) -> str:
    """The families as text: of OpenMetrics, or of Prometheus 0.0.4."""
    lines: list[str] = []
    for family in families:
        if family.values or family.spreads:
            lines += _lines(family, is_open)
    if is_open:
        lines.append("# EOF")
    return "\n".join(lines) + "\n"


def _lines(family: Family, is_open: bool) -> Iterator[str]:
    suffix = {"counter": "_total", "info": "_info"}.get(family.kind, "")
    known = family.name if is_open else f"{family.name}{suffix}"
    kind = "gauge" if family.kind == "info" and not is_open else family.kind
    yield f"# HELP {known} {_escaped(family.text, quote=is_open)}"
    yield f"# TYPE {known} {kind}"
    if is_open and family.name.endswith(f"_{_SECONDS}"):
        yield f"# UNIT {known} {_SECONDS}"
    for values, number in family.values.items():
        yield f"{family.name}{suffix}{_braced(family.labels, values)} {_number(number)}"
    for values, spread in family.spreads.items():
        yield from _spread_lines(family, values, spread, is_open)


def _spread_lines(family: Family, values: Values, spread: Spread, is_open: bool) -> Iterator[str]:
    labels = family.labels
    total = 0
    for place, count in enumerate(spread.counts):
        total += count
        bound = "+Inf" if place == len(BOUNDS_SECONDS) else _number(BOUNDS_SECONDS[place])
        braced = _braced((*labels, "le"), (*values, bound))
        example = spread.examples.get(place) if is_open and count else None
        yield f"{family.name}_bucket{braced} {total}{_exemplar(example)}"
    yield f"{family.name}_sum{_braced(labels, values)} {_number(spread.sum_seconds)}"
    yield f"{family.name}_count{_braced(labels, values)} {total if spread.counts else spread.count}"


def _exemplar(example: Example | None) -> str:
    if example is None:
        return ""
    return (
        f' # {{trace_id="{example.trace_id}"}} {_number(example.seconds)} {example.at_seconds:.3f}'
    )


def _braced(names: Sequence[str], values: Sequence[str]) -> str:
    if not names:
        return ""
    pairs = zip(names, values, strict=True)
    return "{" + ",".join(f'{name}="{_escaped(value, quote=True)}"' for name, value in pairs) + "}"


def _escaped(text: str, *, quote: bool) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quote else text


def _number(value: float) -> str:
    if value == math.inf:
        return "+Inf"
    if isinstance(value, int) or value.is_integer():
        return str(int(value))
    return repr(value)


def points_of(
    families: Iterable[Family], at_ns: int, began_ns: int, service: str
) -> list[MetricPoint]:
    """The families as points of OpenTelemetry."""
    found: list[MetricPoint] = []
    for family in families:
        unit = "s" if family.name.endswith(_SECONDS) else ""
        kind = "sum" if family.kind == "counter" else "gauge"
        began = began_ns if kind == "sum" else 0
        for values, number in family.values.items():
            named = dict(zip(family.labels, values, strict=True))
            found.append(
                MetricPoint(
                    family.name, kind, at_ns, float(number), unit, service, {**named}, began
                )
            )
        for values, spread in family.spreads.items():
            point = MetricPoint(family.name, "histogram", at_ns, spread.sum_seconds, unit, service)
            point.attributes = {**dict(zip(family.labels, values, strict=True))}
            point.began_ns = began_ns
            point.count = sum(spread.counts) if spread.counts else spread.count
            point.bounds = list(BOUNDS_SECONDS) if spread.counts else []
            point.buckets = spread.counts
            found.append(point)
    return found
