"""Workers as the archive hears them, whose ledger says what it has to answer."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from outgrow.telemetry import Archive, LinkTotals, RouteTotals, StatementTotals, StationTotals
from outgrow.telemetry.histogram import bucket_of
from outgrow.telemetry.records import Arrivals, LogRecord, Origin, Report, SpanRecord

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SECOND_NS = 10**9
HOUR_NS = 3600 * SECOND_NS
DAY_NS = 24 * HOUR_NS
# 2026-11-24 09:00:00 UTC.
MORNING_NS = 1_795_510_800 * SECOND_NS
EVER = (0, 1 << 62)
WAIT_SECONDS = 15.0


class Clock:
    """A wall clock that stands still until it is moved."""

    def __init__(self, now_ns: int = MORNING_NS) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        """Now."""
        return self.now_ns

    def pass_seconds(self, seconds: float) -> None:
        """Move it; back as well."""
        self.now_ns += int(seconds * SECOND_NS)


def until(holds: Callable[[], bool], seconds: float = WAIT_SECONDS) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "that took too long"
        time.sleep(0.02)


def opened(folder: Path, clock: Clock, **settings: Any) -> Archive:
    """An archive without a thread: it writes when it is told to."""
    return Archive(folder, clock_ns=clock, **settings)


@dataclass
class Teller:
    """A worker with totals that only grow.

    Attributes:
        calls: Of its route, by now; all else follows from it.
    """

    clock: Clock
    worker: str = "front/1"
    epoch: str = "e1"
    calls: int = 0
    number: int = 0
    began_at_ns: int = 0
    more: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def origin(self) -> Origin:
        """Who it is."""
        return Origin(
            "shop",
            self.worker,
            self.epoch,
            group="front",
            machine="here",
            pid=7,
            began_at_ns=self.began_at_ns or MORNING_NS,
            labels={"commit": "abc"},
        )

    def work(self, calls: int) -> None:
        """Serve requests."""
        self.calls += calls

    def report(self, **more: Any) -> Report:
        """The next report, which says how the totals stand."""
        self.number += 1
        return Report(self.number, self.clock.now_ns, **totals(self.calls) | self.more | more)


def totals(calls: int) -> dict[str, Any]:
    """All totals of a worker that served so many requests."""
    buckets = [0] * 512
    buckets[bucket_of(5_000)] = calls
    return {
        "routes": [
            RouteTotals(
                "GET",
                "/tea",
                calls=calls,
                errors=calls // 3,
                duration_ns=calls * 1001,
                buckets={bucket_of(1001): calls - calls // 3, bucket_of(10**9): calls // 3},
            )
        ],
        "links": [
            LinkTotals("GET /tea", "Tea.brew", calls, duration_ns=5000 * calls, buckets=buckets)
        ],
        "stations": [
            StationTotals("loop", "loop", served=calls, busy_ns=calls * 7, waits={2: calls})
        ],
        "statements": [
            StatementTotals(
                *("sqlite:tea.db", "f1", "SELECT tea", "Tea.brew", ["tea"], []),
                calls=2 * calls,
                rows=calls,
                buckets={9: 2 * calls},
                per_parent={1: calls},
            )
        ],
        "arrivals": [Arrivals("GET /tea", parts=calls, total=calls, squares=3 * calls)],
    }


def span(number: int, at_ns: int, **more: Any) -> SpanRecord:
    """A span, the only one of its trace unless that is given."""
    known: dict[str, Any] = {
        "trace_id": number.to_bytes(16, "big"),
        "span_id": number.to_bytes(8, "big"),
        "parent_id": b"",
        "name": "GET /tea",
        "kind": 2,
        "at_ns": at_ns,
        "duration_ns": 1000 + number,
        "kept_for": "sampled",
    }
    return SpanRecord(**known | more)


def line(text: str, at_ns: int, **more: Any) -> LogRecord:
    """A line of a log."""
    return LogRecord(**{"at_ns": at_ns, "severity": 9, "text": text} | more)


def told(archive: Archive, from_ns: int = EVER[0], to_ns: int = EVER[1]) -> dict[str, Any]:
    """What the archive says of a period, in the shape of a ledger."""
    calls = {one.callee: one for one in archive.calls(from_ns, to_ns)}
    route, link = calls.get("GET /tea"), calls.get("Tea.brew")
    statements = archive.statements(from_ns, to_ns)
    return {
        "calls": route.calls if route else 0,
        "errors": route.errors if route else 0,
        "duration_ns": route.duration_ns if route else 0,
        "buckets": route.buckets if route else {},
        "link buckets": link.buckets if link else {},
        "served": sum(one.used.served for one in archive.stations(from_ns, to_ns)),
        "rows": sum(one.rows for one in statements),
        "statement buckets": sum(sum(one.buckets.values()) for one in statements),
        "squares": sum(one.squares for one in archive.arrivals(from_ns, to_ns)),
    }


def ledger(calls: int) -> dict[str, Any]:
    """What it has to say where so many requests were served."""
    slow = calls // 3
    buckets = {bucket_of(1001): calls - slow, bucket_of(10**9): slow}
    return {
        "calls": calls,
        "errors": slow,
        "duration_ns": calls * 1001,
        "buckets": {bucket: count for bucket, count in buckets.items() if count},
        "link buckets": {bucket_of(5_000): calls} if calls else {},
        "served": calls,
        "rows": calls,
        "statement buckets": 2 * calls,
        "squares": 3 * calls,
    }
