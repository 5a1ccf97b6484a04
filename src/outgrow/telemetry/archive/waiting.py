"""Rows that wait to be written: so many bytes of them at most, and what is too much is counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.telemetry.archive.days import DAY_NS
from outgrow.telemetry.archive.rows import row_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from outgrow.telemetry.archive.rows import Row

ROWS_BYTES_MAX = 96 * 1024**2

# By day, then by table.
Batch = dict[int, dict[str, list["Row"]]]


class Waiting:
    """The rows; whoever uses it holds the archive's lock.

    Args:
        bytes_max: Of memory, about.

    Attributes:
        count: Rows that wait.
        dropped: Rows that were not taken, by table, or by what was wrong with them.
    """

    def __init__(self, bytes_max: int = ROWS_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._batch: Batch = {}
        self.count = 0
        self.dropped: dict[str, int] = {}

    def drop(self, what: str, count: int = 1) -> None:
        """Count what is not kept."""
        self.dropped[what] = self.dropped.get(what, 0) + count

    def add(
        self, table: str, rows: Iterable[Row], is_kept: Callable[[int], bool]
    ) -> list[tuple[str, int]]:
        """Add rows, the first value of which is their time.

        Args:
            table: That they go into.
            rows: Any number of them.
            is_kept: Whether there may be a file for this day.

        Returns:
            What was dropped, and how many of it.
        """
        late = full = 0
        days: dict[int, list[Row] | None] = {}
        for row in rows:
            day = row[0] // DAY_NS
            if day not in days:
                wanted = is_kept(day)
                days[day] = (
                    self._batch.setdefault(day, {}).setdefault(table, []) if wanted else None
                )
            mine = days[day]
            bytes_more = row_bytes(table, row)
            if mine is None:
                late += 1
            elif self._bytes + bytes_more > self._bytes_max:
                full += 1
            else:
                mine.append(row)
                self._bytes += bytes_more
                self.count += 1
        dropped = [(f"{table} of another time", late), (table, full)]
        dropped = [(what, count) for what, count in dropped if count]
        for what, count in dropped:
            self.drop(what, count)
        return dropped

    def take(self) -> Batch:
        """All rows; they are written, or given back."""
        batch, self._batch = self._batch, {}
        self._bytes = 0
        self.count = 0
        return batch

    def give_back(self, batch: Batch) -> None:
        """They could not be written; what came since stays behind them."""
        later = self.take()
        for part in (batch, later):
            for tables in part.values():
                for table, rows in tables.items():
                    self.add(table, rows, lambda _: True)
