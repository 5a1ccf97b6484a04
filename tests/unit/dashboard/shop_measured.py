"""What services beside the made-up shop measured, and sent to its observer."""

from __future__ import annotations

from outgrow.dashboard import shapes
from outgrow.dashboard.asking import Asked
from tests.unit.dashboard.shop_growth import SECOND_MS, swing

# Name, service, unit, and what each of its lines is about.
_MEASURED = (
    ("http.server.request.duration", "warehouse", "s", ("GET", "POST")),
    ("jvm.memory.used", "billing", "By", ("heap", "non_heap")),
    ("parcels.waiting", "warehouse", "{parcel}", ("north", "south", "harbour")),
)
_STEPS = 90


class Measuring:
    """The part of the made-up shop's API that answers about metrics."""

    def metrics(self, asked: Asked) -> shapes.Metrics:
        return shapes.Metrics(
            metrics=[
                shapes.Metric(
                    name=name,
                    service=service,
                    points_count=int(asked.seconds / 10) * len(lines),
                    last_at_ms=asked.to_ns / 1e6 - 4 * SECOND_MS,
                )
                for name, service, _, lines in _MEASURED
            ]
        )

    def metric_series(self, asked: Asked) -> shapes.MetricSeries:
        name, service, unit, lines = next(
            (one for one in _MEASURED if one[0] == asked.name), _MEASURED[0]
        )
        step = asked.seconds / _STEPS
        first_ms = asked.from_ns / 1e6
        times = [first_ms + place * step * SECOND_MS for place in range(_STEPS)]
        size = {"s": 0.04, "By": 3e8}.get(unit, 12.0)
        return shapes.MetricSeries(
            name=name,
            kind="histogram" if unit == "s" else "gauge",
            unit=unit,
            step_seconds=step,
            times_ms=times,
            lines=[
                shapes.MetricLine(
                    service=service,
                    attributes={"of": line},
                    values=[size * (number + 1) * swing(at) for at in times],
                )
                for number, line in enumerate(lines)
            ],
            lines_count=len(lines),
        )
