"""Reads a period out of the files that it is in, while they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import duckdb

from outgrow.telemetry.archive.counting import (
    FOREVER_NS,
    Part,
    Summed,
    parts_of,
    read_steps,
    read_sums,
    read_windows,
    summed_until,
    windows_in,
)
from outgrow.telemetry.archive.days import BrokenDayError, Days, is_broken
from outgrow.telemetry.archive.slots import WINDOW_NS
from outgrow.telemetry.archive.tables import LEVELS_SECONDS

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence

    from outgrow.telemetry.archive.kinds import Count, Key, Kind
    from outgrow.telemetry.archive.slots import Slots

    # What is in no file yet: the moment, the key, and the count.
    Newest = tuple[int, Key, Count]

_T = TypeVar("_T")
_K = TypeVar("_K")
_TRIES = 3
# Rows that are likely so few that they are summed here.
_LITTLE = 1000


class Reader:
    """Reads; each method may be called from any thread.

    Args:
        days: The files.
        lock: The archive's.
        slots: What is in no file yet; guarded by the lock.
    """

    def __init__(self, days: Days, lock: threading.Lock, slots: Slots) -> None:
        self._days = days
        self._lock = lock
        self._slots = slots
        # How many keys each kind had when it was last read: how much there is to sum.
        self._keys_seen: dict[str, int] = {}
        self._closed: tuple[int, dict[str, Summed]] = (0, {})

    def asked(self, read: Callable[[duckdb.DuckDBPyConnection], _T]) -> _T:
        """Read, and again if a file was deleted or set aside meanwhile."""
        for turn in range(_TRIES):
            try:
                with self._days.use() as cursor:
                    return read(cursor)
            except (duckdb.Error, BrokenDayError) as error:
                if turn == _TRIES - 1:
                    raise
                if is_broken(error):
                    self._days.examine()
        raise AssertionError

    def databases(self, from_ns: int, to_ns: int) -> list[str]:
        """The names of the days of a period in SQL, oldest first."""
        found: list[str] = []
        for day in self._days.between(from_ns, to_ns):
            try:
                found.append(self._days.opened(day))
            except BrokenDayError:
                continue
        return found

    def each(self, from_ns: int, to_ns: int, sql: str) -> str:
        """A query over all days of a period, with `{day}` for each; empty without any."""
        names = self.databases(from_ns, to_ns)
        return " UNION ALL ".join(sql.replace("{day}", name) for name in names)

    def sums(
        self,
        kind: Kind,
        from_ns: int,
        to_ns: int,
        *,
        is_whole: bool = True,
    ) -> dict[Key, Count]:
        """Sums of a period by key; without histograms unless they are whole."""
        found = self.asked(
            lambda cursor: self._read(cursor, kind, from_ns, to_ns, None, {}, is_whole)
        )
        return {key: count for key, count in found.items() if isinstance(key, tuple)}

    def steps(
        self,
        kind: Kind,
        from_ns: int,
        to_ns: int,
        step_ns: int,
        where: dict[str, str],
        *,
        is_whole: bool = True,
    ) -> dict[int, Count]:
        """Sums of a period by step, by its beginning, which is a multiple of its length."""
        wanted = {name: [value] for name, value in where.items()}
        found = self.asked(
            lambda cursor: self._read(cursor, kind, from_ns, to_ns, step_ns, wanted, is_whole)
        )
        return {key: count for key, count in found.items() if isinstance(key, int)}

    def windows(self, kind: Kind, from_ns: int, to_ns: int) -> dict[int, dict[Key, Count]]:
        """The windows of 10 s of a period, by their beginning, each with its counts by key."""
        return self.asked(lambda cursor: self._windows(cursor, kind, from_ns, to_ns))

    def steps_by_key(
        self,
        kind: Kind,
        from_ns: int,
        to_ns: int,
        step_ns: int,
        wanted: Mapping[str, Sequence[str]],
        *,
        is_whole: bool = True,
    ) -> dict[tuple[Key, int], Count]:
        """Sums of a period by key and step, of keys with any of these values."""

        def read(cursor: duckdb.DuckDBPyConnection) -> dict[tuple[Key, int], Count]:
            parts = self._parts(cursor, kind, from_ns, to_ns, step_ns)
            return read_steps(cursor, kind, parts, step_ns, _condition(wanted), is_whole=is_whole)

        def settled(
            cursor: duckdb.DuckDBPyConnection,
        ) -> tuple[dict[tuple[Key, int], Count], list[Newest]]:
            return self._settled(kind, from_ns, to_ns, wanted, lambda: read(cursor))

        found, newest = self.asked(settled)
        for at_ns, key, count in newest:
            _add(found, (key, at_ns // step_ns * step_ns), count)
        return found

    def _settled(
        self,
        kind: Kind,
        from_ns: int,
        to_ns: int,
        wanted: Mapping[str, Sequence[str]],
        read: Callable[[], dict[_K, Count]],
    ) -> tuple[dict[_K, Count], list[Newest]]:
        """What is in files, and what is not yet: nothing may be in both, nor in neither."""
        while True:
            with self._lock:
                changes = self._slots.changes
                is_live = self._slots.is_live(from_ns, to_ns)
                newest = [
                    (at_ns, key, count.copy())
                    for at_ns, key, count in self._slots.counts(kind, from_ns, to_ns)
                    if _is_wanted(kind, key, wanted)
                ]
            if is_live:
                return {}, newest
            found = read()
            with self._lock:
                if changes == self._slots.changes:
                    return found, newest

    def _windows(
        self, cursor: duckdb.DuckDBPyConnection, kind: Kind, from_ns: int, to_ns: int
    ) -> dict[int, dict[Key, Count]]:
        def read() -> dict[tuple[Key, int], Count]:
            known: dict[tuple[Key, int], Count] = {}
            names = self.databases(from_ns, to_ns)
            for at_ns, key, count in read_windows(cursor, names, kind, from_ns, to_ns):
                _add(known, (key, at_ns), count)
            return known

        known, newest = self._settled(kind, from_ns, to_ns, {}, read)
        for at_ns, key, count in newest:
            _add(known, (key, at_ns // WINDOW_NS * WINDOW_NS), count)
        found: dict[int, dict[Key, Count]] = {}
        for (key, at_ns), count in known.items():
            found.setdefault(at_ns, {})[key] = count
        return found

    def _read(
        self,
        cursor: duckdb.DuckDBPyConnection,
        kind: Kind,
        from_ns: int,
        to_ns: int,
        step_ns: int | None,
        wanted: Mapping[str, Sequence[str]],
        is_whole: bool,
    ) -> dict[Key | int, Count]:
        def read() -> dict[Key | int, Count]:
            parts = self._parts(cursor, kind, from_ns, to_ns, step_ns)
            return read_sums(
                cursor,
                kind,
                parts,
                step_ns=step_ns,
                where=_condition(wanted),
                is_whole=is_whole,
                is_little=windows_in(parts) * self._keys_seen.get(kind.name, 1) <= _LITTLE,
            )

        found, newest = self._settled(kind, from_ns, to_ns, wanted, read)
        if step_ns is None:
            self._keys_seen[kind.name] = len(found)
        for at_ns, key, count in newest:
            _add(found, key if step_ns is None else at_ns // step_ns * step_ns, count)
        return found

    def _parts(
        self,
        cursor: duckdb.DuckDBPyConnection,
        kind: Kind,
        from_ns: int,
        to_ns: int,
        step_ns: int | None,
    ) -> Sequence[Part]:
        parts: list[Part] = []
        for name in self.databases(from_ns, to_ns):
            summed = self._summed(cursor, name)
            parts += parts_of(name, kind, from_ns, to_ns, summed, step_ns)
        return parts

    def _summed(self, cursor: duckdb.DuckDBPyConnection, database: str) -> Summed:
        known_of, known = self._closed
        changes = self._days.changes
        if known_of != changes:
            self._closed = (changes, {})
        elif database in known:
            return known[database]
        summed = summed_until(cursor, database)
        if len(summed) == len(LEVELS_SECONDS) - 1 and set(summed.values()) == {FOREVER_NS}:
            # The day is over, and that changes no more while its file is the same.
            self._closed[1][database] = summed
        return summed


def _add(known: dict[_K, Count], place: _K, count: Count) -> None:
    mine = known.get(place)
    if mine is None:
        known[place] = count
    else:
        mine.add(count)


def _is_wanted(kind: Kind, key: Key, wanted: Mapping[str, Sequence[str]]) -> bool:
    return all(key[kind.keys.index(name)] in values for name, values in wanted.items())


def _condition(wanted: Mapping[str, Sequence[str]]) -> tuple[str, list[str]]:
    """The same in SQL, with its parameters."""
    sql = "".join(
        f' AND "{name}" IN ({", ".join("?" * len(values))})' for name, values in wanted.items()
    )
    return sql, [value for values in wanted.values() for value in values]
