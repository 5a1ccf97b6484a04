"""What the archive hears: reports of workers, and spans, lines and points from others.

Here is decided what counts as a gap and when a silent worker is lost; nothing waits for a disk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from outgrow.telemetry.archive.days import DAY_NS
from outgrow.telemetry.archive.kinds import LOSSES, Count, Key, Kind, named
from outgrow.telemetry.archive.rows import TEXT_CHARACTERS_MAX, log_row, point_row, span_row

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from outgrow.telemetry.archive.rows import Row
    from outgrow.telemetry.archive.slots import Slots
    from outgrow.telemetry.archive.totals import Epoch, Totals
    from outgrow.telemetry.archive.waiting import Waiting
    from outgrow.telemetry.records import LogRecord, MetricPoint, Origin, Report, SpanRecord

SECOND_NS = 10**9
# Workers report each second; so long without a report is a gap.
GAP_NS = 5 * SECOND_NS
# A worker whose connection ended has so long to come back, one that is silent so long to speak.
GRACE_NS = 10 * SECOND_NS
SILENT_NS = 30 * SECOND_NS
LABELS_MAX = 32
_LABEL_CHARACTERS_MAX = 256
_KIND_CHARACTERS_MAX = 64


class Intake:
    """Takes what is told.

    Args:
        clock_ns: Wall clock.
        days_max: Records of days before the last so many are not taken.
        lock: The archive's; guards all that follows.
        slots: Counts.
        waiting: Rows.
        totals: Of the workers.
        keeps_records: Spans and lines are kept; else they are let go.
    """

    def __init__(
        self,
        clock_ns: Callable[[], int],
        days_max: int,
        *,
        lock: threading.Lock,
        slots: Slots,
        waiting: Waiting,
        totals: Totals,
        keeps_records: bool = True,
    ) -> None:
        self._clock_ns = clock_ns
        self._days_max = days_max
        self._lock = lock
        self._slots = slots
        self._waiting = waiting
        self._totals = totals
        self._keeps_records = keeps_records

    def hear(self, origin: Origin) -> None:
        """A worker is connected, and will report."""
        with self._lock:
            epoch = self._meet(origin)
            epoch.heard_ns = self._clock_ns()
            epoch.left_ns = 0

    def _meet(self, origin: Origin) -> Epoch:
        known = self._totals.epochs.get(origin.epoch)
        return known or self._totals.meet(_sound(origin), self._clock_ns())

    def left(self, origin: Origin) -> None:
        """A worker's connection ended; after a grace without return it is lost."""
        with self._lock:
            epoch = self._totals.epochs.get(origin.epoch)
            if epoch is not None:
                epoch.left_ns = self._clock_ns()

    def take(self, origin: Origin, report: Report) -> None:
        """Take a report. One that is older than the last one taken is known, and left out."""
        for one in (*report.spans, *report.logs):
            one.worker = one.worker or origin.worker
            one.service = one.service or origin.app
        records = self._records(report.spans, report.logs)
        with self._lock:
            now_ns = self._clock_ns()
            epoch = self._meet(origin)
            if report.number <= epoch.number:
                self._drop("reports that came twice", 1, now_ns)
                return
            if now_ns - epoch.seen_ns > GAP_NS:
                self._gap(epoch, now_ns, is_counted=True)

            def add(kind: Kind, key: Key, count: Count) -> None:
                self._slots.add(now_ns, kind, key, count)

            uncounted = self._totals.take(epoch, report, now_ns, add)
            if uncounted:
                self._drop("counts", uncounted, now_ns)
            for table, rows in records.items():
                self._add(table, rows)

    def _records(
        self, spans: Sequence[SpanRecord], logs: Sequence[LogRecord]
    ) -> dict[str, list[Row]]:
        """What goes into the tables of records."""
        if not self._keeps_records:
            return {}
        return {"spans": [span_row(one) for one in spans], "logs": [log_row(one) for one in logs]}

    def _gap(self, epoch: Epoch, to_ns: int, *, is_counted: bool) -> None:
        worker, name = epoch.origin.worker, epoch.origin.epoch
        self._add("gaps", [(epoch.seen_ns, to_ns, worker, name, is_counted)])

    def _drop(self, what: str, count: int, now_ns: int) -> None:
        self._waiting.drop(what, count)
        self._slots.add(now_ns, LOSSES, (what,), Count([count]))

    def _add(self, table: str, rows: Sequence[tuple[object, ...]]) -> None:
        today = self._clock_ns() // DAY_NS
        oldest = today - self._days_max + 1
        for what, count in self._waiting.add(table, rows, lambda day: oldest <= day <= today + 1):
            self._slots.add(self._clock_ns(), LOSSES, (what,), Count([count]))

    def keep(
        self,
        spans: Sequence[SpanRecord],
        logs: Sequence[LogRecord],
        points: Sequence[MetricPoint],
    ) -> None:
        """Keep what others sent."""
        rows = self._records(spans, logs)
        rows["points"] = [point_row(point) for point in points]
        with self._lock:
            for table, found in rows.items():
                if found:
                    self._add(table, found)

    def lose(self, what: str, count: int) -> None:
        """Count what was not kept, and is counted by nobody here."""
        with self._lock:
            self._slots.add(self._clock_ns(), LOSSES, (what,), Count([count]))

    def mark(self, at_ns: int, kind: str, text: str) -> None:
        """Mark a moment."""
        row = (at_ns, kind[:_KIND_CHARACTERS_MAX], text[:TEXT_CHARACTERS_MAX])
        with self._lock:
            self._add("marks", [row])

    def tick(self) -> None:
        """See who is lost, and write down who there is; about once a second."""
        with self._lock:
            now_ns = self._clock_ns()
            for epoch in self._totals.epochs.values():
                if epoch.state == "reporting":
                    self._look_after(epoch, now_ns)
                self._tell(epoch)
            self._totals.forget_old(now_ns)

    def _look_after(self, epoch: Epoch, now_ns: int) -> None:
        # The clock may have been set back.
        epoch.seen_ns = min(epoch.seen_ns, now_ns)
        epoch.heard_ns = min(epoch.heard_ns, now_ns)
        epoch.left_ns = min(epoch.left_ns, now_ns)
        if epoch.left_ns and now_ns - epoch.left_ns > GRACE_NS:
            epoch.state = "lost"
            self._gap(epoch, max(epoch.left_ns, epoch.seen_ns), is_counted=False)
        elif now_ns - max(epoch.seen_ns, epoch.heard_ns) > SILENT_NS:
            epoch.state = "lost"
            self._gap(epoch, now_ns, is_counted=False)

    def _tell(self, epoch: Epoch) -> None:
        """Each file tells who reported on its day, and how that stood last."""
        told = f"{epoch.state} {epoch.seen_ns // DAY_NS}"
        if epoch.told == told or not epoch.number:
            return
        epoch.told = told
        row = (
            *(epoch.seen_ns, epoch.origin.epoch, epoch.began_ns, epoch.state),
            msgspec.msgpack.encode(epoch.origin),
        )
        self._add("origins", [row])

    def resume(self) -> None:
        """After a start: workers of before have the grace to come back, and are told again."""
        with self._lock:
            now_ns = self._clock_ns()
            for epoch in self._totals.epochs.values():
                epoch.told = ""
                if epoch.state == "reporting":
                    epoch.heard_ns = epoch.left_ns = now_ns


def _sound(origin: Origin) -> Origin:
    """The origin, with names that are not too long."""
    labels = {
        name[:_LABEL_CHARACTERS_MAX]: value[:_LABEL_CHARACTERS_MAX]
        for name, value in list(origin.labels.items())[:LABELS_MAX]
    }
    return msgspec.structs.replace(
        origin,
        app=named(origin.app),
        worker=named(origin.worker),
        group=named(origin.group),
        machine=named(origin.machine),
        labels=labels,
    )
