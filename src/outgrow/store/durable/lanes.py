"""Which events of a partition may be given out: the rules of order, without a database.

A subscription reads each partition by a cursor. What it gives out in one go is a window, which is
its worker's until it is settled; the next window of the partition is opened after that. Events of a
window that were not done become rows of their own, *parked*, and the cursor goes on without them.
Later events of a parked key are parked behind it. So one failing event holds up its key and
nothing else, and where nothing fails there is nothing to write but the cursor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outgrow.store.durable.failures import NO_REASON, WORKER_DIED
from outgrow.store.durable.records import Freed, Position

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from outgrow.store.durable.records import EventOutcome, Failure, Lease

# What a parked event does. The numbers stand in tables, and in the conditions of their indexes.
WAITING = 0  # for its time
RUNNING = 1
BEHIND = 2  # one of the same key
REPLAYED = 3  # until the open window is settled, which may hold its key
# Of one key that many are looked at. More than a window can hold.
ROWS_OF_KEY_MAX = 1_000


@dataclass(slots=True)
class Parked:
    """One event that was given out and is not done, or stands behind one."""

    offset: int
    key: str | None
    state: int
    attempt: int
    due_ms: int = 0
    holder: Lease | None = None
    failure: Failure | None = None
    is_stored: bool = True


@dataclass(slots=True)
class Cursor:
    """How far a subscription is in one partition; (offset, taken] is the open window."""

    offset: int
    taken: int
    holder: Lease | None


@dataclass(slots=True)
class Partition:
    """What matters of one partition of a subscription, and what changes in it.

    Attributes:
        number: Of the partition.
        cursor: How far it is read.
        attempts_max: How often an event is tried.
        now_ms: The store's time.
        rows: Parked events by offset: all of each key that is touched.
        written: Offsets of rows to write.
        deleted: Offsets of rows to delete.
        dead: Offset, attempts and failure of those that used up theirs.
    """

    number: int
    cursor: Cursor
    attempts_max: int
    now_ms: int
    rows: dict[int, Parked] = field(default_factory=dict[int, Parked])
    written: set[int] = field(default_factory=set[int])
    deleted: set[int] = field(default_factory=set[int])
    dead: list[tuple[int, int, Failure]] = field(default_factory=list[tuple[int, int, "Failure"]])

    def unfold(self, window: Iterable[tuple[int, str | None]]) -> None:
        """Close the open window: its events, as far as none is parked, become rows that run."""
        for offset, key in window:
            if offset not in self.rows:
                row = Parked(offset, key, RUNNING, 1, holder=self.cursor.holder, is_stored=False)
                self.rows[offset] = row
                self.written.add(offset)
        self.cursor.offset = self.cursor.taken
        self.cursor.holder = None

    def settle(self, lease: Lease, outcomes: Sequence[EventOutcome]) -> list[bool]:
        """Apply what a worker says, each only if the event is still its own."""
        answers = [False] * len(outcomes)
        # Who is done is done, before another of its key is held back.
        in_order = sorted(range(len(outcomes)), key=lambda number: outcomes[number].how != "done")
        touched: dict[str, int] = {}
        for number in in_order:
            outcome = outcomes[number]
            row = self.rows.get(outcome.position.offset)
            if row is None or not _is_held(row, lease) or row.attempt != outcome.attempt:
                continue
            answers[number] = True
            if row.key is not None:
                held_back = row.offset if outcome.how != "done" else touched.get(row.key, -1)
                touched[row.key] = max(touched.get(row.key, -1), held_back)
            self._apply(row, outcome)
        for key, offset in touched.items():
            if offset >= 0:
                self._hold_back(key, lease)
        self._line_up(touched)
        return answers

    def seize(self, lease: Lease, *, is_counted: bool, known: Collection[Position] = ()) -> Freed:
        """Take from a worker what it holds, but for what it knows of."""
        again = dead_before = 0
        dead_before = len(self.dead)
        touched: set[str] = set()
        for row in list(self.rows.values()):
            if not _is_held(row, lease) or Position(self.number, row.offset) in known:
                continue
            if row.key is not None:
                touched.add(row.key)
            if is_counted and row.attempt >= self.attempts_max:
                self._bury(row, WORKER_DIED)
                continue
            again += 1
            failure = WORKER_DIED if is_counted else row.failure
            self._wait(row, row.attempt - (not is_counted), self.now_ms, failure)
        self._line_up(touched)
        return Freed(again, len(self.dead) - dead_before)

    def insert(self, row: Parked) -> None:
        """Park an event that comes back from the dead letters."""
        if self.cursor.taken > self.cursor.offset and self.cursor.holder is not None:
            row.state = REPLAYED
        self.rows[row.offset] = row
        self.written.add(row.offset)
        if row.key is not None and row.state != REPLAYED:
            self._line_up({row.key})

    def line_up_replayed(self) -> None:
        """Let those wait in line that came back while a window was open."""
        keys: set[str] = set()
        for row in self.rows.values():
            if row.state == REPLAYED:
                self._wait(row, row.attempt, self.now_ms, row.failure)
                if row.key is not None:
                    keys.add(row.key)
        self._line_up(keys)

    def _apply(self, row: Parked, outcome: EventOutcome) -> None:
        failure = outcome.failure or NO_REASON
        if outcome.how == "done":
            self._remove(row)
        elif outcome.how == "returned":
            self._wait(row, row.attempt - 1, self.now_ms, row.failure)
        elif outcome.retry_after_ms is None or row.attempt >= self.attempts_max:
            self._bury(row, failure)
        else:
            self._wait(row, row.attempt, self.now_ms + outcome.retry_after_ms, failure)

    def _hold_back(self, key: str, lease: Lease) -> None:
        """Take from the worker the events of a key that come after one that was not done."""
        for row in self._of_key(key):
            if _is_held(row, lease):
                self._wait(row, row.attempt - 1, self.now_ms, row.failure)

    def _line_up(self, keys: Iterable[str]) -> None:
        """Of each key, let the first wait for its time and the others behind it."""
        for key in keys:
            rows = self._of_key(key)
            is_taken = any(row.state == RUNNING for row in rows)
            for place, row in enumerate(rows):
                wanted = WAITING if place == 0 and not is_taken else BEHIND
                if row.state not in (wanted, RUNNING, REPLAYED):
                    row.state = wanted
                    self.written.add(row.offset)

    def _of_key(self, key: str) -> list[Parked]:
        found = [row for row in self.rows.values() if row.key == key]
        return sorted(found, key=lambda row: row.offset)

    def _wait(self, row: Parked, attempt: int, due_ms: int, failure: Failure | None) -> None:
        row.state, row.attempt, row.due_ms, row.failure = WAITING, attempt, due_ms, failure
        row.holder = None
        self.written.add(row.offset)

    def _bury(self, row: Parked, failure: Failure) -> None:
        self.dead.append((row.offset, row.attempt, failure))
        self._remove(row)

    def _remove(self, row: Parked) -> None:
        del self.rows[row.offset]
        self.written.discard(row.offset)
        if row.is_stored:
            self.deleted.add(row.offset)


def _is_held(row: Parked, lease: Lease) -> bool:
    return row.state == RUNNING and row.holder == lease
