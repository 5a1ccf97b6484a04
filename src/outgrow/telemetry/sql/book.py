"""Every statement counted: by database, by fingerprint, and by the operation or route that ran it.

A statement that was met before costs a look-up by its text and some additions. How often one run
of a caller ran the same statement is counted per run, and added up once that has ended: found by
the way when others begin, so that requests without statements pay nothing.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from outgrow.telemetry.histogram import BUCKETS_MAX, bucket_of
from outgrow.telemetry.links import LinkTotals
from outgrow.telemetry.outside.noting import OTHER, caller, note_client, size_of
from outgrow.telemetry.records import StatementTotals
from outgrow.telemetry.sql.fingerprint import Statement, statement_of
from outgrow.telemetry.sql.tokens import TEXT_MAX
from outgrow.telemetry.traces import place

if TYPE_CHECKING:
    from outgrow.telemetry.records import Attribute
    from outgrow.telemetry.traces import Segment

STATEMENTS_MAX = 2048
DATABASES_MAX = 64
TEXTS_MAX = 1024
TEXTS_CHARACTERS_MAX = 1_000_000
RUNS_MAX = 4096
SPAN_TEXT_MAX = 500
_RUN_SHIFT = 20  # of a run's number, above that of its statement
_OTHER_STATEMENT = Statement("0" * 16, OTHER, OTHER, [], [])


class Database(msgspec.Struct, frozen=True):
    """A database that statements go to.

    Attributes:
        name: Such as `postgresql://host/shop` or `sqlite:orders.db`; no user, no password.
        system: Whose SQL it understands, such as `postgresql`.
    """

    name: str
    system: str


class _Known:
    """What a text of a caller is counted as.

    Attributes:
        number: Of the totals.
        attributes: Of its spans.
    """

    __slots__ = ("attributes", "attributes_bytes", "name", "number", "totals")

    def __init__(self, number: int, totals: StatementTotals, statement: Statement, system: str):
        self.number = number
        self.totals = totals
        self.name = statement.name
        self.attributes: dict[str, Attribute] = {
            "db.system.name": system,
            "db.namespace": totals.database,
            "db.query.text": statement.text[:SPAN_TEXT_MAX],
            "outgrow.fingerprint": statement.fingerprint,
        }
        self.attributes_bytes = size_of(self.attributes)


class _Runs:
    """What ran in one segment: a count for each run of a caller and statement.

    Attributes:
        segment: Holds it too, or its id could recur.
    """

    __slots__ = ("counts", "segment")

    def __init__(self, segment: Segment) -> None:
        self.segment = segment
        self.counts: dict[int, int] = {}


class StatementBook:
    """The statements of one process; any thread may use it."""

    def __init__(self) -> None:
        self.renew_lock()
        self._databases: dict[str, Database] = {}
        self._all: list[StatementTotals] = []
        self._numbers: dict[tuple[str, str, str], int] = {}
        # Two generations: what the young one lacks is looked for in the old one, and what nobody
        # asked for while a generation lasted is forgotten.
        self._young: dict[tuple[str, str, str], _Known] = {}
        self._old: dict[tuple[str, str, str], _Known] = {}
        self._characters = 0
        self._runs: dict[int, _Runs] = {}
        self._oldest: deque[_Runs] = deque()
        self._sent: dict[int, tuple[int, int]] = {}

    def renew_lock(self) -> None:
        """Have a lock that nobody holds; the collector may run a statement amid a count."""
        self._lock = threading.RLock()

    def database(self, name: str, system: str) -> Database:
        """A database by its name; after 64 of them they are all `(other)`."""
        with self._lock:
            if name not in self._databases and len(self._databases) >= DATABASES_MAX:
                name = OTHER
            return self._databases.setdefault(name, Database(name, system))

    def ran(
        self,
        database: Database,
        text: str,
        begun_ns: int,
        ended_ns: int,
        rows: int = 0,
        error: str = "",
    ) -> None:
        """Count a statement that ended here, and note its span.

        Args:
            database: Where it ran.
            text: As it was sent.
            begun_ns: On the clock `time.monotonic_ns`.
            ended_ns: On the same clock.
            rows: That came back or were changed; less than 1 where the driver does not say.
            error: The type of the exception that it ended with; empty where it did not.
        """
        if len(text) > TEXT_MAX:
            text = text[:TEXT_MAX]
        key = (database.name, text, caller())
        known = self._young.get(key)
        if known is None:
            known = self._meet(key, database)
        spent_ns = ended_ns - begun_ns
        bucket = bucket_of(spent_ns)
        totals = known.totals
        segment, parent = place()
        with self._lock:
            totals.calls += 1
            totals.duration_ns += spent_ns
            buckets = totals.buckets
            buckets[bucket] = buckets.get(bucket, 0) + 1
            if rows > 0:
                totals.rows += rows
            if error:
                totals.errors += 1
            if segment is None:
                return
            runs = self._runs.get(id(segment))
            if runs is None:
                runs = self._begin(segment)
            run = parent << _RUN_SHIFT | known.number
            runs.counts[run] = runs.counts.get(run, 0) + 1
        note_client(
            segment,
            parent,
            segment.next(),
            known.name,
            begun_ns,
            ended_ns,
            error,
            known.attributes,
            known.attributes_bytes,
        )

    def changed(self) -> list[StatementTotals]:
        """Copies of the totals that changed since this was asked last; for the reporter alone."""
        with self._lock:
            self._fold_ended()
            found: list[StatementTotals] = []
            for number, totals in enumerate(self._all):
                state = (totals.calls, sum(totals.per_parent.values()))
                if self._sent.get(number) != state:
                    self._sent[number] = state
                    found.append(_copied(totals))
            return found

    def all(self) -> list[StatementTotals]:
        """Copies of all totals."""
        with self._lock:
            self._fold_ended()
            return [_copied(totals) for totals in self._all]

    # Below, whoever calls holds the lock, unless it says otherwise.

    def _meet(self, key: tuple[str, str, str], database: Database) -> _Known:
        """Find what a text is counted as that is not among the latest; takes the lock itself."""
        known = self._old.get(key)
        statement = statement_of(key[1], database.system) if known is None else None
        with self._lock:
            if statement is not None:
                number = self._number_of(database.name, statement, key[2])
                totals = self._all[number]
                if totals.text == OTHER:
                    statement = _OTHER_STATEMENT
                known = _Known(number, totals, statement, database.system)
            assert known is not None
            self._characters += len(key[1])
            if len(self._young) >= TEXTS_MAX or self._characters > TEXTS_CHARACTERS_MAX:
                self._old, self._young, self._characters = self._young, {}, len(key[1])
            self._young[key] = known
        return known

    def _number_of(self, database: str, statement: Statement, name: str) -> int:
        known = self._numbers.get((database, statement.fingerprint, name))
        if known is not None:
            return known
        if len(self._all) >= STATEMENTS_MAX - DATABASES_MAX - 1:
            # The last places are for what each database has besides.
            statement, name = _OTHER_STATEMENT, OTHER
        key = (database, statement.fingerprint, name)
        if key not in self._numbers:
            self._numbers[key] = len(self._all)
            self._all.append(
                StatementTotals(
                    database,
                    statement.fingerprint,
                    statement.text,
                    name,
                    reads=statement.reads,
                    writes=statement.writes,
                )
            )
        return self._numbers[key]

    def _begin(self, segment: Segment) -> _Runs:
        """Begin to count the runs in a segment; look whether the oldest ones have ended."""
        for _ in range(2):
            if not self._oldest:
                break
            runs = self._oldest.popleft()
            if runs.segment.is_open and len(self._oldest) < RUNS_MAX:
                self._oldest.append(runs)
            else:
                self._fold(runs)
        runs = self._runs[id(segment)] = _Runs(segment)
        self._oldest.append(runs)
        return runs

    def _fold_ended(self) -> None:
        for _ in range(len(self._oldest)):
            runs = self._oldest.popleft()
            if runs.segment.is_open:
                self._oldest.append(runs)
            else:
                self._fold(runs)

    def _fold(self, runs: _Runs) -> None:
        del self._runs[id(runs.segment)]
        for run, count in runs.counts.items():
            per_parent = self._all[run & ((1 << _RUN_SHIFT) - 1)].per_parent
            bucket = count.bit_length() - 1
            per_parent[bucket] = per_parent.get(bucket, 0) + 1


def _copied(totals: StatementTotals) -> StatementTotals:
    return msgspec.structs.replace(
        totals, buckets=dict(totals.buckets), per_parent=dict(totals.per_parent)
    )


def links_of(statements: list[StatementTotals]) -> list[LinkTotals]:
    """The links from callers to databases that these statements are, with the callee `sql NAME`."""
    found: dict[tuple[str, str], LinkTotals] = {}
    for each in statements:
        key = (each.caller, f"sql {each.database}")
        link: Any = found.get(key)
        if link is None:
            link = found[key] = LinkTotals(*key, buckets=[0] * BUCKETS_MAX)
        link.calls += each.calls
        link.errors += each.errors
        link.duration_ns += each.duration_ns
        for bucket, count in each.buckets.items():
            link.buckets[bucket] += count
    return list(found.values())


# Of this process.
statements = StatementBook()
os.register_at_fork(after_in_child=statements.renew_lock)
