"""The archive of telemetry with a week in it: ingest, size, opening, each question of the page.

Ingest is measured on reports as workers send them. The week, ten million spans of 60 operations
with counts of every window of 10 s, is then written by the engine itself into the same tables, as
that is quicker; and the archive is asked what the page's API asks, of random operations and
moments. `BENCH_QUICK=1` is a small form. Times are told as CPU time as well, which other load of
the machine disturbs less.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from benchmarks.archive_opening import measure_opening
from benchmarks.archive_week import (
    DAY_NS,
    OPERATIONS,
    ROUTES,
    SECOND_NS,
    STATEMENTS_COUNT,
    STATIONS_COUNT,
    TRACE_SPANS,
    statements_of_day,
)
from benchmarks.harness import Measurements, publish
from outgrow.telemetry import (
    Archive,
    LinkTotals,
    LogSearch,
    RouteTotals,
    StatementTotals,
    StationTotals,
    TraceSearch,
    bucket_of,
)
from outgrow.telemetry.archive.counting import FOREVER_NS
from outgrow.telemetry.archive.days import Days
from outgrow.telemetry.archive.picking import pick
from outgrow.telemetry.archive.rows import trace_bytes
from outgrow.telemetry.records import LogRecord, Origin, Report, SpanRecord

if TYPE_CHECKING:
    from collections.abc import Callable

SPANS = 10_000_000
TOLD_SPANS = 200_000
DAYS = 7
LOGS_SHARE = 0.05
ASKED = 40
REPORTS = 100
# 2026-11-17 00:00 UTC.
BEGIN_NS = 1_794_873_600 * SECOND_NS
_TARGET_MS, _TARGET_BYTES, _TARGET_OPENING_SECONDS = 50, 60, 1.0


def run(rounds: int, seconds: float) -> None:
    """Fill archives, and ask; rounds and seconds are those of other benchmarks."""
    is_quick = bool(os.environ.get("BENCH_QUICK"))
    spans, told = (SPANS // 100, TOLD_SPANS // 10) if is_quick else (SPANS, TOLD_SPANS)
    name = "archive_quick" if is_quick else "archive"
    found = Measurements(name, reference="", tools={"duckdb": duckdb.__version__})
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as folder:
        Telling(Path(folder) / "told", told).fill(found)
        days = 2 if is_quick else DAYS
        week = Week(Path(folder) / "week", spans, days)
        week.write()
        week.weigh(found)
        week.open_and_ask(found, 10 if is_quick else ASKED)
        measure_opening(found, "observer of nothing", Path(folder) / "empty")
        whole_ns = (week.now_ns - days * DAY_NS, week.now_ns)
        measure_opening(found, "observer of the week", week.folder, whole_ns)
        week.trim(found)
    publish(found)


def _route(number: int) -> str:
    return f"GET /things/{number}"


def _operation(number: int) -> str:
    return f"Service{number % 6}.operation_{number}"


@dataclass
class Telling:
    """A worker that reports each 10 s, and an archive that it is told to.

    Attributes:
        folder: Of the archive.
        spans: How many there are in all.
    """

    folder: Path
    spans: int
    now_ns: int = BEGIN_NS
    random: random.Random = field(default_factory=lambda: random.Random(7))
    origin: Origin = field(
        default_factory=lambda: Origin("shop", "front/1", "e1", began_at_ns=BEGIN_NS)
    )

    def fill(self, found: Measurements) -> None:
        """Tell it all, and measure what the archive takes for that."""
        archive = Archive(self.folder, clock_ns=lambda: self.now_ns)
        rows = wall_ns = cpu_ns = 0
        for number in range(1, REPORTS + 1):
            self.now_ns += 10 * SECOND_NS
            spans = self._spans(self.spans // REPORTS, 10 * SECOND_NS)
            logs = self._logs(spans)
            rows += len(spans) + len(logs)
            report = Report(number, self.now_ns, spans=spans, logs=logs, **_totals(number))
            wall, cpu = time.perf_counter_ns(), time.process_time_ns()
            archive.take(self.origin, report)
            archive.write()
            wall_ns += time.perf_counter_ns() - wall
            cpu_ns += time.process_time_ns() - cpu
        archive.close()
        found.add("outgrow", "ingest: rows/s", rows / wall_ns * 1e9, "rows/s")
        found.add("outgrow", "ingest: rows a CPU second", rows / cpu_ns * 1e9, "rows/s")

    def _spans(self, count: int, step_ns: int) -> list[SpanRecord]:
        made: list[SpanRecord] = []
        pick = self.random
        while len(made) < count:
            trace = pick.randbytes(16)
            at_ns = self.now_ns - pick.randrange(step_ns)
            route = pick.randrange(ROUTES)
            first, parent = pick.randbytes(8), b""
            is_error = pick.random() < 0.01
            for place in range(TRACE_SPANS):
                name = _route(route) if not place else _operation(route * 2 + place % 2)
                made.append(
                    SpanRecord(
                        *(trace, first if not place else pick.randbytes(8), parent, name),
                        *(2 if not place else 1, at_ns + place * 50_000),
                        int(pick.lognormvariate(15, 1)),
                        status=2 if is_error else 0,
                        message="ValueError: no such thing" if is_error and place else "",
                        service="shop" if not place else name.partition(".")[0],
                        worker="front/1",
                        kept_for="error" if is_error else "sampled",
                        attributes={
                            "http.response.status_code": 500 if is_error else 200,
                            "url.path": f"/things/{route}/{pick.randrange(100_000)}",
                            "customer": pick.randrange(5_000),
                            "server.address": "shop.example",
                        },
                    )
                )
                parent = first
        return made

    def _logs(self, spans: list[SpanRecord]) -> list[LogRecord]:
        made: list[LogRecord] = []
        for one in spans:
            if self.random.random() < LOGS_SHARE:
                is_error = one.status == 2
                made.append(
                    LogRecord(
                        *(one.at_ns, 17 if is_error else 9),
                        f"thing {self.random.randrange(10**6)} of {one.name} was looked at",
                        logger="shop.things",
                        trace_id=one.trace_id,
                        span_id=one.span_id,
                        exception="builtins.ValueError" if is_error else "",
                        fingerprint=f"f{hash(one.name) % 20}" if is_error else "",
                    )
                )
        return made


@dataclass
class Week:
    """An archive with a week in it.

    Attributes:
        folder: Where it is.
        spans: How many it has.
        days: Over how long.
    """

    folder: Path
    spans: int
    days: int
    traces: list[bytes] = field(default_factory=list[bytes])
    random: random.Random = field(default_factory=lambda: random.Random(7))

    @property
    def now_ns(self) -> int:
        """The end of the week."""
        return BEGIN_NS + self.days * DAY_NS

    def write(self) -> None:
        """Write the files, one after the other."""
        self.folder.mkdir()
        files = Days(self.folder)
        first = BEGIN_NS // DAY_NS
        for day in range(first, first + self.days):
            database = files.opened(day)
            with files.use() as cursor:
                for sql in statements_of_day(database, day, self.spans // self.days // TRACE_SPANS):
                    cursor.execute(sql)
                pick(cursor, database, 0, FOREVER_NS)
                few = f"SELECT trace_high, trace_low FROM {database}.traces USING SAMPLE 200"
                found = cursor.execute(few).fetchall()
            self.traces += [trace_bytes(high, low) for high, low in found]
            files.tidy(day, is_now=True)
        files.close()

    def weigh(self, found: Measurements) -> None:
        """Measure what a span takes, with its share of the list of traces, and the whole."""
        held: dict[str, int] = {}
        for path in sorted(self.folder.glob("*.duckdb")):
            with duckdb.connect(str(path), read_only=True) as file:
                for table in ("spans", "traces", "logs"):
                    sql = f"SELECT count(DISTINCT block_id) FROM pragma_storage_info('{table}')"
                    (blocks,) = file.execute(sql).fetchone() or (0,)
                    (size,) = file.execute(
                        "SELECT block_size FROM pragma_database_size()"
                    ).fetchone() or (0,)
                    held[table] = held.get(table, 0) + blocks * size
        found.add("outgrow", "size: a span", (held["spans"] + held["traces"]) / self.spans, "B")
        found.add("outgrow", "size: folder", self._size_bytes() / 1024**2, "MiB")

    def open_and_ask(self, found: Measurements, times: int) -> None:
        """Measure how long it takes to open, and to answer."""
        begun = time.perf_counter()
        archive = Archive(self.folder, clock_ns=lambda: self.now_ns, bytes_max=1 << 40, days_max=30)
        opened = time.perf_counter() - begun
        archive.calls(self.now_ns - 10 * SECOND_NS, self.now_ns)
        archive.workers(self.now_ns - 10 * SECOND_NS, self.now_ns)
        first = time.perf_counter() - begun
        found.add("outgrow", "opening: the archive", opened * 1e3, "ms")
        found.add("outgrow", "opening: its first page", first * 1e3, "ms")
        slow: list[str] = []
        for name, ask in self._questions(archive).items():
            ask()
            took: list[float] = []
            cpu_ns = time.process_time_ns()
            for _ in range(times):
                begun = time.perf_counter()
                ask()
                took.append((time.perf_counter() - begun) * 1e3)
            cpu_ms = (time.process_time_ns() - cpu_ns) / times / 1e6
            found.add("outgrow", f"{name}: CPU", cpu_ms, "ms")
            took.sort()
            p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
            found.add("outgrow", f"{name}: p50", took[len(took) // 2], "ms")
            found.add("outgrow", f"{name}: p99", p99, "ms")
            if p99 > _TARGET_MS:
                slow.append(f"{name} ({p99:.0f} ms)")
        archive.close()
        print(f"\nabove {_TARGET_MS} ms at p99: {', '.join(slow) or 'none'}")

    def trim(self, found: Measurements) -> None:
        """Allow half of what there is, and measure what is left and how long that takes."""
        allowed = self._size_bytes() // 2
        archive = Archive(self.folder, clock_ns=lambda: self.now_ns, bytes_max=allowed, days_max=30)
        begun = time.perf_counter()
        deleted = archive.trim()
        took = time.perf_counter() - begun
        left = self._size_bytes()
        assert left < allowed, f"{left} bytes are left, and {allowed} are allowed"
        asked_ns = (self.now_ns - DAY_NS, self.now_ns)
        assert archive.calls(*asked_ns), "what is left can be read"
        archive.close()
        found.add("outgrow", "retention: allowed", allowed / 1024**2, "MiB")
        found.add("outgrow", "retention: left", left / 1024**2, "MiB")
        found.add("outgrow", "retention: days deleted", len(deleted), "days")
        found.add("outgrow", "retention: took", took * 1e3, "ms")

    def _size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.folder.iterdir())

    def _questions(self, archive: Archive) -> dict[str, Callable[[], Any]]:
        """What the API asks: the Source methods that its answers call, over usual periods."""
        hour, week = 3600 * SECOND_NS, self.days * DAY_NS
        asked: dict[str, Callable[[], Any]] = {}
        for label, length_ns, step in (
            *(("10 s", 10 * SECOND_NS, 1), ("15 min", hour // 4, 5), ("1 h", hour, 20)),
            *(("24 h", DAY_NS, 600), ("week", week, 3600)),
        ):
            asked |= self._on_sums(archive, label, length_ns, step * SECOND_NS)
        for label, length_ns in (("1 h", hour), ("week", week)):
            asked |= self._on_records(archive, label, length_ns)
        asked["a trace"] = lambda: archive.trace(self.random.choice(self.traces))
        asked["objective"] = lambda: archive.steps(self._name(), *self._last(week), week)
        return asked

    def _last(self, length_ns: int) -> tuple[int, int]:
        back_ns = self.random.randrange(1800 * SECOND_NS)
        return self.now_ns - back_ns - length_ns, self.now_ns - back_ns

    def _name(self) -> str:
        if self.random.random() < 0.5:
            return _route(self.random.randrange(ROUTES))
        return _operation(self.random.randrange(OPERATIONS))

    def _on_sums(
        self, archive: Archive, label: str, length_ns: int, step_ns: int
    ) -> dict[str, Callable[[], Any]]:
        def last() -> tuple[int, int]:
            return self._last(length_ns)

        return {
            f"calls {label}": lambda: archive.calls(*last()),
            f"steps of one {label}": lambda: archive.steps(self._name(), *last(), step_ns),
            f"steps of all {label}": lambda: archive.steps("", *last(), step_ns),
            f"statements {label}": lambda: archive.statements(*last()),
            f"stations {label}": lambda: archive.stations(*last()),
            f"workers {label}": lambda: archive.workers(*last()),
            f"workers over time {label}": lambda: archive.processes(
                ["front/0", "front/1", "front/2", "front/3"], *last(), 2 * step_ns
            ),
        }

    def _on_records(
        self, archive: Archive, label: str, length_ns: int
    ) -> dict[str, Callable[[], Any]]:
        pick = self.random

        def last() -> tuple[int, int]:
            return self._last(length_ns)

        def traces(**search: Any) -> Any:
            return archive.traces(TraceSearch(**search), *last())

        def logs(**search: Any) -> Any:
            return archive.logs(LogSearch(**search), *last())

        return {
            f"exemplars {label}": lambda: archive.exemplars(self._name(), *last(), 200),
            f"traces {label}": traces,
            f"newest spans {label}": lambda: archive.newest_spans(*last(), 200),
            f"traces of one {label}": lambda: traces(operation=self._name()),
            f"traces with errors {label}": lambda: traces(only_errors=True),
            f"slow traces {label}": lambda: traces(operation=self._name(), min_ns=80_000_000),
            f"traces by text {label}": lambda: traces(text=f"/{pick.randrange(100_000)}"),
            f"logs {label}": logs,
            f"logs by text {label}": lambda: logs(text=f"thing {pick.randrange(10**6)}"),
            f"logs of errors {label}": lambda: logs(severity_min=17),
            f"logs of a trace {label}": lambda: logs(trace_id=pick.choice(self.traces)),
            f"faults {label}": lambda: archive.faults(*last(), 50),
            f"lost {label}": lambda: archive.lost(*last()),
            f"gaps {label}": lambda: archive.gaps(*last()),
            f"marks {label}": lambda: archive.marks(*last()),
        }


def _totals(number: int) -> dict[str, Any]:
    """Totals after so many reports: all keys have grown, over some 20 buckets."""
    calls = number * 50
    spread = {bucket_of(int(10**6 * 1.2**step)): number * (1 + step % 3) for step in range(20)}
    listed = [0] * 512
    for bucket, count in spread.items():
        listed[bucket] = count
    return {
        "routes": [
            RouteTotals("GET", f"/things/{n}", calls, duration_ns=calls * 5_000_000, buckets=spread)
            for n in range(ROUTES)
        ],
        "links": [
            LinkTotals(
                _route(n // 2), _operation(n), calls, duration_ns=calls * 3_000_000, buckets=listed
            )
            for n in range(OPERATIONS)
        ],
        "statements": [
            StatementTotals(
                *("postgresql://db/shop", f"f{n:016x}", f"SELECT {n}", _operation(n), ["things"]),
                calls=calls,
                rows=calls,
                duration_ns=calls * 10**6,
                buckets=spread,
                per_parent={0: calls},
            )
            for n in range(STATEMENTS_COUNT)
        ],
        "stations": [
            StationTotals(f"pool {n}", "pool", 10, calls, busy_ns=calls * 10**6, waits=spread)
            for n in range(STATIONS_COUNT)
        ],
    }
