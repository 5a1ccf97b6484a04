"""Which stations a model has, in which order, and which processes use which."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from outgrow.capacity.model import Station
from outgrow.capacity.python import most, python_shares
from outgrow.capacity.sums import CPU, LOOP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.capacity.evidence import Evidence
    from outgrow.capacity.sums import Floats, Sums

CPU_PREFIX = "cpu "
GIL_PREFIX = "gil "
GIL_SHARE_MIN = 0.1
"""A GIL is a station of its own where Python in threads may take this share of the process's CPU
time; with less it is the loop by another name."""
_RANK = {
    "cpu": 0,
    "gil": 1,
    "loop": 2,
    "downstream": 3,
    "lock": 3,
    "queue": 3,
    "pool": 4,
    "threads": 5,
    "bulkhead": 6,
}


@dataclass
class Layout:
    """Stations, those within others first.

    Attributes:
        places: The place of each by name.
        loops: Places of the loops of each group.
        cpus: Places of the machines' cores.
        python_shares: For each group with a GIL of its own, how probable it is that such a share of
            what its threads compute is Python, see `python.SHARES`.
        unexplained_seconds: CPU time that belongs to no station.
    """

    stations: tuple[Station, ...]
    places: dict[str, int]
    loops: dict[str, list[int]]
    cpus: frozenset[int]
    python_groups: frozenset[str]
    python_shares: dict[str, Floats]
    unexplained_seconds: float = 0.0
    _hosts: dict[str, list[int]] = field(default_factory=dict[str, list[int]])

    def hosts_of(self, group: str) -> list[int]:
        """Stations whose holders may take CPU time of a group's processes, off the loop."""
        wanted = ("threads",) if group in self.python_groups else ("pool", "lock")
        return [
            place
            for place, station in enumerate(self.stations)
            if station.kind in wanted
            if station.process == group or group not in self.python_groups
            if station.works_in in ("", group)
        ]

    def with_variability(self, ratios: Sequence[float]) -> tuple[Station, ...]:
        """The stations, each with its squared coefficient of variation."""
        pairs = zip(self.stations, ratios, strict=True)
        return tuple(
            one if one.is_shared_out else replace(one, variability=ratio) for one, ratio in pairs
        )


def layout_of(evidence: Evidence, sums: Sums) -> Layout:
    """The stations that the evidence speaks of, and those that follow from its processes."""
    python: dict[str, Floats] = {}
    found = _cores(evidence, sums) + _gils(sums, python)
    machines = {group: process.machine for group, process in sums.processes.items()}
    found += [
        Station(
            name=one.name,
            kind=one.kind,
            capacity=one.capacity,
            replicas=one.replicas,
            machine=machines.get(one.group, ""),
            process=one.group,
            works_in=one.works_in,
        )
        for one in sums.stations.values()
        if one.kind not in ("cpu", "gil")
    ]
    depths = _depths([one.name for one in found], list(sums.nesting))
    found.sort(
        key=lambda one: (min(_RANK[one.kind], 3), depths[one.name], _RANK[one.kind], one.name)
    )
    places = {one.name: place for place, one in enumerate(found)}
    loops: dict[str, list[int]] = {}
    for place, one in enumerate(found):
        if one.kind == "loop":
            loops.setdefault(one.process, []).append(place)
    return Layout(
        stations=tuple(found),
        places=places,
        loops=loops,
        cpus=frozenset(place for place, one in enumerate(found) if one.kind == "cpu"),
        python_shares=python,
        python_groups=frozenset(
            group for group, process in sums.processes.items() if process.is_python
        ),
    )


def _cores(evidence: Evidence, sums: Sums) -> list[Station]:
    cores = {machine.name: machine.cores for machine in evidence.machines}
    names = {process.machine for process in sums.processes.values()} | set(cores)
    return [
        Station(
            name=CPU_PREFIX + name,
            kind="cpu",
            capacity=cores.get(name, 1),
            is_shared_out=True,
            machine=name,
        )
        for name in sorted(names)
    ]


def _gils(sums: Sums, python: dict[str, Floats]) -> list[Station]:
    """A GIL for each group whose threads may compute much in Python; notes how probably they do."""
    found: list[Station] = []
    threaded = {one.group for one in sums.stations.values() if one.kind == "threads"}
    for group, process in sums.processes.items():
        total, loop = sums.process[group].sum(axis=0)[[CPU, LOOP]]
        if not process.is_python or group not in threaded or total <= loop:
            continue
        shares = python_shares(sums, group)
        if most(shares) * (total - loop) > GIL_SHARE_MIN * total:
            python[group] = shares
            found.append(
                Station(
                    name=GIL_PREFIX + group,
                    kind="gil",
                    replicas=process.workers,
                    is_shared_out=True,
                    machine=process.machine,
                    process=group,
                )
            )
    return found


def _depths(names: list[str], nestings: list[tuple[str, str]]) -> dict[str, int]:
    """How many stations deep each reaches; what holds nothing is 0."""
    depths = dict.fromkeys(names, 0)
    for _ in names:
        for outer, inner in nestings:
            if outer in depths and inner in depths and depths[outer] <= depths[inner]:
                depths[outer] = min(depths[inner] + 1, len(names))
    return depths
