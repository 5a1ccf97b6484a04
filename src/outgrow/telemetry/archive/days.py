"""The files of the archive: one a day of UTC, opened when they are first needed.

A file that can't be read, or is of a stranger, is renamed and said; nothing of it is deleted.
"""

from __future__ import annotations

import contextlib
import logging
import re
from datetime import UTC, datetime
from threading import Condition, RLock
from typing import TYPE_CHECKING

import duckdb

from outgrow.telemetry.archive.tables import BULKY, FORMAT, LATER, statements_for

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

DAY_NS = 86_400 * 10**9
MEMORY_BYTES_MAX = 768 * 1024**2
LOG_BYTES_MAX = 48 * 1024**2
# How long the engine waits for those who read before it is replaced.
READING_SECONDS_MAX = 30.0
# What is said of a file that may be sound.
_PASSING = (
    *("set lock on", "conflicting lock", "permission denied", "no space left"),
    *("file too large", "too many open files", "out of memory", "failed to allocate"),
)
_NAME = re.compile(r"\d{4}-\d\d-\d\d\.duckdb")

_log = logging.getLogger(__name__)


class BrokenDayError(Exception):
    """A file was there and is none of ours, or not whole; it was set aside."""


def day_of(at_ns: int) -> int:
    """Number of the day since 1970."""
    return at_ns // DAY_NS


def name_of(day: int) -> str:
    """Such as `2026-11-24`."""
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


def _day_named(name: str) -> int:
    at = datetime.strptime(name, "%Y-%m-%d").replace(tzinfo=UTC)
    return int(at.timestamp()) // 86_400


class Days:
    """The files.

    Args:
        folder: Where they are; must exist.
        log_bytes_max: Of the write-ahead log of each, before it is put into its file.

    Attributes:
        set_aside: Names of files that could not be read.
        changes: How often a day's file went away, so that another may have its name.
    """

    def __init__(self, folder: Path, log_bytes_max: int = LOG_BYTES_MAX) -> None:
        self._folder = folder
        self._log_bytes_max = log_bytes_max
        self._lock = RLock()
        self._hub = self._new_hub()
        self._open: set[int] = set()
        self._days = self._listed()
        self._idle = Condition()
        self._users = 0
        self._is_replaced = False
        self.set_aside: list[str] = []
        self.changes = 0

    def _new_hub(self) -> duckdb.DuckDBPyConnection:
        # Reading needs no order of rows but the one it asks for.
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{MEMORY_BYTES_MAX}B",
            "threads": 2,
            "preserve_insertion_order": False,
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "wal_autocheckpoint": "1TB",
        }
        return duckdb.connect(":memory:", config=settings)

    def _listed(self) -> set[int]:
        found: set[int] = set()
        for path in self._folder.iterdir():
            if _NAME.fullmatch(path.name):
                with contextlib.suppress(ValueError):
                    found.add(_day_named(path.stem))
        return found

    def path(self, day: int) -> Path:
        """Of a day's file."""
        return self._folder / f"{name_of(day)}.duckdb"

    def there(self) -> list[int]:
        """Days of which there is a file, oldest first."""
        with self._lock:
            return sorted(self._days)

    def between(self, from_ns: int, to_ns: int) -> list[int]:
        """Days of which there is a file, and that are wholly or in part in a period."""
        first, last = day_of(from_ns), day_of(max(from_ns, to_ns - 1))
        return [day for day in self.there() if first <= day <= last]

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection for one thread."""
        with self._lock:
            return self._hub.cursor()

    @contextlib.contextmanager
    def use(self) -> Generator[duckdb.DuckDBPyConnection]:
        """A connection for one reading; the engine is not replaced meanwhile."""
        with self._idle:
            self._idle.wait_for(lambda: not self._is_replaced)
            self._users += 1
        try:
            cursor = self.cursor()
            try:
                yield cursor
            finally:
                cursor.close()
        finally:
            with self._idle:
                self._users -= 1
                self._idle.notify_all()

    def opened(self, day: int) -> str:
        """The name of the day's database in SQL, after its file was opened.

        Raises:
            BrokenDayError: It was set aside, and there is none now.
            duckdb.Error: It can't be opened now, or there is no room for a new one.
        """
        with self._lock:
            name = f"d{day}"
            if day in self._open:
                return name
            is_new = not self.path(day).exists()
            try:
                self._hub.execute(f"ATTACH '{_quoted(self.path(day))}' AS {name}")
                self._prepare(name)
            except duckdb.Error as error:
                with contextlib.suppress(duckdb.Error):
                    self._hub.execute(f"DETACH {name}")
                if is_new:
                    self._remove(day)
                    raise
                if self._is_passing(error):
                    raise
                self._put_aside(day, str(error))
                raise BrokenDayError(str(error)) from error
            self._open.add(day)
            self._days.add(day)
            return name

    def _prepare(self, name: str) -> None:
        tables = "SELECT count(*) FROM duckdb_tables() WHERE database_name = ?"
        found = self._hub.execute(tables, [name]).fetchone()
        if not found or not found[0]:
            # It is new, or its maker was stopped before it had tables.
            self._create(name)
            return
        found = self._hub.execute(f"SELECT max(number) FROM {name}.archive_format").fetchone()
        if found is None or found[0] != FORMAT:
            raise duckdb.InvalidInputException(f"it is of format {found and found[0]}")
        there = "SELECT table_name FROM duckdb_tables() WHERE database_name = ?"
        known = {table for (table,) in self._hub.execute(there, [name]).fetchall()}
        for table in LATER.keys() - known:
            self._hub.execute(f"CREATE TABLE {name}.{table} ({LATER[table]})")

    def _create(self, name: str) -> None:
        self._hub.execute("BEGIN")
        try:
            for statement in statements_for(name):
                self._hub.execute(statement)
            self._hub.execute("COMMIT")
        except duckdb.Error:
            with contextlib.suppress(duckdb.Error):
                self._hub.execute("ROLLBACK")
            raise

    def _is_passing(self, error: duckdb.Error) -> bool:
        """Whether a file that can't be opened now may be sound: no room, or another's lock."""
        if isinstance(error, (duckdb.OutOfMemoryException, duckdb.PermissionException)):
            return True
        text = str(error).replace(str(self._folder), "").lower()
        return any(sign in text for sign in _PASSING)

    def is_written(self, day: int, number: int) -> bool:
        """Whether a day's file has this writing of windows.

        Raises:
            BrokenDayError: It was set aside.
            duckdb.Error: It can't be opened now.
        """
        if day not in self.there():
            return False
        database = self.opened(day)
        with self.use() as cursor:
            sql = f"SELECT count(*) FROM {database}.writings WHERE number = {number}"
            found = cursor.execute(sql).fetchone()
        return bool(found and found[0])

    def examine(self) -> None:
        """Read all open files to their end, and set those aside of which that can't be done.

        An opened file may still be broken further on. Nothing tells which one it was, and it is
        seldom enough for a look at all.
        """
        with self._lock:
            for day in sorted(self._open):
                try:
                    self._read_through(f"d{day}")
                except duckdb.Error as error:
                    if not self._is_passing(error):
                        self._close(day)
                        self._put_aside(day, str(error))

    def _read_through(self, name: str) -> None:
        sql = "SELECT table_name FROM duckdb_tables() WHERE database_name = ?"
        for (table,) in self._hub.execute(sql, [name]).fetchall():
            self._hub.execute(f"SELECT bit_xor(hash(t)) FROM {name}.{table} AS t").fetchall()

    def _put_aside(self, day: int, reason: str) -> None:
        path = self.path(day)
        stamp = datetime.now(UTC).strftime("%H%M%S%f")
        target = path.with_name(f"{path.name}.aside-{stamp}")
        _log.error("%s can not be read (%s), and is now %s", path, reason, target.name)
        with contextlib.suppress(OSError):
            path.replace(target)
        wal = _log_of(path)
        with contextlib.suppress(OSError):
            wal.replace(_log_of(target))
        self._days.discard(day)
        self.changes += 1
        self.set_aside.append(target.name)

    def _remove(self, day: int) -> None:
        self._days.discard(day)
        for path in (self.path(day), _log_of(self.path(day))):
            path.unlink(missing_ok=True)

    def delete(self, day: int) -> None:
        """Delete a day's file; those who read it now get an error, and read again."""
        with self._lock:
            self._close(day)
            self._remove(day)

    def _close(self, day: int) -> None:
        self.changes += 1
        if day in self._open:
            self._open.discard(day)
            with contextlib.suppress(duckdb.Error):
                self._hub.execute(f"DETACH d{day}")

    def kept_bytes(self, day: int) -> int:
        """Size of a day's file, with what is not yet in its place."""
        total = 0
        for path in (self.path(day), _log_of(self.path(day))):
            with contextlib.suppress(OSError):
                total += path.stat().st_size
        return total

    def tidy(self, day: int, *, is_now: bool = False) -> None:
        """Put what was written into its place, if it is much, or now."""
        least = 0 if is_now else self._log_bytes_max
        try:
            is_much = _log_of(self.path(day)).stat().st_size > least
        except OSError:
            return
        if day in self._open and is_much:
            with self.use() as cursor, contextlib.suppress(duckdb.TransactionException):
                cursor.execute(f"CHECKPOINT d{day}")

    def used_bytes(self, day: int, cursor: duckdb.DuckDBPyConnection) -> int:
        """How much of a day's file holds something, with what is not yet in its place."""
        sql = "SELECT used_blocks * block_size FROM pragma_database_size() WHERE database_name = ?"
        found = cursor.execute(sql, [self.opened(day)]).fetchone()
        wal = _log_of(self.path(day))
        return (int(found[0]) if found else 0) + (wal.stat().st_size if wal.exists() else 0)

    def thin(self, day: int, cursor: duckdb.DuckDBPyConnection) -> None:
        """Delete the older half of what a day's file holds one by one; what it counts stays."""
        database = self.opened(day)
        for table in BULKY:
            place = f"{database}.{table}"
            found = cursor.execute(f"SELECT median(at_ns)::BIGINT FROM {place}").fetchone()
            if found and found[0] is not None:
                cursor.execute(f"DELETE FROM {place} WHERE at_ns <= {found[0]}")
                if table == "spans":  # those that are picked are of these
                    cursor.execute(f"DELETE FROM {database}.picks WHERE at_ns <= {found[0]}")
        self.tidy(day, is_now=True)
        _log.warning(
            "the file of %s alone is larger than the archive may be: the older half of its traces "
            "and log lines is deleted",
            name_of(day),
        )

    def folder_bytes(self) -> int:
        """Size of all that is in the folder."""
        total = 0
        for path in self._folder.iterdir():
            with contextlib.suppress(OSError):
                total += path.stat().st_size
        return total

    def trim_aside(self, oldest: int, room_bytes: int) -> int:
        """Delete files that were set aside and are too old, or for which there is no room.

        Returns:
            Size of the rest.
        """
        total = 0
        for path in sorted(self._folder.glob("*.aside-*"), reverse=True):
            try:
                size = path.stat().st_size
                day = _day_named(path.name[:10])
                if day < oldest or total + size > room_bytes:
                    path.unlink()
                    continue
                total += size
            except (OSError, ValueError):
                continue
        return total

    def reopen(self) -> None:
        """Start anew after an error that left the engine unusable."""
        with self._idle:
            self._is_replaced = True
            # A file must not be open in two engines.
            self._idle.wait_for(lambda: not self._users, timeout=READING_SECONDS_MAX)
        try:
            with self._lock:
                for day in list(self._open):
                    self._close(day)
                with contextlib.suppress(duckdb.Error):
                    self._hub.close()
                self._hub = self._new_hub()
                self._days = self._listed()
        finally:
            with self._idle:
                self._is_replaced = False
                self._idle.notify_all()

    def close(self) -> None:
        """Close all files; what was written is put into its place."""
        with self._lock:
            for day in sorted(self._open):
                with contextlib.suppress(duckdb.Error):
                    self._hub.execute(f"CHECKPOINT d{day}")
                self._close(day)
            self._hub.close()


def is_broken(error: Exception) -> bool:
    """Whether an error says that a file is not whole."""
    text = str(error).lower()
    return any(sign in text for sign in ("checksum", "corrupt", "read enough bytes"))


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
