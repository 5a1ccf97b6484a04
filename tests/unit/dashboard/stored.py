"""A source of telemetry in memory: what it is given is what it knows, whatever the period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from outgrow.dashboard import source
from outgrow.telemetry import WindowSum
from outgrow.telemetry.histogram import bucket_of
from outgrow.telemetry.records import LogRecord, MetricPoint, SpanRecord, StatementTotals

MS_NS = 1_000_000
SECOND_NS = 10**9


def took(*durations_ms: float) -> dict[int, int]:
    """Buckets of calls that took so long."""
    buckets: dict[int, int] = {}
    for duration in durations_ms:
        bucket = bucket_of(int(duration * MS_NS))
        buckets[bucket] = buckets.get(bucket, 0) + 1
    return buckets


def called(caller: str, callee: str, *durations_ms: float, **more: Any) -> source.CallSum:
    """Calls that took so long."""
    return source.CallSum(
        caller=caller,
        callee=callee,
        calls=len(durations_ms),
        duration_ns=int(sum(durations_ms) * MS_NS),
        buckets=took(*durations_ms),
        **more,
    )


@dataclass
class Stored:
    """What is known."""

    sums: list[source.CallSum] = field(default_factory=list)
    series: list[source.StepSum] = field(default_factory=list)
    spans: list[SpanRecord] = field(default_factory=list)
    sql: list[StatementTotals] = field(default_factory=list)
    used: list[source.StationSum] = field(default_factory=list)
    stepped: list[source.StationStep] = field(default_factory=list)
    points: list[MetricPoint] = field(default_factory=list)
    crew: list[source.WorkerSum] = field(default_factory=list)
    told: list[source.ProcessStep] = field(default_factory=list)
    holes: list[source.GapSum] = field(default_factory=list)
    found: list[source.TraceSum] = field(default_factory=list)
    lines: list[LogRecord] = field(default_factory=list)
    failed: list[source.FaultSum] = field(default_factory=list)
    marked: list[source.MarkSum] = field(default_factory=list)
    searches: list[Any] = field(default_factory=list)

    def calls(self, from_ns: int, to_ns: int) -> list[source.CallSum]:
        return self.sums

    def steps(self, callee: str, from_ns: int, to_ns: int, step_ns: int) -> list[source.StepSum]:
        return [one for one in self.series if from_ns <= one.at_ns < to_ns]

    def exemplars(self, callee: str, from_ns: int, to_ns: int, limit: int) -> list[SpanRecord]:
        return self.spans[:limit]

    def statements(self, from_ns: int, to_ns: int) -> list[StatementTotals]:
        return self.sql

    def stations(self, from_ns: int, to_ns: int) -> list[source.StationSum]:
        return self.used

    def station_steps(
        self, kind: str, from_ns: int, to_ns: int, step_ns: int
    ) -> list[source.StationStep]:
        found = [one for one in self.stepped if one.used.kind == kind]
        return [one for one in found if from_ns <= one.at_ns < to_ns]

    def metric(self, name: str, from_ns: int, to_ns: int, limit: int) -> list[MetricPoint]:
        found = [one for one in self.points if one.name == name and from_ns <= one.at_ns < to_ns]
        return found[-limit:]

    def metrics(self, from_ns: int, to_ns: int) -> list[source.MetricSum]:
        known: dict[tuple[str, str], list[MetricPoint]] = {}
        for one in self.points:
            known.setdefault((one.name, one.service), []).append(one)
        return [
            source.MetricSum(name=name, service=service, points=len(points), last_ns=last.at_ns)
            for (name, service), points in known.items()
            for last in points[-1:]
        ]

    def windows(self, from_ns: int, to_ns: int) -> list[WindowSum]:
        return []

    def workers(self, from_ns: int, to_ns: int) -> list[source.WorkerSum]:
        return self.crew

    def processes(
        self, workers: Sequence[str], from_ns: int, to_ns: int, step_ns: int
    ) -> list[source.ProcessStep]:
        return [one for one in self.told if one.worker in workers]

    def gaps(self, from_ns: int, to_ns: int) -> list[source.GapSum]:
        return self.holes

    def lost(self, from_ns: int, to_ns: int) -> dict[str, int]:
        return {"spans": 3}

    def traces(
        self, search: source.TraceSearch, from_ns: int, to_ns: int
    ) -> source.Page[source.TraceSum]:
        self.searches.append((search, from_ns, to_ns))
        return source.Page(self.found[: search.limit])

    def trace(self, trace_id: bytes) -> tuple[list[SpanRecord], list[LogRecord]]:
        return [one for one in self.spans if one.trace_id == trace_id], self.lines

    def days(self, from_ns: int, to_ns: int, callers: Sequence[str]) -> list[WindowSum]:
        return []

    def pace(self, from_ns: int, to_ns: int, step_ns: int) -> list[source.StepSum]:
        return []

    def newest_spans(self, from_ns: int, to_ns: int, limit: int) -> list[SpanRecord]:
        return [one for one in self.spans if from_ns <= one.at_ns < to_ns]

    def logs(self, search: source.LogSearch, from_ns: int, to_ns: int) -> source.Page[LogRecord]:
        self.searches.append((search, from_ns, to_ns))
        page = source.Page(self.lines[: search.limit])
        page.before_ns = page[-1].at_ns if page else None
        return page

    def faults(self, from_ns: int, to_ns: int, limit: int) -> list[source.FaultSum]:
        return self.failed[:limit]

    def marks(self, from_ns: int, to_ns: int) -> list[source.MarkSum]:
        return self.marked

    def mark(self, at_ns: int, kind: str, text: str) -> None:
        self.marked.append(source.MarkSum(at_ns=at_ns, kind=kind, text=text))

    def began_ns(self) -> int:
        return 0
