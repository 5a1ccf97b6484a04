"""Points of metrics as others send them, as records.

A sum that may fall is a gauge, as Prometheus has it, unless it counts since the point before. An
exponential histogram gets the bounds of its buckets written out; a summary becomes a gauge for each
quantile and sums of its count and its values. Exemplars, and what a metric is said to be, are not
kept.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec

from outgrow.telemetry.otlp.limits import BUCKETS_MAX, NAME_CHARACTERS_MAX, TIME_NS_MAX
from outgrow.telemetry.otlp.reading import (
    OF_SCOPE,
    ItemRefusedError,
    Place,
    attributes_of,
    chosen,
    noted_drops,
    number_of,
)
from outgrow.telemetry.otlp.shapes import NumberPoint
from outgrow.telemetry.records import MetricPoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outgrow.telemetry.records import Attribute

KINDS = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
DELTA = 1
QUANTILE = "quantile"
_SCALE_MIN, _SCALE_MAX = -10, 20
_NO_VALUE = 1


def metric_points(metric: Any, place: Place) -> Iterator[MetricPoint]:
    """The points of a message `Metric`; those that say they have no value are left out.

    Raises:
        ItemRefusedError: It has no points of a known kind, or one of them cannot be kept.
    """
    kind = _kind_of(metric)
    data = getattr(metric, kind)
    for point in data.data_points:
        if point.flags & _NO_VALUE:
            continue
        if not 0 <= point.time_unix_nano <= TIME_NS_MAX:
            raise ItemRefusedError("time")
        outset = _Outset(metric, place, point, is_delta=_temporality(data) == DELTA)
        if kind in ("gauge", "sum"):
            is_steady = kind == "sum" and (data.is_monotonic or outset.is_delta)
            yield outset.point("sum" if is_steady else "gauge", _value_of(point))
        elif kind == "summary":
            yield from _summary(outset, point)
        else:
            bounds, buckets = _BUCKETS[kind](point)
            yield outset.histogram(point, bounds, buckets)


def _kind_of(metric: Any) -> str:
    if isinstance(metric, msgspec.Struct):
        kind = next((name for name in KINDS if getattr(metric, name) is not None), "")
    else:
        kind = metric.WhichOneof("data")
    if not kind:
        raise ItemRefusedError("kind")
    return kind


def _temporality(data: Any) -> int:
    return getattr(data, "aggregation_temporality", 0)


def _value_of(point: Any) -> float:
    if isinstance(point, NumberPoint):
        return number_of(point.as_int or 0 if point.as_double is None else point.as_double)
    return float(getattr(point, chosen(point, "value") or "as_double"))


def _optional(point: Any, name: str) -> float | None:
    return number_of(getattr(point, name)) if chosen(point, f"_{name}") else None


class _Outset:
    """What all points made of one have in common."""

    def __init__(self, metric: Any, place: Place, point: Any, *, is_delta: bool) -> None:
        self.is_delta = is_delta
        self._place = place
        self._name = metric.name[:NAME_CHARACTERS_MAX]
        self._unit = metric.unit[:NAME_CHARACTERS_MAX]
        self._at_ns = point.time_unix_nano
        self._began_ns = min(max(0, point.start_time_unix_nano), TIME_NS_MAX)
        self.attributes: dict[str, Attribute] = place.attributes.copy()
        if place.worker:
            self.attributes["resource.service.instance.id"] = place.worker
        if place.scope:
            self.attributes[f"{OF_SCOPE}name"] = place.scope
        _, dropped = attributes_of(point.attributes, self.attributes)
        noted_drops(self.attributes, dropped, 0)

    def point(
        self,
        kind: str,
        value: float,
        *,
        suffix: str = "",
        further: dict[str, Attribute] | None = None,
    ) -> MetricPoint:
        """A point with one value."""
        is_gauge = kind == "gauge"
        return MetricPoint(
            f"{self._name}{suffix}",
            kind,
            self._at_ns,
            value,
            self._unit,
            self._place.service,
            {**self.attributes, **(further or {})},
            0 if is_gauge else self._began_ns,
            not is_gauge and self.is_delta,
        )

    def histogram(self, point: Any, bounds: list[float], buckets: list[int]) -> MetricPoint:
        """A point with buckets."""
        if len(buckets) > BUCKETS_MAX or (buckets and len(buckets) != len(bounds) + 1):
            raise ItemRefusedError("size" if len(buckets) > BUCKETS_MAX else "broken")
        found = self.point("histogram", _optional(point, "sum") or 0.0)
        found.count = point.count
        found.bounds = bounds
        found.buckets = buckets
        found.least = _optional(point, "min")
        found.most = _optional(point, "max")
        return found


def _explicit(point: Any) -> tuple[list[float], list[int]]:
    return list(point.explicit_bounds), list(point.bucket_counts)


def _exponential(point: Any) -> tuple[list[float], list[int]]:
    """Buckets of the negative values, of zero, and of the positive ones, in that order.

    Source:
        OpenTelemetry's data model of metrics: bucket i holds base**i to base**(i+1), and base is
        2**(2**-scale).
    """
    if not _SCALE_MIN <= point.scale <= _SCALE_MAX:
        raise ItemRefusedError("broken")
    positive, negative = list(point.positive.bucket_counts), list(point.negative.bucket_counts)
    if len(positive) + len(negative) + 2 > BUCKETS_MAX:
        raise ItemRefusedError("size")
    bounds: list[float] = []
    buckets: list[int] = [0]
    if negative:
        edges = _edges(point, point.negative.offset, len(negative))
        bounds += [-edge for edge in reversed(edges)]
        buckets += reversed(negative)
    bounds.append(point.zero_threshold)
    if not negative:
        buckets = []
    buckets.append(point.zero_count)
    if positive:
        edges = _edges(point, point.positive.offset, len(positive))
        if edges[0] > bounds[-1]:
            bounds.append(edges[0])
            buckets.append(0)
        bounds += edges[1:]
        buckets += positive
    return bounds, [*buckets, 0]


def _edges(point: Any, offset: int, count: int) -> list[float]:
    step = 2.0**-point.scale
    try:
        return [math.pow(2.0, (offset + number) * step) for number in range(count + 1)]
    except OverflowError:
        raise ItemRefusedError("broken") from None


_BUCKETS = {"histogram": _explicit, "exponential_histogram": _exponential}


def _summary(outset: _Outset, point: Any) -> Iterator[MetricPoint]:
    yield outset.point("sum", float(point.count), suffix="_count")
    yield outset.point("sum", number_of(point.sum), suffix="_sum")
    for each in point.quantile_values[:BUCKETS_MAX]:
        yield outset.point("gauge", number_of(each.value), further={QUANTILE: each.quantile})
