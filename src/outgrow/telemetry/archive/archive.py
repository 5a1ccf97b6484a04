"""The archive of telemetry: hears workers and others, keeps what they tell, and answers.

Counts are exact: what is read is what was told, whatever was lost or restarted in between. What is
kept one by one has a limit of days and of bytes, and what finds no room is counted.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import threading
import time
from typing import TYPE_CHECKING

import duckdb

from outgrow.errors import FolderError
from outgrow.telemetry.archive import history, kept, picking, summing, traces
from outgrow.telemetry.archive.answers import Health
from outgrow.telemetry.archive.days import LOG_BYTES_MAX, BrokenDayError, Days, name_of
from outgrow.telemetry.archive.intake import Intake
from outgrow.telemetry.archive.reading import Reader
from outgrow.telemetry.archive.slots import Slots
from outgrow.telemetry.archive.totals import Totals, TotalsFile
from outgrow.telemetry.archive.waiting import Waiting
from outgrow.telemetry.archive.writing import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from outgrow.telemetry.archive.answers import (
        ArrivalSum,
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
        WindowSum,
        WorkerSum,
    )
    from outgrow.telemetry.records import (
        LogRecord,
        MetricPoint,
        Origin,
        Report,
        SpanRecord,
        StatementTotals,
    )

    OnKept = Callable[[Sequence[SpanRecord], Sequence[LogRecord]], None]

DAYS_MAX = 8
BYTES_MAX = 4 * 1024**3
WRITE_SECONDS = 1.0
TRIM_SECONDS = 10.0
# How long another observer, which is about to end, may still hold the folder.
LOCK_SECONDS_MAX = 10.0

_log = logging.getLogger(__name__)


class Archive:
    """Keeps telemetry in a folder; each method may be called from any thread.

    Args:
        folder: Made if it is not there. It has one archive at a time.
        clock_ns: Wall clock.
        days_max: Files of so many days are kept, with today's.
        bytes_max: The folder is kept below it.
        keeps_records: Spans and lines are kept, and not only told to `on_kept`.
        on_kept: Is told of spans and lines that are kept, in the thread that brought them.

    Raises:
        FolderError: Another archive has the folder, or it can't be used.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock_ns: Callable[[], int] = time.time_ns,
        days_max: int = DAYS_MAX,
        bytes_max: int = BYTES_MAX,
        keeps_records: bool = True,
        on_kept: OnKept | None = None,
    ) -> None:
        self._clock_ns = clock_ns
        self._days_max = max(1, days_max)
        self._bytes_max = bytes_max
        self._on_kept = on_kept
        self._guard = contextlib.ExitStack()
        self._guard.enter_context(_locked(folder))
        self._days = Days(folder, min(LOG_BYTES_MAX, bytes_max // 16))
        lock = threading.Lock()
        self._lock = lock
        self._slots, self._waiting, self._totals = Slots(), Waiting(), Totals()
        file = TotalsFile(folder)
        before = file.read(self._is_written)
        self._totals.restore(before.epochs)
        self._slots.restore(before.rest)
        self._intake = Intake(
            clock_ns,
            self._days_max,
            lock=lock,
            slots=self._slots,
            waiting=self._waiting,
            totals=self._totals,
            keeps_records=keeps_records,
        )
        self._intake.resume()
        self._reader = Reader(self._days, lock, self._slots)
        self._writer = Writer(
            folder,
            self._days,
            lock=lock,
            slots=self._slots,
            waiting=self._waiting,
            totals=self._totals,
            file=file,
            number=before.number,
        )
        self._began: tuple[int, int] | None = None
        self._wake = threading.Event()
        self._has_left = threading.Event()
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def _is_written(self, day: int, number: int) -> bool:
        try:
            return self._days.is_written(day, number)
        except BrokenDayError:
            return False
        except duckdb.Error as error:
            self._days.close()
            self._guard.close()
            text = f"the archive's file of {name_of(day)} can not be opened: {error}"
            raise FolderError(text) from error

    def start(self) -> None:
        """Write each second from now on, in a thread."""
        assert self._thread is None, "it has been started"
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        trim_at = 0.0
        while not self._is_closed:
            try:
                self.write()
                if time.monotonic() >= trim_at:
                    self.trim()
                    trim_at = time.monotonic() + TRIM_SECONDS
            except Exception:
                # Whatever it was, the next second may fare better.
                _log.exception("the archive of telemetry could not be written")
            self._wake.wait(WRITE_SECONDS)
            self._wake.clear()

    def write(self, *, is_all: bool = False) -> bool:
        """Write what waits now, and see which workers are lost.

        Args:
            is_all: Write the window under way as well.

        Returns:
            Whether all of it could be written.
        """
        self._intake.tick()
        has_left = self._has_left.is_set()
        self._has_left.clear()
        is_written = self._writer.write(self._clock_ns(), is_all=is_all or has_left)
        if has_left and not is_written:
            self._has_left.set()
        return is_written

    def trim(self) -> list[str]:
        """Delete what is older than it may be, or more; returns the days that were deleted."""
        deleted = self._writer.trim(self._clock_ns(), self._days_max, self._bytes_max)
        return [name_of(day) for day in deleted]

    def close(self) -> None:
        """Write all that waits, and close the files."""
        if self._is_closed:
            return
        self._is_closed = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self.write(is_all=True)
        self._writer.close()
        self._days.close()
        self._guard.close()

    # What is told.

    def hear(self, origin: Origin) -> None:
        """A worker is connected, and will report."""
        self._intake.hear(origin)

    def take(self, origin: Origin, report: Report) -> None:
        """Take a worker's report."""
        self._intake.take(origin, report)
        self._tell(report.spans, report.logs)

    def left(self, origin: Origin) -> None:
        """A worker's connection ended. Unless it said so, or comes back in 10 s, it is lost.

        What it told is written at once: nobody would tell it again if this process were killed.
        """
        self._intake.left(origin)
        self._has_left.set()
        self._wake.set()

    def keep(
        self,
        *,
        spans: Sequence[SpanRecord] = (),
        logs: Sequence[LogRecord] = (),
        points: Sequence[MetricPoint] = (),
    ) -> None:
        """Keep what others sent: spans, lines of logs, points of metrics."""
        self._intake.keep(spans, logs, points)
        self._tell(spans, logs)

    def lose(self, what: str, count: int) -> None:
        """Count what was sent and is not kept, beside what finds no room here."""
        self._intake.lose(what, count)

    def mark(self, at_ns: int, kind: str, text: str, /) -> None:
        """Mark a moment; it is read as soon as it is written, which is begun at once."""
        self._intake.mark(at_ns, kind, text)
        self._wake.set()

    def _tell(self, spans: Sequence[SpanRecord], logs: Sequence[LogRecord]) -> None:
        if self._on_kept is None or not (spans or logs):
            return
        try:
            self._on_kept(spans, logs)
        except Exception:
            _log.exception("what is kept could not be passed on")

    # What is answered.

    def calls(self, from_ns: int, to_ns: int, /) -> list[CallSum]:
        """All calls: of routes, of operations, of what lies outside."""
        return summing.calls(self._reader, from_ns, to_ns)

    def steps(self, callee: str, from_ns: int, to_ns: int, step_ns: int, /) -> list[StepSum]:
        """One callee over time, all routes where it is empty; steps without calls may miss."""
        return summing.steps(self._reader, callee, from_ns, to_ns, step_ns)

    def exemplars(self, callee: str, from_ns: int, to_ns: int, limit: int, /) -> list[SpanRecord]:
        """Kept spans of a callee, spread over the period: of which trace, when, how long, why."""
        return picking.exemplars(self._reader, callee, from_ns, to_ns, limit)

    def statements(self, from_ns: int, to_ns: int, /) -> list[StatementTotals]:
        """SQL statements, by database, fingerprint and caller."""
        with self._lock:
            texts = dict(self._totals.texts)
        return summing.statements(self._reader, texts, from_ns, to_ns)

    def statement_steps(
        self, fingerprints: Sequence[str], from_ns: int, to_ns: int, step_ns: int, /
    ) -> dict[int, list[StatementTotals]]:
        """What statements of these fingerprints did in each step, by its beginning."""
        with self._lock:
            texts = dict(self._totals.texts)
        return summing.statement_steps(self._reader, texts, fingerprints, from_ns, to_ns, step_ns)

    def stations(self, from_ns: int, to_ns: int, /) -> list[StationSum]:
        """Stations, by worker."""
        return summing.stations(self._reader, from_ns, to_ns)

    def station_steps(
        self, kind: str, from_ns: int, to_ns: int, step_ns: int, /
    ) -> list[StationStep]:
        """Stations of one kind over time, oldest first."""
        return summing.station_steps(self._reader, kind, from_ns, to_ns, step_ns)

    def workers(self, from_ns: int, to_ns: int, /) -> list[WorkerSum]:
        """Processes."""
        with self._lock:
            epochs = dict(self._totals.epochs)
        return summing.workers(self._reader, epochs, from_ns, to_ns)

    def processes(
        self, workers: Sequence[str], from_ns: int, to_ns: int, step_ns: int, /
    ) -> list[ProcessStep]:
        """Processes of workers of these names over time."""
        return summing.processes(self._reader, workers, from_ns, to_ns, step_ns)

    def arrivals(self, from_ns: int, to_ns: int, /) -> list[ArrivalSum]:
        """How evenly requests came, by operation."""
        return summing.arrivals(self._reader, from_ns, to_ns)

    def windows(self, from_ns: int, to_ns: int, /) -> list[WindowSum]:
        """Windows of 10 s one by one, oldest first."""
        return summing.windows(self._reader, from_ns, to_ns)

    def days(self, from_ns: int, to_ns: int, callers: Sequence[str], /) -> list[WindowSum]:
        """What was counted on each day of UTC, of requests and calls of some, no histograms."""
        return history.days(self._reader, from_ns, to_ns, callers)

    def pace(self, from_ns: int, to_ns: int, step_ns: int, /) -> list[StepSum]:
        """How many requests came in each step, oldest first; steps without any may miss."""
        return history.pace(self._reader, from_ns, to_ns, step_ns)

    def gaps(self, from_ns: int, to_ns: int, /) -> list[GapSum]:
        """Times of which workers told nothing, oldest first."""
        return kept.gaps(self._reader, from_ns, to_ns)

    def lost(self, from_ns: int, to_ns: int, /) -> Mapping[str, int]:
        """What could not be kept, by workers or here, by kind."""
        return summing.lost(self._reader, from_ns, to_ns)

    def traces(self, search: TraceSearch, from_ns: int, to_ns: int, /) -> Page[TraceSum]:
        """Kept traces, newest first."""
        return traces.traces(self._reader, search, from_ns, to_ns)

    def trace(self, trace_id: bytes, /) -> tuple[list[SpanRecord], list[LogRecord]]:
        """All that is kept of one trace."""
        return traces.trace(self._reader, trace_id)

    def newest_spans(self, from_ns: int, to_ns: int, limit: int, /) -> list[SpanRecord]:
        """The spans of the newest traces of a period, at most so many, few with each name."""
        return traces.newest_spans(self._reader, from_ns, to_ns, limit)

    def logs(self, search: LogSearch, from_ns: int, to_ns: int, /) -> Page[LogRecord]:
        """Lines of the log, newest first."""
        return kept.logs(self._reader, search, from_ns, to_ns)

    def faults(self, from_ns: int, to_ns: int, limit: int, /) -> list[FaultSum]:
        """Exceptions by fingerprint, most frequent first."""
        return kept.faults(self._reader, from_ns, to_ns, limit)

    def marks(self, from_ns: int, to_ns: int, /) -> list[MarkSum]:
        """What was marked, oldest first."""
        return kept.marks(self._reader, from_ns, to_ns)

    def metrics(self, from_ns: int, to_ns: int, /) -> list[MetricSum]:
        """Metrics that points were received of, by name and service."""
        return kept.metrics(self._reader, from_ns, to_ns)

    def metric(self, name: str, from_ns: int, to_ns: int, limit: int, /) -> list[MetricPoint]:
        """The newest points of a metric, oldest first."""
        return kept.points(self._reader, name, from_ns, to_ns, limit)

    def began_ns(self) -> int:
        """Since when calls are kept."""
        days = self._days.there()
        if days and (self._began is None or self._began[0] != days[0]):
            found = summing.began_ns(self._reader, days[0])
            self._began = None if found is None else (days[0], found)
        if days and self._began is not None:
            return self._began[1]
        with self._lock:
            return self._slots.first_ns() or self._clock_ns()

    def health(self) -> Health:
        """How the archive itself fares."""
        days = self._days.there()
        with self._lock:
            waiting, dropped = self._waiting.count, dict(self._waiting.dropped)
        return Health(
            days=[name_of(day) for day in days],
            kept_bytes=self._days.folder_bytes(),
            waiting=waiting,
            problem=self._writer.problem,
            dropped=dropped,
            set_aside=list(self._days.set_aside),
        )


@contextlib.contextmanager
def _locked(folder: Path) -> Generator[None]:
    """The folder, which has one archive at a time."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (folder / "archive.lock").open("w")
    except OSError as error:
        raise FolderError(f"{folder} can not hold the archive of telemetry: {error}") from error
    with file:
        end = time.monotonic() + LOCK_SECONDS_MAX
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() >= end:
                    raise FolderError(f"another observer keeps telemetry in {folder}") from error
                time.sleep(0.05)
        yield
