"""Queues and subscriptions over time: how busy their slots, how late the work, how much waits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outgrow.dashboard import shapes
from outgrow.dashboard.calls import marks_in, step_seconds
from outgrow.dashboard.sounding import backlogs_in
from outgrow.telemetry import quantile_ms

if TYPE_CHECKING:
    from outgrow.dashboard.asking import Asked
    from outgrow.dashboard.source import Backlog, Buckets, Source, StationStep

# Three charts stand below one another, or side by side.
STEPS_WANTED = 90
_SLOTS = ": slots"


@dataclass
class _Line:
    """What is known of one queue or subscription.

    Attributes:
        slots: In each worker.
        busy_ns: By step.
        waits: Likewise.
        backlogs: The last that was asked in each step.
    """

    slots: dict[str, int] = field(default_factory=dict[str, int])
    busy_ns: dict[int, int] = field(default_factory=dict[int, int])
    waits: dict[int, Buckets] = field(default_factory=dict[int, "Buckets"])
    backlogs: dict[int, Backlog] = field(default_factory=dict[int, "Backlog"])

    def add(self, one: StationStep) -> None:
        """Add what one worker did in a step."""
        self.slots[one.worker] = one.used.capacity
        self.busy_ns[one.at_ns] = self.busy_ns.get(one.at_ns, 0) + one.used.busy_ns
        waits = self.waits.setdefault(one.at_ns, {})
        for bucket, count in one.used.waits.items():
            waits[bucket] = waits.get(bucket, 0) + count

    def shown(self, name: str, times: list[int], step_ns: int, to_ns: int) -> shapes.QueueLine:
        """For the page: a slot that did nothing in a step tells nothing, and was idle."""
        slots, first_ns = sum(self.slots.values()), min(self.busy_ns, default=to_ns)
        busy = [
            None
            if not slots or at_ns < first_ns
            else 100 * self.busy_ns.get(at_ns, 0) / (slots * min(step_ns, max(to_ns - at_ns, 1)))
            for at_ns in times
        ]
        told = [self.backlogs.get(at_ns) for at_ns in times]
        return shapes.QueueLine(
            name=name,
            slots=slots,
            busy_percent=[None if each is None else min(each, 100.0) for each in busy],
            wait_p95_ms=[quantile_ms(self.waits.get(at_ns, {}), 0.95) for at_ns in times],
            waiting=[None if one is None else one.waiting for one in told],
            dead=[None if one is None else one.dead_letters for one in told],
        )

    @property
    def weight(self) -> tuple[int, int]:
        """By which lines are chosen: what waits, then what is busy."""
        most = max((one.waiting for one in self.backlogs.values()), default=0)
        return most, sum(self.busy_ns.values())


def series(source: Source, asked: Asked) -> shapes.QueueSeries:
    """Queues and subscriptions over time, those first of which most waited."""
    seconds = step_seconds(asked, STEPS_WANTED)
    # The store is asked every 10 s.
    step_ns = int(max(seconds, 10) * 1e9)
    first_ns = asked.from_ns // step_ns * step_ns
    times = list(range(first_ns, asked.to_ns, step_ns))
    lines: dict[str, _Line] = {}
    for one in source.station_steps("queue", first_ns, asked.to_ns, step_ns):
        lines.setdefault(one.used.name.removesuffix(_SLOTS), _Line()).add(one)
    for backlog in backlogs_in(source, first_ns, asked.to_ns):
        line = lines.setdefault(backlog.queue, _Line())
        line.backlogs[backlog.at_ns // step_ns * step_ns] = backlog
    names = sorted(lines, key=lambda name: (*(-each for each in lines[name].weight), name))
    shown = names[: asked.whole("limit")]
    return shapes.QueueSeries(
        step_seconds=step_ns / 1e9,
        times_ms=[time / 1e6 for time in times],
        queues=[lines[name].shown(name, times, step_ns, asked.to_ns) for name in shown],
        queues_count=len(names),
        marks=marks_in(source, asked),
    )
