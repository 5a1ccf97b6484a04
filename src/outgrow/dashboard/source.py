"""What the answers are made from: sums and records of a period, as the telemetry store has them.

All sums are of what happened between two moments of the wall clock, over all workers. Buckets are
those of telemetry's histogram.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from outgrow.telemetry import (
    Backlog,
    CallSum,
    FaultSum,
    GapSum,
    LogSearch,
    MarkSum,
    MetricSum,
    Page,
    ProcessStep,
    StationStep,
    StationSum,
    StepSum,
    TraceSearch,
    TraceSum,
    WorkerSum,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from outgrow.telemetry import LogRecord, MetricPoint, SpanRecord, StatementTotals

__all__ = [
    "Backlog",
    "Buckets",
    "CallSum",
    "FaultSum",
    "GapSum",
    "LogSearch",
    "MarkSum",
    "MetricSum",
    "Page",
    "ProcessStep",
    "Source",
    "StationStep",
    "StationSum",
    "StepSum",
    "TraceSearch",
    "TraceSum",
    "WorkerSum",
]

Buckets = dict[int, int]


class Source(Protocol):
    """Where the answers come from. Each method may be called from any thread."""

    def calls(self, from_ns: int, to_ns: int, /) -> Sequence[CallSum]:
        """All calls: of routes, of operations, of what lies outside."""
        ...

    def steps(self, callee: str, from_ns: int, to_ns: int, step_ns: int, /) -> Sequence[StepSum]:
        """One callee over time, all routes where it is empty; steps without calls may miss."""
        ...

    def exemplars(self, callee: str, from_ns: int, to_ns: int, limit: int, /) -> list[SpanRecord]:
        """Kept spans of a callee: of which trace, when, how long, how it ended, and why."""
        ...

    def statements(self, from_ns: int, to_ns: int, /) -> Sequence[StatementTotals]:
        """SQL statements, by database, fingerprint and caller."""
        ...

    def stations(self, from_ns: int, to_ns: int, /) -> Sequence[StationSum]:
        """Stations, by worker."""
        ...

    def station_steps(
        self, kind: str, from_ns: int, to_ns: int, step_ns: int, /
    ) -> Sequence[StationStep]:
        """Stations of one kind over time; a step in which one did nothing is missing."""
        ...

    def metric(self, name: str, from_ns: int, to_ns: int, limit: int, /) -> Sequence[MetricPoint]:
        """The newest points of a metric, oldest first."""
        ...

    def workers(self, from_ns: int, to_ns: int, /) -> Sequence[WorkerSum]:
        """Processes."""
        ...

    def processes(
        self, workers: Sequence[str], from_ns: int, to_ns: int, step_ns: int, /
    ) -> Sequence[ProcessStep]:
        """Processes of workers of these names over time."""
        ...

    def gaps(self, from_ns: int, to_ns: int, /) -> Sequence[GapSum]:
        """Times of which nothing is known."""
        ...

    def lost(self, from_ns: int, to_ns: int, /) -> Mapping[str, int]:
        """What could not be kept, by kind."""
        ...

    def traces(self, search: TraceSearch, from_ns: int, to_ns: int, /) -> Page[TraceSum]:
        """Kept traces, newest first."""
        ...

    def trace(self, trace_id: bytes, /) -> tuple[Sequence[SpanRecord], Sequence[LogRecord]]:
        """All that is kept of one trace."""
        ...

    def logs(self, search: LogSearch, from_ns: int, to_ns: int, /) -> Page[LogRecord]:
        """Lines of the log, newest first."""
        ...

    def faults(self, from_ns: int, to_ns: int, limit: int, /) -> Sequence[FaultSum]:
        """Exceptions by fingerprint, most frequent first."""
        ...

    def metrics(self, from_ns: int, to_ns: int, /) -> Sequence[MetricSum]:
        """Metrics that points were received of, by name and service."""
        ...

    def marks(self, from_ns: int, to_ns: int, /) -> Sequence[MarkSum]:
        """What was marked, oldest first."""
        ...

    def mark(self, at_ns: int, kind: str, text: str, /) -> None:
        """Mark a moment."""
        ...

    def began_ns(self) -> int:
        """Since when calls are kept."""
        ...
