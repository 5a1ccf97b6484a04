"""Metrics that others measured, and sent here."""

from __future__ import annotations

import msgspec


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of a service that points were received of."""

    name: str
    service: str
    points_count: int
    last_at_ms: float


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """Metrics of a period, by name."""

    metrics: list[Metric]


class MetricLine(msgspec.Struct, frozen=True, kw_only=True):
    """A metric with the same attributes over time; None in steps of which nothing was told.

    Attributes:
        values: Of a gauge or a sum that goes on the last of each step, of a sum that begins anew
            with each point what they add up to, of a histogram the mean of what came in the step.
    """

    service: str
    attributes: dict[str, str]
    values: list[float | None]


class MetricSeries(msgspec.Struct, frozen=True, kw_only=True):
    """A metric over time, those lines that were told of last first.

    Attributes:
        kind: `gauge`, `sum` or `histogram`; empty where nothing is known.
        unit: As OpenTelemetry writes it.
        lines_count: How many lines there are, shown or not.
        is_cut: There are more points than are read at once: the oldest steps may be empty.
    """

    name: str
    kind: str = ""
    unit: str = ""
    step_seconds: float
    times_ms: list[float]
    lines: list[MetricLine]
    lines_count: int
    is_cut: bool = False
