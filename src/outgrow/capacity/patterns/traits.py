"""What was seen of a system beside its model, and lets patterns come into question.

A model knows what each class asks of each station. Which operation calls which how often, whose
statements repeat, and which keys come again: that is here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outgrow.capacity.attributing import kind_and_name
from outgrow.capacity.visits import visits_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from outgrow.capacity.evidence import StatementWindow, Window
    from outgrow.capacity.model import Station
    from outgrow.capacity.patterns.reuse import ReuseDistances

Within = tuple[tuple[str, float], ...]
"""Operations, each with a share of its runs."""
SHARE_MIN = 0.01
"""Less of the runs of an operation that come from one caller do not count."""


@dataclass(frozen=True, kw_only=True)
class Repeated:
    """A statement that runs again and again in one run of its caller.

    Attributes:
        share: Of the time that its caller spends at the database.
    """

    database: str
    caller: str
    text: str
    times: float
    share: float


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What was seen of a system; what is empty was not seen.

    Attributes:
        runs: Of each operation.
        called: Calls of one operation by another in one run of it, by (caller, callee).
        jobs: Operations that run as jobs.
        handing: Operations that hand work on.
        statements: Sums of each, by caller.
        reuse: Of the keys that calls of an operation came with.
    """

    runs: Mapping[str, int] = field(default_factory=dict[str, int])
    called: Mapping[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    jobs: frozenset[str] = frozenset()
    handing: frozenset[str] = frozenset()
    statements: Sequence[StatementWindow] = ()
    reuse: Mapping[str, ReuseDistances] = field(default_factory=dict[str, "ReuseDistances"])
    _windows: Sequence[Window] = ()

    def under(self, operation: str, callee: str = "") -> Within:
        """An operation and all that it leads to, each with the share of its runs that come of it.

        Args:
            operation: That leads to them.
            callee: Only what one link leads to: that from the operation to this one.
        """
        names = list(self.runs)
        if operation not in self.runs:
            return ((operation, 1.0),)
        first, many = callee or operation, self.called.get((operation, callee), 1.0)
        row = visits_of(self._windows, names, [first], is_awaited=True)[0]
        each = {name: float(row[place]) * many for place, name in enumerate(names)}
        runs = self.runs[operation]
        shares = {name: min(1.0, one * runs / self.runs[name]) for name, one in each.items() if one}
        return tuple((name, share) for name, share in sorted(shares.items()) if share >= SHARE_MIN)

    def only_reads(self, operation: str) -> bool:
        """Whether nothing that an operation leads to was seen to change anything.

        It is known of routes that are asked by GET, and of operations whose statements were seen.
        """
        names = {name for name, _ in self.under(operation)}
        theirs = [one for one in self.statements if one.caller in names]
        if any(one.writes for one in theirs) or names & (self.handing | self.jobs):
            return False
        return bool(theirs) or operation.partition(" ")[0] in ("GET", "HEAD")

    def repeated(self, times_min: float) -> Iterator[Repeated]:
        """Statements that run so often or more in a mean run of their caller."""
        spent: dict[tuple[str, str], float] = {}
        for one in self.statements:
            key = (one.database, one.caller)
            spent[key] = spent.get(key, 0.0) + one.duration_seconds
        for one in self.statements:
            times = one.calls / max(_parents(one.per_parent), 1)
            if times >= times_min and one.per_parent:
                share = one.duration_seconds / max(spent[one.database, one.caller], 1e-12)
                yield Repeated(
                    database=one.database,
                    caller=one.caller,
                    text=one.text,
                    times=times,
                    share=share,
                )


def _parents(per_parent: Mapping[int, int]) -> int:
    return sum(per_parent.values())


def traits_of(
    windows: Sequence[Window],
    statements: Sequence[StatementWindow] = (),
    reuse: Mapping[str, ReuseDistances] | None = None,
) -> Traits:
    """What windows say of a system.

    Args:
        windows: All of them.
        statements: By caller, each summed over the windows.
        reuse: Of the keys that operations were called with.
    """
    runs: dict[str, int] = {}
    jobs: set[str] = set()
    handing: set[str] = set()
    for one in (one for window in windows for one in window.operations):
        runs[one.name] = runs.get(one.name, 0) + one.calls
        jobs |= {one.name} if one.is_background else set()
    calls: dict[tuple[str, str], int] = {}
    for link in (link for window in windows for link in window.links):
        if link.is_background:
            handing.add(link.caller)
        elif link.caller in runs and link.callee in runs:
            key = (link.caller, link.callee)
            calls[key] = calls.get(key, 0) + link.calls
    return Traits(
        runs={name: count for name, count in runs.items() if count},
        called={
            (caller, callee): count / runs[caller]
            for (caller, callee), count in calls.items()
            if count and runs[caller]
        },
        jobs=frozenset(jobs),
        handing=frozenset(handing),
        statements=tuple(statements),
        reuse=reuse or {},
        _windows=windows,
    )


def databases_of(stations: Iterable[Station], name: str) -> tuple[str, ...]:
    """Stations of the same database as one of them, by name: its pool, its write lock."""
    wanted = kind_and_name(name)[1]
    kinds = ("pool", "lock")
    return tuple(
        one.name for one in stations if one.kind in kinds and kind_and_name(one.name)[1] == wanted
    )
