"""What telemetry would have counted of a simulated system, window by window."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from outgrow.capacity.evidence import (
    ArrivalWindow,
    LinkWindow,
    NestingWindow,
    OperationWindow,
    ProcessWindow,
    StationWindow,
    Window,
)
from outgrow.telemetry import bucket_of

if TYPE_CHECKING:
    from outgrow.capacity.simulate.engine import Server
    from outgrow.capacity.simulate.running import Simulation

METERED_EVERY = 16
_PART_SECONDS = 0.1


@dataclass
class _Operation:
    is_entry: bool
    calls: int = 0
    errors: int = 0
    duration_seconds: float = 0.0
    metered: int = 0
    loop_seconds: float = 0.0
    buckets: dict[int, int] = field(default_factory=dict[int, int])


@dataclass
class _Link:
    calls: int = 0
    duration_seconds: float = 0.0


@dataclass
class _Used:
    cpu_seconds: float = 0.0
    loop_cpu_seconds: float = 0.0
    run_queue_seconds: float = 0.0


class Counts:
    """Sums since the last window."""

    def __init__(self) -> None:
        self.attempts = 0
        self._calls = 0
        self._last: dict[str, tuple[int, int]] = {}
        self._background: set[str] = set()
        self._clear()

    def _clear(self) -> None:
        self._operations: dict[str, _Operation] = {}
        self._links: dict[tuple[str, str], _Link] = defaultdict(_Link)
        self._handed: dict[tuple[str, str], int] = defaultdict(int)
        self._nestings: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0.0])
        self._used: dict[str, _Used] = defaultdict(_Used)
        self._parts: dict[str, dict[int, int]] = defaultdict(dict)

    def arrived(self, name: str, now: float) -> None:
        """A call of a class came in."""
        parts = self._parts[name]
        part = int(now / _PART_SECONDS)
        parts[part] = parts.get(part, 0) + 1

    def ended(
        self, name: str, spent: float, loop_seconds: float, *, works: bool, is_entry: bool
    ) -> None:
        """A call of an operation ended."""
        counted = self._operations.get(name)
        if counted is None:
            counted = self._operations[name] = _Operation(is_entry)
        self._calls += 1
        counted.calls += 1
        counted.errors += not works
        counted.duration_seconds += spent
        bucket = bucket_of(int(spent * 1e9))
        counted.buckets[bucket] = counted.buckets.get(bucket, 0) + 1
        if self._calls % METERED_EVERY == 0:
            counted.metered += 1
            counted.loop_seconds += loop_seconds

    def linked(self, caller: str, callee: str, spent: float) -> None:
        """One operation called another."""
        link = self._links[caller, callee]
        link.calls += 1
        link.duration_seconds += spent

    def handed(self, caller: str, callee: str) -> None:
        """One operation, or the clock, enqueued another as a job."""
        self._background.add(callee)
        self._handed[caller, callee] += 1

    def nested(self, outer: str, inner: str, hold_seconds: float) -> None:
        """A station was used while another was held."""
        nesting = self._nestings[outer, inner]
        nesting[0] += 1
        nesting[1] += hold_seconds

    def used(self, process: str, cpu_seconds: float, *, is_loop: bool = False) -> None:
        """A process took CPU time; what its loop takes is told twice."""
        if is_loop:
            self._used[process].loop_cpu_seconds += cpu_seconds
        else:
            self._used[process].cpu_seconds += cpu_seconds

    def queued(self, process: str, seconds: float) -> None:
        """A thread of a process was ready, and no core was free."""
        self._used[process].run_queue_seconds += seconds

    def window(self, simulation: Simulation, seconds: float) -> Window:
        """What was counted since the last window, which took so many seconds."""
        ends = simulation.timeline.now
        made = Window(
            at_seconds=ends - seconds,
            seconds=seconds,
            operations=tuple(
                OperationWindow(
                    name=name,
                    is_entry=counted.is_entry,
                    calls=counted.calls,
                    errors=counted.errors,
                    duration_seconds=counted.duration_seconds,
                    buckets=counted.buckets,
                    metered=counted.metered,
                    loop_seconds=counted.loop_seconds,
                    is_background=name in self._background,
                )
                for name, counted in self._operations.items()
            ),
            links=(
                *(
                    LinkWindow(
                        caller=caller,
                        callee=callee,
                        calls=link.calls,
                        duration_seconds=link.duration_seconds,
                    )
                    for (caller, callee), link in self._links.items()
                ),
                *(
                    LinkWindow(caller=caller, callee=callee, calls=count, is_background=True)
                    for (caller, callee), count in self._handed.items()
                ),
            ),
            stations=tuple(_stations(simulation)),
            nestings=tuple(
                NestingWindow(outer=outer, inner=inner, served=int(sums[0]), hold_seconds=sums[1])
                for (outer, inner), sums in self._nestings.items()
            ),
            processes=tuple(self._processes(simulation, seconds)),
            arrivals=tuple(self._arrivals(ends - seconds, seconds)),
        )
        self._clear()
        return made

    def _processes(self, simulation: Simulation, seconds: float) -> list[ProcessWindow]:
        found: list[ProcessWindow] = []
        for process in simulation.system.processes:
            used = self._used[process.name]
            idle = process.idle_ratio * process.workers * seconds
            found.append(
                ProcessWindow(
                    group=process.name,
                    machine=process.machine,
                    workers=process.workers,
                    cpu_seconds=used.cpu_seconds + idle,
                    loop_cpu_seconds=used.loop_cpu_seconds,
                    run_queue_seconds=used.run_queue_seconds,
                    is_python=process.is_python,
                )
            )
        return found

    def _arrivals(self, begins: float, seconds: float) -> list[ArrivalWindow]:
        first = round(begins / _PART_SECONDS)
        parts = range(first, first + round(seconds / _PART_SECONDS))
        found: list[ArrivalWindow] = []
        for name, counted in self._parts.items():
            counts = [counted.get(part, 0) for part in parts]
            pairs = pairwise(counts)
            found.append(
                ArrivalWindow(
                    operation=name,
                    parts=len(counts),
                    total=sum(counts),
                    squares=sum(count * count for count in counts),
                    neighbours=sum(one * other for one, other in pairs),
                )
            )
        return found


def _stations(simulation: Simulation) -> list[StationWindow]:
    """Sums since the last window, over the replicas of each station; their counters begin anew."""
    groups: dict[str, list[Server]] = defaultdict(list)
    for (name, _), server in simulation.servers.items():
        if server.place.kind != "cpu" and server.place.kind != "gil":
            groups[name].append(server)
    return [_station(servers) for servers in groups.values()]


def _station(servers: list[Server]) -> StationWindow:
    waits: dict[int, int] = defaultdict(int)
    by_operation: dict[str, int] = defaultdict(int)
    for server in servers:
        server.settle()
        for bucket, count in server.waits.items():
            waits[bucket] += count
        for name, count in server.by_operation.items():
            by_operation[name] += count
    place = servers[0].place
    made = StationWindow(
        name=place.name,
        kind=place.kind,
        capacity=place.capacity,
        replicas=len(servers),
        group=place.process,
        served=sum(server.served for server in servers),
        rejected=sum(server.rejected for server in servers),
        busy_seconds=sum(server.busy_seconds for server in servers),
        hold_seconds=sum(server.hold_seconds for server in servers),
        hold_squared_s2=sum(server.hold_squared_s2 for server in servers),
        nested_wait_seconds=sum(server.nested_wait_seconds for server in servers),
        wait_seconds=sum(server.wait_seconds for server in servers),
        waits=dict(waits),
        queue_max=max(server.queue_max for server in servers),
        by_operation=dict(by_operation),
    )
    for server in servers:
        server.mark -= server.busy_seconds
        server.busy_seconds = server.hold_seconds = server.hold_squared_s2 = 0.0
        server.nested_wait_seconds = server.wait_seconds = 0.0
        server.served = server.rejected = server.queue_max = 0
        server.waits, server.by_operation = {}, {}
    return made
