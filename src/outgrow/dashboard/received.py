"""Answers on what others measured: which metrics there are, and each over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.dashboard import shapes
from outgrow.dashboard.calls import step_seconds
from outgrow.telemetry import BACKLOG_METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outgrow.dashboard.asking import Asked
    from outgrow.dashboard.source import Source
    from outgrow.telemetry import MetricPoint

POINTS_MAX = 10_000

_Line = tuple[str, tuple[tuple[str, str], ...]]


def metrics(source: Source, asked: Asked) -> shapes.Metrics:
    """Metrics that points were received of, by name."""
    found = source.metrics(asked.from_ns, asked.to_ns)
    return shapes.Metrics(
        metrics=[
            shapes.Metric(
                name=one.name,
                service=one.service,
                points_count=one.points,
                last_at_ms=one.last_ns / 1e6,
            )
            for one in found
            if one.name not in BACKLOG_METRICS
        ]
    )


def series(source: Source, asked: Asked) -> shapes.MetricSeries:
    """A metric over time."""
    seconds = step_seconds(asked)
    step_ns = int(seconds * 1e9)
    first_ns = asked.from_ns // step_ns * step_ns
    points = source.metric(asked.name, first_ns, asked.to_ns, POINTS_MAX)
    lines: dict[_Line, list[MetricPoint]] = {}
    for point in reversed(points):
        lines.setdefault(_line_of(point), []).append(point)
    times = range(first_ns, asked.to_ns, step_ns)
    shown = list(lines.items())[: asked.whole("limit")]
    last = points[-1] if points else None
    return shapes.MetricSeries(
        name=asked.name,
        kind=last.kind if last else "",
        unit=last.unit if last else "",
        step_seconds=seconds,
        times_ms=[at_ns / 1e6 for at_ns in times],
        lines=[
            shapes.MetricLine(
                service=service,
                attributes=dict(attributes),
                values=_values(reversed(found), first_ns, step_ns, len(times)),
            )
            for (service, attributes), found in shown
        ],
        lines_count=len(lines),
        is_cut=len(points) >= POINTS_MAX,
    )


def _line_of(point: MetricPoint) -> _Line:
    named = ((name, str(value)) for name, value in point.attributes.items())
    return point.service, tuple(sorted(named))


def _values(
    points: Iterable[MetricPoint], first_ns: int, step_ns: int, count: int
) -> list[float | None]:
    """The value of each step.

    Args:
        points: Of one line, oldest first.
        first_ns: When the first step begins.
        step_ns: How long one is.
        count: How many there are.
    """
    values: list[float | None] = [None] * count
    came: dict[int, tuple[int, float]] = {}
    before: MetricPoint | None = None
    for point in points:
        step = (point.at_ns - first_ns) // step_ns
        known = values[step]
        if point.kind == "histogram":
            number, total = _since(point, before)
            all_number, all_total = came.get(step, (0, 0.0))
            came[step] = (all_number + number, all_total + total)
        elif point.is_delta and known is not None:
            values[step] = known + point.value
        else:
            values[step] = point.value
        before = point
    for step, (number, total) in came.items():
        values[step] = total / number if number else None
    return values


def _since(point: MetricPoint, before: MetricPoint | None) -> tuple[int, float]:
    """How many values a histogram got since the point before, and their sum.

    Of one that goes on, the first point tells of more than the period, so it counts for nothing.
    """
    if point.is_delta:
        return point.count, point.value
    if before is None:
        return 0, 0.0
    if point.count < before.count:  # it began anew
        return point.count, point.value
    return point.count - before.count, point.value - before.value
