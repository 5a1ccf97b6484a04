"""Workers over time: how busy, how late, how large; those that use most, a line each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outgrow.dashboard import shapes
from outgrow.dashboard.calls import marks_in, step_seconds
from outgrow.telemetry import quantile_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from outgrow.dashboard.asking import Asked
    from outgrow.dashboard.source import Buckets, ProcessStep, Source, WorkerSum

# Two charts stand side by side.
STEPS_WANTED = 90


@dataclass
class _Used:
    """What the processes of one line used in one step."""

    covered_ns: float = 0.0
    busy_ns: float = 0.0
    memory_bytes: int = 0
    lags: Buckets = field(default_factory=dict[int, int])
    waits: Buckets = field(default_factory=dict[int, int])

    def add(self, one: ProcessStep) -> None:
        """Add a process; of several one after the other the last is added last."""
        covered_ns = one.seconds * 1e9
        used_ns = one.used.user_ns + one.used.system_ns
        self.covered_ns += covered_ns
        # What keeps the loop, or a core: threads of a WSGI app do not keep the loop.
        self.busy_ns += min(covered_ns, max(one.loop_busy_ns, used_ns))
        self.memory_bytes = one.used.memory_bytes
        _add(self.lags, one.used.loop_lags)
        _add(self.waits, one.used.gil_waits)

    @property
    def busy_percent(self) -> float | None:
        """Share of the time in which it was there."""
        return 100 * self.busy_ns / self.covered_ns if self.covered_ns else None


def _add(sums: Buckets, more: Buckets) -> None:
    for bucket, count in more.items():
        sums[bucket] = sums.get(bucket, 0) + count


def series(source: Source, asked: Asked) -> shapes.WorkerSeries:
    """Workers over time: a step in which one told nothing has no value."""
    seconds = step_seconds(asked, STEPS_WANTED)
    step_ns = int(seconds * 1e9)
    first_ns = asked.from_ns // step_ns * step_ns
    times = list(range(first_ns, asked.to_ns, step_ns))
    lines = _lines(source.workers(asked.from_ns, asked.to_ns))
    shown = list(lines)[: asked.whole("limit")]
    by_epoch = {one.epoch: (name, one.began_ns) for name in shown for one in lines[name]}
    names = sorted({one.name for name in shown for one in lines[name]})
    used: dict[tuple[str, int], _Used] = {}
    steps = source.processes(names, first_ns, asked.to_ns, step_ns)
    for one in sorted(_known(steps, by_epoch), key=lambda one: by_epoch[one.epoch][1]):
        used.setdefault((by_epoch[one.epoch][0], one.at_ns), _Used()).add(one)
    return shapes.WorkerSeries(
        step_seconds=seconds,
        times_ms=[time / 1e6 for time in times],
        workers=[_line(name, [used.get((name, time)) for time in times]) for name in shown],
        workers_count=len(lines),
        marks=marks_in(source, asked),
    )


def _known(steps: Iterable[ProcessStep], by_epoch: dict[str, tuple[str, int]]) -> list[ProcessStep]:
    return [one for one in steps if one.epoch in by_epoch]


def _lines(workers: Sequence[WorkerSum]) -> dict[str, list[WorkerSum]]:
    """The processes of each line, those that used most first; named by machine where needed."""
    has_one = len({one.machine for one in workers}) <= 1
    lines: dict[str, list[WorkerSum]] = {}
    for one in workers:
        name = one.name if has_one else f"{one.name} on {one.machine}"
        lines.setdefault(name, []).append(one)

    def used_ns(name: str) -> int:
        return sum(one.used.user_ns + one.used.system_ns for one in lines[name])

    return {name: lines[name] for name in sorted(lines, key=lambda name: (-used_ns(name), name))}


def _line(name: str, steps: Sequence[_Used | None]) -> shapes.WorkerLine:
    return shapes.WorkerLine(
        name=name,
        busy_percent=[one.busy_percent if one else None for one in steps],
        loop_lag_p99_ms=[quantile_ms(one.lags, 0.99) if one else None for one in steps],
        gil_wait_p99_ms=[quantile_ms(one.waits, 0.99) if one else None for one in steps],
        memory_bytes=[one.memory_bytes or None if one else None for one in steps],
    )
