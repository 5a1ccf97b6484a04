"""Sums since the observer began, which only grow, made from sums of periods.

The archive deletes what is old, so the sum over all that it has may fall. Here whole windows that
are over are added up once, and what came since is added for each answer. After a restart all begin
at 0 again, as Prometheus expects of counters; what workers counted meanwhile comes with their next
report, so none is missed and none comes twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import msgspec

from outgrow.telemetry import CallSum, ProcessTotals, StatementTotals, StationTotals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from outgrow.dashboard.source import Source

CALLS_MAX = 1000
STATEMENTS_MAX = 500
STATIONS_MAX = 1000
WORKERS_MAX = 256
OTHER = "(other)"
WINDOW_NS = 10 * 10**9
# A report may be under way when its window ends.
SETTLING_NS = 2 * 10**9

Key = tuple[str, ...]
T = TypeVar("T", CallSum, StatementTotals, StationTotals, ProcessTotals)

# Of these only the newest value is known; all other numbers add up.
_LATEST = {
    *("capacity", "queue_max", "busy_percent", "memory_bytes", "descriptors", "threads"),
    *("in_flight", "connections"),
}


@dataclass
class Sums:
    """What was counted, by what tells it apart.

    Attributes:
        calls: By caller and callee.
        statements: By database, fingerprint and caller.
        stations: By worker, name and kind.
        workers: By name.
        lost: By kind.
    """

    calls: dict[Key, CallSum] = field(default_factory=dict[Key, CallSum])
    statements: dict[Key, StatementTotals] = field(default_factory=dict[Key, StatementTotals])
    stations: dict[Key, StationTotals] = field(default_factory=dict[Key, StationTotals])
    workers: dict[Key, ProcessTotals] = field(default_factory=dict[Key, ProcessTotals])
    lost: dict[Key, int] = field(default_factory=dict[Key, int])

    def add(self, source: Source, from_ns: int, to_ns: int) -> None:
        """Add what happened in a period."""
        _add_all(
            self.calls,
            (((one.caller, one.callee), one) for one in source.calls(from_ns, to_ns)),
            CALLS_MAX,
        )
        found = source.statements(from_ns, to_ns)
        _add_all(
            self.statements,
            (((one.database, one.fingerprint, one.caller), one) for one in found),
            STATEMENTS_MAX,
        )
        stations = source.stations(from_ns, to_ns)
        _add_all(
            self.stations,
            (((one.worker, one.used.name, one.used.kind), one.used) for one in stations),
            STATIONS_MAX,
        )
        workers = source.workers(from_ns, to_ns)
        _add_all(self.workers, (((one.name,), one.used) for one in workers), WORKERS_MAX)
        for kind, lost in source.lost(from_ns, to_ns).items():
            self.lost[(kind,)] = self.lost.get((kind,), 0) + lost

    def copy(self) -> Sums:
        """Sums that may be added to: adding makes new values, and leaves these as they are."""
        return Sums(
            dict(self.calls),
            dict(self.statements),
            dict(self.stations),
            dict(self.workers),
            dict(self.lost),
        )


def _add_all(known: dict[Key, T], found: Iterable[tuple[Key, T]], keys_max: int) -> None:
    """Add values; past so many keys, all new ones are one."""
    for key, one in found:
        at = key
        if at not in known and len(known) >= keys_max:
            # Routes stay apart from what is called: they have no caller.
            at = tuple(OTHER if part else "" for part in key)
        known[at] = _added(known[at], one) if at in known else _renamed(one, key, at)


def _renamed(one: T, key: Key, at: Key) -> T:
    if key == at:
        return one
    changed = {
        name: OTHER
        for name in one.__struct_fields__
        if isinstance(value := getattr(one, name), str) and value
    }
    return msgspec.structs.replace(one, **changed)


def _added(first: T, second: T) -> T:
    """Two sums as one, which is new."""
    changed: dict[str, object] = {}
    for name in first.__struct_fields__:
        mine, theirs = getattr(first, name), getattr(second, name)
        if name in _LATEST:
            changed[name] = theirs
        elif isinstance(mine, dict):
            changed[name] = _buckets(mine, theirs)  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(mine, int | float):
            changed[name] = mine + theirs
    return msgspec.structs.replace(first, **changed)


def _buckets(mine: dict[int, int], theirs: dict[int, int]) -> dict[int, int]:
    found = dict(mine)
    for bucket, count in theirs.items():
        found[bucket] = found.get(bucket, 0) + count
    return found


class Growing:
    """Sums since it was made; for one thread at a time.

    Args:
        source: Of sums of periods.
        now_ns: Wall clock.

    Attributes:
        began_ns: Since when it counts.
    """

    def __init__(self, source: Source, now_ns: int) -> None:
        self._source = source
        self.began_ns = now_ns // WINDOW_NS * WINDOW_NS
        self._until_ns = self.began_ns
        self._whole = Sums()

    def sums(self, now_ns: int) -> Sums:
        """The sums up to this moment."""
        settled_ns = (now_ns - SETTLING_NS) // WINDOW_NS * WINDOW_NS
        if settled_ns > self._until_ns:
            whole = self._whole.copy()
            whole.add(self._source, self._until_ns, settled_ns)
            self._whole, self._until_ns = whole, settled_ns
        found = self._whole.copy()
        if now_ns > self._until_ns:
            found.add(self._source, self._until_ns, now_ns + 1)
        return found
