"""What waits goes into the files: every second, by one thread, a day and a transaction at a time.

Where that fails, as on a full disk, all is kept in memory, within its limits, and tried again.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from typing import TYPE_CHECKING

import duckdb

from outgrow.telemetry.archive.counting import (
    FOREVER_NS,
    Summed,
    append,
    sum_up,
    summed_until,
    write_windows,
)
from outgrow.telemetry.archive.days import BrokenDayError, Days, day_of, is_broken
from outgrow.telemetry.archive.picking import pick, picked_until
from outgrow.telemetry.archive.rows import trace_rows
from outgrow.telemetry.archive.totals import Snapshot

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from outgrow.telemetry.archive.rows import Row
    from outgrow.telemetry.archive.slots import Counts, Slots
    from outgrow.telemetry.archive.totals import Totals, TotalsFile
    from outgrow.telemetry.archive.waiting import Waiting

FREE_BYTES_MIN = 64 * 1024**2
# Of the room for the archive: what may be full before the oldest files go, as new ones grow.
_ROOM = 0.9
# Of the room for the archive: from where on the newest file is thinned, if so much of it is used.
_FULL, _THIN = 0.75, 0.5
# What a row or a number can be that no table takes; all else is the disk's or the engine's fault.
_UNFIT = (duckdb.DataError, duckdb.InvalidInputException, ValueError, TypeError, OverflowError)

_log = logging.getLogger(__name__)


class Writer:
    """Writes what waits.

    Args:
        folder: Of the archive.
        days: Its files.
        lock: The archive's; guards all that follows.
        slots: Counts.
        waiting: Rows.
        totals: Of the workers.
        file: Where these outlive the process.
        number: Of the last writing of windows.

    Attributes:
        problem: Why nothing can be written; empty where it can.
    """

    def __init__(
        self,
        folder: Path,
        days: Days,
        *,
        lock: threading.Lock,
        slots: Slots,
        waiting: Waiting,
        totals: Totals,
        file: TotalsFile,
        number: int,
    ) -> None:
        self._folder = folder
        self._days = days
        self._lock = lock
        self._slots = slots
        self._waiting = waiting
        self._totals = totals
        self._file = file
        self._number = number
        self._turn = threading.RLock()
        self._cursor = days.cursor()
        self._summed: dict[int, Summed] = {}
        self._picked: dict[int, int] = {}
        self._closed_ns: dict[int, int] = {}
        self._texts: dict[int, set[tuple[str, str]]] = {}
        self._unsure: tuple[int, int, list[int]] | None = None
        self.problem = ""

    def write(self, now_ns: int, *, is_all: bool = False) -> bool:
        """Write what waits.

        Args:
            now_ns: Wall clock; windows that ended before are written.
            is_all: Write the window under way as well.

        Returns:
            Whether all of it could be written.
        """
        with self._turn:
            try:
                self._check_room()
                self._settle()
                self._write_rows()
                self._write_windows(now_ns, is_all=is_all)
                self._sum_up(now_ns)
            except (duckdb.Error, BrokenDayError, OSError) as error:
                self._failed(error)
                return False
            if self.problem:
                _log.warning("the archive of telemetry is written again")
            self.problem = ""
            return True

    def _check_room(self) -> None:
        free_bytes = shutil.disk_usage(self._folder).free
        if free_bytes < FREE_BYTES_MIN:
            raise OSError(f"only {free_bytes // 1024**2} MiB are free for {self._folder}")

    def _failed(self, error: Exception) -> None:
        text = str(error).split("\n", 1)[0]
        if not self.problem:
            _log.error("telemetry can not be archived for now: %s", text)
        self.problem = text
        self._summed.clear()
        self._picked.clear()
        self._texts.clear()
        with contextlib.suppress(duckdb.Error):
            self._cursor.close()
        # After some errors the engine serves no more; a new one costs little.
        if isinstance(error, (duckdb.FatalException, duckdb.InternalException)) or (
            "invalidated" in text or "closed" in text
        ):
            self._days.reopen()
        if is_broken(error):
            self._days.examine()
        with contextlib.suppress(duckdb.Error):
            self._cursor = self._days.cursor()

    @contextlib.contextmanager
    def _transaction(self) -> Generator[None]:
        self._cursor.execute("BEGIN")
        try:
            yield
        except BaseException:
            with contextlib.suppress(duckdb.Error):
                self._cursor.execute("ROLLBACK")
            raise

    def _write_rows(self) -> None:
        with self._lock:
            batch = self._waiting.take()
        try:
            for day in sorted(batch):
                self._write_day(day, batch[day])
                del batch[day]
                self._days.tidy(day)
        finally:
            if batch:
                with self._lock:
                    self._waiting.give_back(batch)

    def _write_day(self, day: int, tables: dict[str, list[Row]]) -> None:
        database = self._days.opened(day)
        try:
            self._append_rows(database, tables)
        except _UNFIT:
            # Rather without one of them than none, now and ever after.
            for table, rows in tables.items():
                self._append_fit(database, table, rows)

    def _append_rows(self, database: str, tables: dict[str, list[Row]]) -> None:
        with self._transaction():
            spans = tables.get("spans", [])
            append(self._cursor, database, {**tables, "traces": trace_rows(spans)})
            self._cursor.execute("COMMIT")

    def _append_fit(self, database: str, table: str, rows: list[Row]) -> None:
        try:
            self._append_rows(database, {table: rows})
        except _UNFIT as error:
            if len(rows) == 1:
                _log.warning("one of the %s can not be written: %s", table, error)
                with self._lock:
                    self._waiting.drop(f"{table} that are not sound")
                return
            half = len(rows) // 2
            self._append_fit(database, table, rows[:half])
            self._append_fit(database, table, rows[half:])

    def _write_windows(self, now_ns: int, *, is_all: bool) -> None:
        with self._lock:
            if not self._slots.waiting_count or not (is_all or self._slots.has_closed(now_ns)):
                return
            taken = self._slots.take()
            epochs = self._totals.snapshot()
            texts = dict(self._totals.texts)
        rest = dict(taken)
        try:
            for day in sorted({day_of(window_ns) for window_ns in taken}):
                windows = {at_ns: rest.pop(at_ns) for at_ns in taken if day_of(at_ns) == day}
                # Also if the clock stood still, or was set back.
                self._number = max(self._number + 1, now_ns)
                snapshot = Snapshot(self._number, day, epochs, rest)
                self._write_windows_of(day, windows, snapshot, texts)
                self._closed_ns[day] = now_ns
        except BaseException:
            if self._unsure is None:
                with self._lock:
                    self._slots.given_back()
            raise

    def _write_windows_of(
        self,
        day: int,
        windows: dict[int, Counts],
        snapshot: Snapshot,
        texts: dict[tuple[str, str], tuple[str, bytes]],
    ) -> None:
        database = self._days.opened(day)
        self._close_before(day)
        written = list(windows)
        self._file.prepare(snapshot)
        with self._transaction():
            write_windows(self._cursor, database, windows, self._until(day, database))
            self._write_texts(day, database, windows, texts)
            self._cursor.execute(f"INSERT INTO {database}.writings VALUES ({snapshot.number})")
            # Who reads in between would find these windows twice, or not at all.
            with self._lock:
                self._unsure = (day, snapshot.number, written)
                self._cursor.execute("COMMIT")
                self._unsure = None
                self._slots.written(written)
        self._file.commit()

    def _settle(self) -> None:
        """Find out whether windows are in a file, where the answer to the commit was an error."""
        if self._unsure is None:
            return
        day, number, written = self._unsure
        try:
            is_written = self._days.is_written(day, number)
        except BrokenDayError:
            is_written = False
        self._unsure = None
        with self._lock:
            if is_written:
                self._slots.written(written)
            self._slots.given_back()
        if is_written:
            self._file.commit()

    def _until(self, day: int, database: str) -> Summed:
        if day not in self._summed:
            self._summed[day] = summed_until(self._cursor, database)
        return self._summed[day]

    def _write_texts(
        self,
        day: int,
        database: str,
        windows: dict[int, Counts],
        texts: dict[tuple[str, str], tuple[str, bytes]],
    ) -> None:
        """The text of each statement once in each file."""
        known = self._texts.setdefault(day, set())
        rows: list[Row] = []
        for counts in windows.values():
            for found, fingerprint, _ in counts.get("statements", {}):
                key = (found, fingerprint)
                if key not in known and key in texts:
                    known.add(key)
                    rows.append((*key, *texts[key]))
        append(self._cursor, database, {"texts": rows})

    def _sum_up(self, now_ns: int) -> None:
        for day, written_ns in list(self._closed_ns.items()):
            database = self._days.opened(day)
            closed_ns = min(now_ns, written_ns)
            sum_up(self._cursor, database, self._until(day, database), closed_ns)
            self._pick(day, database, closed_ns)

    def _pick(self, day: int, database: str, closed_ns: int) -> None:
        if day not in self._picked:
            self._picked[day] = picked_until(self._cursor, [database])[database]
        self._picked[day] = pick(self._cursor, database, self._picked[day], closed_ns)

    def _close_before(self, day: int) -> None:
        """Sum up the day before this one, which is over."""
        if day in self._closed_ns:
            return
        self._closed_ns.clear()
        self._texts.clear()
        for older in [older for older in self._days.there() if older < day][-1:]:
            with contextlib.suppress(BrokenDayError):
                database = self._days.opened(older)
                until = self._until(older, database)
                sum_up(self._cursor, database, until, FOREVER_NS)
                self._pick(older, database, FOREVER_NS)
                self._days.tidy(older, is_now=True)
        self._closed_ns[day] = 0

    def trim(self, now_ns: int, days_max: int, bytes_max: int) -> list[int]:
        """Delete files that are too old, then the oldest of those that are too much together.

        Where the newest alone is too much, the older half of what it holds one by one is deleted;
        what it counts stays. Returns the days whose files were deleted.
        """
        with self._turn:
            try:
                return self._trim(now_ns, days_max, bytes_max)
            except (duckdb.Error, BrokenDayError, OSError) as error:
                self._failed(error)
                return []

    def _trim(self, now_ns: int, days_max: int, bytes_max: int) -> list[int]:
        there = self._days.there()
        oldest = day_of(now_ns) - days_max + 1
        sizes = {day: self._days.kept_bytes(day) for day in there}
        sizes_aside = self._days.trim_aside(oldest, bytes_max - sum(sizes.values()))
        if not there:
            return []
        deleted: list[int] = []
        for day in there[:-1]:
            if day < oldest or sum(sizes.values()) + sizes_aside > bytes_max * _ROOM:
                del sizes[day]
                deleted.append(day)
                self._summed.pop(day, None)
                self._picked.pop(day, None)
                self._closed_ns.pop(day, None)
                self._texts.pop(day, None)
                self._days.delete(day)
        is_full = sum(sizes.values()) + sizes_aside > bytes_max * _FULL
        # A file does not shrink: what is deleted in it leaves room for what comes.
        if is_full and self._days.used_bytes(there[-1], self._cursor) > bytes_max * _THIN:
            self._days.thin(there[-1], self._cursor)
        return deleted

    def close(self) -> None:
        """Give the connection back."""
        with self._turn, contextlib.suppress(duckdb.Error):
            self._cursor.close()
