"""Evidence from the observer: what its archive keeps of each window, as the model takes it.

The archive tells of workers; here they are groups, whose stations are one with replicas. What has
one for all workers, the lock of a database file, is one station. Names of operations, links and
stations stay those that people see elsewhere.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING, get_args

from outgrow.capacity.background import CONCURRENCY, SLOTS, Background, is_runner
from outgrow.capacity.evidence import (
    ArrivalWindow,
    Kind,
    LinkWindow,
    Machine,
    OperationWindow,
    ProcessWindow,
    Recorded,
    StatementWindow,
    StationWindow,
    Window,
)
from outgrow.telemetry import quantile_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from outgrow.telemetry import (
        Backlog,
        CallSum,
        StatementTotals,
        StationTotals,
        WindowSum,
        WorkerSum,
    )

WINDOW_SECONDS = 10.0
_WHOLE_RATIO = 0.25
# What a group runs that has the edge; and its name, where no plan gives it another.
_EDGE = "web"
_KINDS: tuple[str, ...] = get_args(Kind)
STATEMENTS_MAX = 500
_SECOND_NS = 1e9
_WINDOW_NS = 10**10


def observed(
    windows: Sequence[WindowSum],
    workers: Iterable[WorkerSum],
    runs: Mapping[str, Sequence[str]] | None = None,
    slowdowns: Mapping[str, tuple[float, ...]] | None = None,
    backlogs: Sequence[Backlog] = (),
) -> Recorded:
    """Evidence of grade `exact`.

    Args:
        windows: Of 10 s, as the archive gives them.
        workers: Those that reported in them.
        runs: The services of each group, by its name; where it is not known, each group is taken to
            run all that was called.
        slowdowns: Of each machine that was calibrated, see `Machine`.
        backlogs: What waited in queues, oldest first.
    """
    crew = {each.epoch: each for each in workers}
    background = Background(
        (call for window in windows for call in window.calls),
        {each.used.name for window in windows for each in window.stations},
    )
    reading = _Reading(crew, runs or {}, background, backlogs)
    cores: dict[str, int] = {}
    for window in windows:
        _note_cores(cores, window, reading)
    return Recorded(
        recorded=tuple(reading.window(each) for each in windows),
        machines=tuple(
            Machine(name=name, cores=count, slowdown_ratio=(slowdowns or {}).get(name, ()))
            for name, count in sorted(cores.items())
        ),
    )


def _note_cores(cores: dict[str, int], window: WindowSum, reading: _Reading) -> None:
    for station in window.stations:
        if station.used.kind == "cpu" and station.used.capacity:
            for machine in reading.machines_of(group_of(station.worker)):
                cores[machine] = station.used.capacity


def statements_of(totals: Iterable[StatementTotals]) -> tuple[StatementWindow, ...]:
    """The 500 statements of a period that took most, each with the service that runs it."""
    most = sorted(totals, key=lambda each: -each.duration_ns)[:STATEMENTS_MAX]
    return tuple(
        StatementWindow(
            database=each.database,
            fingerprint=each.fingerprint,
            text=each.text,
            caller=each.caller,
            service=service_of(each.caller),
            reads=tuple(each.reads),
            writes=tuple(each.writes),
            calls=each.calls,
            rows=each.rows,
            duration_seconds=each.duration_ns / _SECOND_NS,
            buckets=each.buckets,
            per_parent=each.per_parent,
        )
        for each in most
    )


def service_of(caller: str) -> str:
    """The service of an operation, `edge` for a route; empty for what is neither."""
    if is_operation(caller):
        return caller.partition(".")[0]
    return "edge" if " " in caller else ""


def group_of(worker: str) -> str:
    """The group that a worker belongs to, by its name."""
    return worker.rpartition("/")[0] or worker


def is_operation(callee: str) -> bool:
    """Whether this is an operation of a service, rather than a route or what lies outside."""
    return " " not in callee and "." in callee


class _Reading:
    """Turns windows over; knows which processes there were."""

    def __init__(
        self,
        crew: Mapping[str, WorkerSum],
        runs: Mapping[str, Sequence[str]],
        background: Background,
        backlogs: Iterable[Backlog],
    ) -> None:
        self._crew = crew
        self._background = background
        self._backlogs: dict[int, dict[str, Backlog]] = {}
        self._bounds: dict[str, int] = {}
        for one in backlogs:
            window_ns = int(one.at_ns // _WINDOW_NS * _WINDOW_NS)
            self._backlogs.setdefault(window_ns, {})[one.queue] = one
            self._bounds[one.queue] = one.concurrency
        self._homes = {
            service.replace("_", "").lower(): group
            for group, services in runs.items()
            for service in services
        }

    def machines_of(self, group: str) -> set[str]:
        return {each.machine for each in self._crew.values() if each.group == group}

    def window(self, one: WindowSum) -> Window:
        """One window."""
        told = [each.seconds for each in one.processes]
        stations = self._stations(one)
        backlogs = self._backlogs.get(one.at_ns, {})
        return Window(
            at_seconds=one.at_ns / _SECOND_NS,
            seconds=fmean(told) if told else WINDOW_SECONDS,
            operations=tuple(_operations(one.calls)),
            links=(*_links(one.calls), *self._background.links(one.calls)),
            stations=(*stations, *_concurrency(stations, self._bounds)),
            processes=tuple(self._processes(one)),
            arrivals=tuple(
                ArrivalWindow(
                    operation=each.operation,
                    parts=each.parts,
                    total=each.total,
                    squares=each.squares,
                    neighbours=each.neighbours,
                )
                for each in one.arrivals
            ),
            statements=statements_of(one.statements),
            queues=tuple(self._background.queues(one.calls, stations, backlogs)),
            is_whole=bool(told)
            and all(abs(each / WINDOW_SECONDS - 1) < _WHOLE_RATIO for each in told),
        )

    def _processes(self, one: WindowSum) -> list[ProcessWindow]:
        found: list[ProcessWindow] = []
        groups: dict[tuple[str, str], list[int]] = {}
        for place, each in enumerate(one.processes):
            worker = self._crew.get(each.epoch)
            if worker is not None:
                groups.setdefault((worker.group, worker.machine), []).append(place)
        for (group, machine), places in groups.items():
            used = [one.processes[place].used for place in places]
            waits = [quantile_ms(each.gil_waits, 0.5) for each in used]
            known = [each for each in waits if each is not None]
            found.append(
                ProcessWindow(
                    group=group,
                    machine=machine,
                    workers=len(used),
                    cpu_seconds=sum(each.user_ns + each.system_ns for each in used) / _SECOND_NS,
                    loop_cpu_seconds=sum(each.loop_cpu_ns for each in used) / _SECOND_NS,
                    run_queue_seconds=sum(each.run_queue_ns for each in used) / _SECOND_NS,
                    gil_wait_p50_seconds=fmean(known) / 1e3 if known else None,
                    gc_seconds=sum(each.gc_ns for each in used) / _SECOND_NS,
                    memory_bytes=sum(each.memory_bytes for each in used),
                    loop_lags=_summed(each.loop_lags for each in used),
                )
            )
        return found

    def _stations(self, one: WindowSum) -> list[StationWindow]:
        groups: dict[tuple[str, str, str], list[StationTotals]] = {}
        for each in one.stations:
            used = each.used
            if used.kind in _KINDS and used.kind not in ("cpu", "gil"):
                group = "" if used.kind == "lock" else group_of(each.worker)
                groups.setdefault((group, used.name, used.kind), []).append(used)
        homes: dict[str, int] = {}
        for _, name, _ in groups:
            homes[name] = homes.get(name, 0) + 1
        runs = self._runs_of(one.calls)
        unknown = {} if self._homes else runs[""]
        jobs = {
            name + SLOTS: {callee: run.calls for callee, run in ran.items()}
            for name, ran in self._background.runs(one.calls).items()
        }
        crews = Counter(
            worker.group for each in one.processes if (worker := self._crew.get(each.epoch))
        )
        return [
            _loop(group, used, runs.get(group, unknown), max(len(used), crews[group]))
            if kind == "loop"
            else _station(
                name if homes[name] == 1 else f"{name} of {group}",
                group,
                used,
                # Workers of several machines may have one name.
                max(len(used), crews[group]) if group else 1,
                jobs.get(name, {}),
            )
            for (group, name, kind), used in groups.items()
        ]

    def _runs_of(self, calls: Iterable[CallSum]) -> dict[str, dict[str, int]]:
        """Calls by operation that enter the loop of each group; under `""` those of all."""
        found: dict[str, dict[str, int]] = {"": {}}
        edge = self._homes.get(_EDGE, _EDGE)
        for each in calls:
            if each.caller == "" or is_operation(each.callee):
                home = edge
                if each.caller:
                    service = each.callee.partition(".")[0].lower()
                    home = self._homes.get(service, edge)
                for group in ("", home):
                    mine = found.setdefault(group, {})
                    mine[each.callee] = mine.get(each.callee, 0) + each.calls
        return found


def _loop(
    group: str, used: Sequence[StationTotals], runs: Mapping[str, int], replicas: int
) -> StationWindow:
    """A group's loops. A call is one use: how often it comes back to the loop is not counted."""
    served = sum(runs.values())
    hold = sum(each.busy_ns for each in used) / _SECOND_NS
    return StationWindow(
        name=f"loop {group}",
        kind="loop",
        replicas=replicas,
        group=group,
        served=served,
        busy_seconds=hold,
        hold_seconds=hold,
        # The times of its uses are not told apart; they vary as chance would have them.
        hold_squared_s2=2 * hold * hold / served if served else 0.0,
        # What was tried at the loop 20 times a second waited as its calls did.
        wait_seconds=served * _mean_wait_seconds(used),
        waits=_summed(each.waits for each in used),
        by_operation=dict(runs),
    )


def _mean_wait_seconds(used: Sequence[StationTotals]) -> float:
    return sum(each.wait_ns for each in used) / max(1, sum(each.served for each in used)) / 1e9


def _station(
    name: str,
    group: str,
    used: Sequence[StationTotals],
    replicas: int,
    by_operation: Mapping[str, int],
) -> StationWindow:
    first = used[0]
    kind: Kind = first.kind  # pyright: ignore[reportAssignmentType] # looked at before
    return StationWindow(
        name=name,
        kind=kind,
        capacity=max(1, *(each.capacity for each in used)),
        replicas=replicas,
        group=group,
        served=sum(each.served for each in used),
        rejected=sum(each.rejected for each in used),
        busy_seconds=sum(each.busy_ns for each in used) / _SECOND_NS,
        hold_seconds=sum(each.hold_ns for each in used) / _SECOND_NS,
        hold_squared_s2=sum(each.hold_squared_s2 for each in used),
        nested_wait_seconds=sum(each.nested_wait_ns for each in used) / _SECOND_NS,
        wait_seconds=sum(each.wait_ns for each in used) / _SECOND_NS,
        waits=_summed(each.waits for each in used),
        queue_max=max(each.queue_max for each in used),
        by_operation=dict(by_operation),
    )


def _concurrency(
    stations: Sequence[StationWindow], bounds: Mapping[str, int]
) -> list[StationWindow]:
    """Of each queue that is bound over all machines: that bound, which all workers share."""
    found: list[StationWindow] = []
    for name, bound in bounds.items():
        mine = [one for one in stations if one.name.partition(SLOTS)[0] == name]
        if bound and mine:
            found.append(
                replace(
                    mine[0],
                    name=name + CONCURRENCY,
                    group="",
                    capacity=bound,
                    replicas=1,
                    served=sum(one.served for one in mine),
                    busy_seconds=sum(one.busy_seconds for one in mine),
                    hold_seconds=sum(one.hold_seconds for one in mine),
                    hold_squared_s2=sum(one.hold_squared_s2 for one in mine),
                    nested_wait_seconds=sum(one.nested_wait_seconds for one in mine),
                    wait_seconds=0.0,
                    waits={},
                )
            )
    return found


def _operations(calls: Iterable[CallSum]) -> list[OperationWindow]:
    sums: dict[str, list[CallSum]] = {}
    for each in calls:
        is_route = each.caller == "" and not each.callee.startswith("WEBSOCKET ")
        if is_route or is_operation(each.callee):
            sums.setdefault(each.callee, []).append(each)
    return [
        OperationWindow(
            name=name,
            is_entry=some[0].caller == "",
            calls=sum(each.calls for each in some),
            errors=sum(each.errors for each in some),
            refused=sum(each.refused for each in some),
            duration_seconds=sum(each.duration_ns for each in some) / _SECOND_NS,
            buckets=_summed(each.buckets for each in some),
            metered=sum(each.metered for each in some),
            loop_seconds=sum(each.loop_ns for each in some) / _SECOND_NS,
            is_background=any(is_runner(each.caller) for each in some),
        )
        for name, some in sums.items()
    ]


def _links(calls: Iterable[CallSum]) -> list[LinkWindow]:
    return [
        LinkWindow(
            caller=each.caller,
            callee=each.callee,
            calls=each.calls,
            errors=each.errors,
            attempts=each.calls + each.hedges + each.retries,
            duration_seconds=each.duration_ns / _SECOND_NS,
            buckets=each.buckets,
            bytes=each.sent_bytes + each.received_bytes,
            per_parent=each.per_parent,
            is_remote=each.crossed > 0,
        )
        for each in calls
        if each.caller and not is_runner(each.caller)
    ]


def _summed(several: Iterable[Mapping[int, int]]) -> dict[int, int]:
    found: dict[int, int] = {}
    for buckets in several:
        for bucket, count in buckets.items():
            found[bucket] = found.get(bucket, 0) + count
    return found
