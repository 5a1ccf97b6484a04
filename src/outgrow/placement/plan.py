"""Which group runs what, with how many workers: a decision that can change while all of it runs.

A plan is a value. Changing it makes another plan, and the fleet brings its workers from the one to
the other; so what a change will do can be printed before it is done, and undone after.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from outgrow.errors import RefusedError
from outgrow.model import Replicas

if TYPE_CHECKING:
    from collections.abc import Iterable

EDGE = "web"
BUSY_PERCENT = 60.0
GROUP_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
GROUP_NAME_HINT = "Use small letters, digits, `-` and `_`, up to 32 of them"
GROUPS_MAX = 64
_ONE = Replicas(1, 1)


@dataclass(frozen=True, kw_only=True)
class Group:
    """Workers that run the same.

    Attributes:
        name: Workers are named after it: `web/1`.
        runs: Names of services, and `web` for the edge; sorted.
        replicas: How many workers.
        busy_percent: Busy share that scaling aims at; 0 to 100.
    """

    name: str
    runs: tuple[str, ...]
    replicas: Replicas = _ONE
    busy_percent: float = BUSY_PERCENT

    @property
    def has_edge(self) -> bool:
        """Whether outsiders enter through it."""
        return EDGE in self.runs

    @property
    def services(self) -> tuple[str, ...]:
        """The services among what it runs."""
        return tuple(name for name in self.runs if name != EDGE)


@dataclass(frozen=True)
class Plan:
    """All groups of an app.

    Attributes:
        groups: That with the edge first; each has something to run, and nothing runs in two.
    """

    groups: tuple[Group, ...]

    def __post_init__(self) -> None:
        """Refuse what no group can be, as a file may hold it.

        Raises:
            ValueError: It makes no sense.
        """
        if not (self.groups and self.groups[0].has_edge):
            raise ValueError("the first group of a plan has the edge")
        if not all(1 <= each.replicas.min <= each.replicas.max for each in self.groups):
            raise ValueError("a group of a plan has no workers")

    @property
    def edge(self) -> Group:
        """The group through which outsiders enter."""
        return self.groups[0]

    @property
    def is_split(self) -> bool:
        """Whether there is more than one group."""
        return len(self.groups) > 1

    @property
    def services(self) -> tuple[str, ...]:
        """All that it says a home of, besides the edge."""
        return tuple(name for group in self.groups for name in group.services)

    def group(self, name: str) -> Group | None:
        """The group of this name."""
        return next((each for each in self.groups if each.name == name), None)

    def home_of(self, name: str) -> Group | None:
        """The group that runs a service."""
        return next((each for each in self.groups if name in each.runs), None)

    def completed(self, services: Iterable[str], *, drops_others: bool = False) -> Plan:
        """The plan with all services of the app: those that it does not name run with the edge.

        Args:
            services: Of the app.
            drops_others: Leave out what the app does not have, rather than to refuse it.

        Raises:
            RefusedError: It names one that the app does not have.
        """
        known = sorted(services)
        others = set(self.services) - set(known)
        if others and not drops_others:
            name = min(others)
            home = self.home_of(name)
            raise RefusedError(
                f"the group `{home and home.name}` runs `{name}`, which is no service of the app",
                hint=f"Services: {', '.join(known) or 'none'}",
            )
        homeless = [name for name in known if self.home_of(name) is None]
        left = [_running(each, set(each.runs) - others) for each in self.groups]
        return self._with(_running(left[0], [*left[0].runs, *homeless]), *left[1:])

    # Changes.

    def moved(self, service: str, to: str) -> Plan:
        """The plan with a service in another group, which is made if there is none.

        Raises:
            RefusedError: There is no such service, or there can be no such group.
        """
        home = self.home_of(service)
        if home is None or service == EDGE:
            raise RefusedError(
                f"there is no service `{service}` to move",
                hint=f"Services: {', '.join(sorted(self.services)) or 'none'}",
            )
        if home.name == to:
            return self
        if not GROUP_NAME.fullmatch(to):
            raise RefusedError(f"`{to}` is no name for a group", hint=GROUP_NAME_HINT)
        if self.group(to) is None and len(self.groups) >= GROUPS_MAX:
            raise RefusedError(
                f"there are {GROUPS_MAX} groups, and no more can be made",
                hint="Merge some: `--merge GROUP=INTO`",
            )
        left = _running(home, [name for name in home.runs if name != service])
        there = self.group(to) or Group(name=to, runs=(), busy_percent=home.busy_percent)
        return self._with(left, _running(there, [*there.runs, service]))

    def merged(self, name: str, into: str) -> Plan:
        """The plan with all services of one group in another.

        Raises:
            RefusedError: There is no such group, or it has the edge.
        """
        group, target = self._known(name), self._known(into)
        if group.has_edge:
            raise RefusedError(
                f"`{name}` has the edge, which stays where it is",
                hint=f"Merge the other way: `{into}` into `{name}`",
            )
        if group is target:
            raise RefusedError("a group cannot be merged into itself", hint="Name two groups")
        return self._with(_running(group, []), _running(target, [*target.runs, *group.runs]))

    def resized(self, name: str, replicas: Replicas, busy_percent: float | None = None) -> Plan:
        """The plan with another number of workers in one group.

        Raises:
            RefusedError: There is no such group.
        """
        group = self._known(name)
        busy_percent = busy_percent or group.busy_percent
        return self._with(replace(group, replicas=replicas, busy_percent=busy_percent))

    def _known(self, name: str) -> Group:
        group = self.group(name)
        if group is None:
            names = ", ".join(each.name for each in self.groups)
            raise RefusedError(f"there is no group `{name}`", hint=f"Groups: {names}")
        return group

    def _with(self, *changed: Group) -> Plan:
        by_name = {group.name: group for group in (*self.groups, *changed)}
        kept = [group for group in by_name.values() if group.runs]
        return Plan(tuple(sorted(kept, key=lambda each: not each.has_edge)))

    def steps_to(self, other: Plan) -> list[str]:
        """What changes from this plan to another, in words."""
        steps: list[str] = []
        for group in other.groups:
            before = self.group(group.name)
            if before is None:
                plural = "worker" if group.replicas.max == 1 else "workers"
                steps.append(f"start group `{group.name}` with {group.replicas} {plural}")
            elif before.replicas != group.replicas:
                step = f"workers: {before.replicas} -> {group.replicas}"
                is_split = self.is_split or other.is_split
                steps.append(f"group `{group.name}`, {step}" if is_split else step)
            for service in group.services:
                home = self.home_of(service)
                if home is not None and home.name != group.name:
                    steps.append(f"move `{service}` from `{home.name}` to `{group.name}`")
        gone = [group.name for group in self.groups if other.group(group.name) is None]
        return steps + [f"stop group `{name}`" for name in gone]


def _running(group: Group, runs: Iterable[str]) -> Group:
    return replace(group, runs=tuple(sorted(set(runs))))


def whole_plan(replicas: Replicas, busy_percent: float) -> Plan:
    """The plan with everything in one group."""
    return Plan((Group(name=EDGE, runs=(EDGE,), replicas=replicas, busy_percent=busy_percent),))
