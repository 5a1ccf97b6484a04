"""From evidence to a model: how many seconds of each station one call of each class takes.

Pools, locks and limits of others: sums of holds, less what was spent waiting within them, over the
calls (ratio estimators; no intercept). Loop and CPU: the same, less an idle part for CPU alone, and
less the waits that nobody counts, which the model itself foretells for the load that was seen. How
a station's time is split over the classes: least squares over windows, with the step meter and the
counted uses as what is believed beforehand; the sums always stay those that were measured.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from outgrow.capacity.bursts import guess_bursts
from outgrow.capacity.handed import awaited_shares, run_seconds, scheduled_shares
from outgrow.capacity.host import experienced_slowdown
from outgrow.capacity.metering import operation_seconds
from outgrow.capacity.model import Bursts, Model, TrafficClass
from outgrow.capacity.python import drawn_shares
from outgrow.capacity.regress import nonnegative, split
from outgrow.capacity.solve import solve
from outgrow.capacity.stations import CPU_PREFIX, GIL_PREFIX, layout_of
from outgrow.capacity.sums import CPU, HOLD, HOLD_SQUARED, LOOP, NESTED, SERVED, Sums
from outgrow.capacity.visits import visits_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from outgrow.capacity.evidence import Evidence, OperationWindow

Floats = NDArray[np.float64]
CORRECTIONS_COUNT = 3
"""Rounds in which waits that nobody counted are foretold and taken out."""
_NET_RATIO_MIN = 0.3
"""They never take out more than the rest of this."""
_VARIABILITY_MAX = 20.0
EVENNESS_RATIO = 0.5
"""How evenly calls fall on replicas was not counted: halfway between chance and one line."""
_IDLE_RATIO_MAX = 0.98
"""What comes by the clock never takes more of a station: something is left for traffic."""


def estimate(
    evidence: Evidence,
    sums: Sums,
    weights: Floats,
    random: np.random.Generator | None = None,
) -> Model:
    """The model of each draw.

    Args:
        evidence: For its machines and its grade.
        sums: Of its windows.
        weights: How often each window counts in each draw; [draws, windows]. A row of ones is the
            best estimate.
        random: For what is known as a posterior; without it, the middle of that is taken.
    """
    return _Estimate(evidence, sums, weights, random).model()


class _Estimate:
    """One estimation; arrays have the axis of draws first."""

    def __init__(
        self,
        evidence: Evidence,
        sums: Sums,
        weights: Floats,
        random: np.random.Generator | None,
    ) -> None:
        self.evidence, self.sums, self.weights = evidence, sums, weights
        self.random = random
        self.layout = layout_of(evidence, sums)
        self.calls = weights @ sums.calls
        self.entry_calls = self.calls[:, : len(sums.entries)]
        self.seconds = weights @ sums.seconds
        self.slowdown = {one.name: one.slowdown_ratio for one in evidence.machines}
        count = len(self.layout.stations)
        self.shape = (len(weights), count)
        self.served, self.net = np.zeros(self.shape), np.zeros(self.shape)
        self.nested = np.zeros(self.shape)
        self.idle = np.zeros(self.shape)
        self.inner_uses = np.zeros((*self.shape, count))
        self.inner_seconds = np.zeros((*self.shape, count))
        self.unattributed_ratio = 0.0
        self.operation_uses = self._operation_uses()
        self.scheduled = scheduled_shares(sums, self.layout.stations, self.operation_uses)
        self.direct: dict[int, Floats | float] = {}

    def model(self) -> Model:
        self._count_stations()
        self._count_nestings()
        self._count_cores()
        model = self._assemble()
        for _ in range(CORRECTIONS_COUNT):
            model = self._corrected(model)
        return model

    def _count_stations(self) -> None:
        for place, station in enumerate(self.layout.stations):
            rows = self.sums.station.get(station.name)
            if rows is None:
                continue
            summed = self.weights @ rows
            grows = 1 - self.scheduled[place]
            self.served[:, place] = summed[:, SERVED] * grows
            self.nested[:, place] = summed[:, NESTED] * grows
            self.net[:, place] = (summed[:, HOLD] - summed[:, NESTED]) * grows
            stays = (summed[:, HOLD] - summed[:, NESTED]) * self.scheduled[place]
            most = _IDLE_RATIO_MAX * station.capacity * station.replicas
            self.idle[:, place] = np.minimum(stays / self.seconds, most)

    def _count_nestings(self) -> None:
        """Fill in what is used within what; only direct nesting stays."""
        for (outer, inner), rows in self.sums.nesting.items():
            if outer not in self.layout.places or inner not in self.layout.places:
                continue
            summed = self.weights @ rows
            key = (slice(None), self.layout.places[outer], self.layout.places[inner])
            held = np.maximum(self.served[:, self.layout.places[outer]], 1.0)
            self.inner_uses[key] = summed[:, 0] / held
            self.inner_seconds[key] = summed[:, 1] / held
        for outer in range(self.shape[1]):
            for middle in range(outer):
                share = self.inner_uses[:, outer, middle][:, None]
                self.inner_uses[:, outer] -= share * self.inner_uses[:, middle]
                self.inner_seconds[:, outer] -= share * self.inner_seconds[:, middle]
        np.maximum(self.inner_uses, 0.0, out=self.inner_uses)
        np.maximum(self.inner_seconds, 0.0, out=self.inner_seconds)

    def _count_cores(self) -> None:
        """Give the CPU time of each process to the stations whose holders took it."""
        for group, rows in self.sums.process.items():
            process = self.sums.processes[group]
            cpu = self.layout.places[CPU_PREFIX + process.machine]
            summed = self.weights @ rows
            mostly_idle = process.is_python and not self.layout.hosts_of(group)
            off_loop, idle = self._without_idle(rows[:, CPU] - rows[:, LOOP], mostly_idle)
            self.idle[:, cpu] += idle
            gil = self.layout.places.get(GIL_PREFIX + group)
            for place in self.layout.loops.get(group, ()):
                self._take_cpu(place, cpu, gil, summed[:, LOOP], 1.0)
            self._share_out(group, cpu, gil, off_loop)
        total = self.net[:, list(self.layout.cpus)].sum()
        if total > 0:
            self.unattributed_ratio = self.layout.unexplained_seconds / float(total) * self.shape[0]

    def _without_idle(self, cpu_seconds: Floats, mostly_idle: bool) -> tuple[Floats, Floats]:
        """CPU time of calls in each draw, and the mean load without any.

        Where windows do not differ, time and calls cannot be told apart: then it is taken to be of
        calls, or, in a process without threads of its own, to be idle.
        """
        calls = self.sums.calls[:, : len(self.sums.entries)].sum(axis=1)
        total = float(cpu_seconds.sum())
        counts = np.stack([self.sums.seconds, calls], axis=1)
        if total <= 0 or not calls.any():
            return np.zeros(self.shape[0]), np.zeros(self.shape[0])
        seconds = float(self.sums.seconds.sum())
        believed = np.array([total / seconds, 0.0] if mostly_idle else [0.0, total / calls.sum()])
        idle, per_call = nonnegative(counts, cpu_seconds, believed)
        explained = idle * seconds + per_call * calls.sum()
        idle *= total / max(explained, 1e-300)
        drawn = self.weights @ cpu_seconds
        idle_load = np.minimum(np.full_like(drawn, idle), drawn / self.seconds)
        return drawn - idle_load * self.seconds, idle_load

    def _share_out(self, group: str, cpu: int, gil: int | None, cpu_seconds: Floats) -> None:
        """CPU time off the loop, by own time in threads, or in pools and locks of a database."""
        places = self.layout.hosts_of(group)
        own = np.stack([self._own_seconds(place) for place in places], axis=1) if places else None
        if own is None or not own.any():
            self.served[:, cpu] += self.entry_calls.sum(axis=1) * (cpu_seconds > 0)
            self.net[:, cpu] += cpu_seconds
            self._split_direct(group, cpu, cpu_seconds)
            return
        # No more than they were held: what is beyond that ran beside the calls.
        within = np.minimum(cpu_seconds, own.sum(axis=1))
        self.idle[:, cpu] += (cpu_seconds - within) / self.seconds
        shares = own / np.maximum(own.sum(axis=1, keepdims=True), 1e-300)
        python: Floats | float = 1.0
        if gil is not None:
            known = self.layout.python_shares[group]
            python = drawn_shares(known, self.shape[0], self.random)
        for column, place in enumerate(places):
            self._take_cpu(place, cpu, gil, within * shares[:, column], python)

    def _split_direct(self, group: str, cpu: int, cpu_seconds: Floats) -> None:
        """How CPU time that no station holds falls on the classes, by least squares."""
        if group in self.layout.python_groups:
            self.layout.unexplained_seconds += float(cpu_seconds.mean())
        counts = self.sums.calls[:, : len(self.sums.entries)]
        rows = self.sums.process[group]
        seconds = rows[:, CPU] - rows[:, LOOP]
        alike = np.full(counts.shape[1], seconds.sum() / max(counts.sum(), 1.0))
        found = split(counts, seconds, alike)
        self.direct[cpu] = self.direct.get(cpu, 0.0) + found

    def _own_seconds(self, place: int) -> Floats:
        """Total time in service at a station, without that within."""
        within = self.inner_seconds[:, place].sum(axis=1) * self.served[:, place]
        return np.maximum(self.net[:, place] - within, 0.0)

    def _take_cpu(
        self, place: int, cpu: int, gil: int | None, seconds: Floats, python: Floats | float
    ) -> None:
        """Note that holders of a station took so much of a core, and of the GIL where it counts.

        `python` is the share of it in which they held the GIL.
        """
        stays = seconds * self.scheduled[place]
        seconds = seconds - stays
        self.idle[:, cpu] += stays / self.seconds
        served = np.maximum(self.served[:, place], 1.0)
        self.served[:, cpu] += self.served[:, place]
        self.net[:, cpu] += seconds
        locked = seconds * (python if gil is not None else 0.0)
        for inner, taken in ((gil, locked), (cpu, seconds - locked)):
            if inner is not None:
                self.inner_seconds[:, place, inner] += taken / served
                self.inner_uses[:, place, inner] += (taken > 0).astype(float)
        if gil is not None:
            self.idle[:, gil] += stays * python / self.seconds
            self.served[:, gil] += self.served[:, place]
            self.net[:, gil] += locked
            self.inner_uses[:, gil, cpu] = 1.0
            held = np.maximum(self.served[:, gil], 1.0)
            self.inner_seconds[:, gil, cpu] = self.net[:, gil] / held

    def _assemble(self) -> Model:
        classes = self._classes()
        uses, seconds = self._by_class(classes)
        totals = np.maximum(self.entry_calls.sum(axis=1), 1.0)
        return Model(
            classes=classes,
            stations=self.layout.with_variability(self._variability()),
            mix=self.entry_calls / totals[:, None],
            uses=uses,
            seconds=seconds,
            idle_load=self.idle,
            inner_uses=self.inner_uses,
            inner_seconds=self.inner_seconds,
            strain_ratio=np.zeros(self.shape),
            wait_error_ratio=np.ones(self.shape[0]),
            evenness_ratio=np.full(self.shape[0], EVENNESS_RATIO),
            slowdown_ratio=self.slowdown,
            bursts=self._bursts(),
            operation_uses=self.operation_uses,
            operation_seconds=operation_seconds(
                self.sums, self.layout, self.operation_uses, self.inner_seconds.mean(axis=0)
            ),
            awaited=awaited_shares(self.sums, self.layout.stations, self.operation_uses),
            grade=self.evidence.grade,
            unattributed_ratio=self.unattributed_ratio,
        )

    def _bursts(self) -> Bursts:
        guesses = guess_bursts(self.sums.windows)
        if self.random is not None:
            return guesses.drawn(self.shape[0], self.random)
        return guesses.best(self.shape[0])

    def _variability(self) -> list[float]:
        found: list[float] = []
        for station in self.layout.stations:
            rows = self.sums.station.get(station.name)
            if rows is None or not rows[:, SERVED].any():
                found.append(1.0)
                continue
            served, hold, squared = rows.sum(axis=0)[[SERVED, HOLD, HOLD_SQUARED]]
            mean = hold / served
            ratio = squared / served / mean**2 - 1 if mean > 0 else 1.0
            found.append(float(np.clip(ratio, 0.0, _VARIABILITY_MAX)))
        return found

    def _by_class(self, classes: tuple[TrafficClass, ...]) -> tuple[Floats, Floats]:
        """Uses and seconds of each station by one call of each class."""
        draws, count = self.shape
        uses, seconds = np.zeros((2, draws, count, len(classes)))
        # Cores and GILs come first in the arrays and last here: their users split them.
        for place in reversed(range(count)):
            if self.layout.stations[place].is_shared_out:
                believed = np.einsum("bk,bkc->c", self.inner_uses[:, :, place], uses)
                split = np.einsum("bk,bkc->c", self.inner_seconds[:, :, place], uses) / draws
                split = split + self.direct.get(place, 0.0)
                believed = believed / draws + (self.direct.get(place, 0.0) > np.zeros_like(split))
                if not split.any():
                    believed = split = np.ones(len(classes))
            else:
                believed = self._believed_uses(place, classes)
                split = self._split(place, believed)
                if self.layout.stations[place].kind == "queue":
                    split = self._by_run(place, believed, classes)
            uses[:, place] = self._scaled(believed, self.served[:, place])
            seconds[:, place] = self._scaled(split, self.net[:, place])
        return uses, seconds

    def _operation_uses(self) -> dict[str, dict[str, float]]:
        """Uses of each station by one run of each operation, where the evidence tells."""
        calls = dict(zip(self.sums.operations, self.sums.calls.sum(axis=0), strict=True))
        found: dict[str, dict[str, float]] = {}
        for window in self.sums.windows:
            for one in window.stations:
                by_operation = found.setdefault(one.name, {})
                for name, uses in one.by_operation.items():
                    by_operation[name] = by_operation.get(name, 0.0) + uses
        return {
            station: {
                name: uses / max(float(calls.get(name, 0.0)), 1.0) for name, uses in by.items()
            }
            for station, by in found.items()
        }

    def _believed_uses(self, place: int, classes: tuple[TrafficClass, ...]) -> Floats:
        """Uses of a station by one call of each class, by the operations that used it."""
        by_operation = self.operation_uses.get(self.layout.stations[place].name)
        if not by_operation:
            return np.ones(len(classes))
        found = self._by_visits(by_operation, classes)
        # What nobody who is known leads to is taken to grow as all traffic does.
        return found if found.any() else np.ones(len(classes))

    def _by_visits(self, each: Mapping[str, float], classes: Sequence[TrafficClass]) -> Floats:
        """What one call of each class leads to, by what one run of each operation does."""
        return np.array(
            [
                sum(each.get(name, 0.0) * many for name, many in one.visits.items())
                for one in classes
            ]
        )

    def _split(self, place: int, believed: Floats) -> Floats:
        """How the station's seconds fall on the classes, relative to one another."""
        rows = self.sums.station[self.layout.stations[place].name]
        if len(believed) == 1 or not believed.any():
            return believed
        counts = self.sums.calls[:, : len(believed)]
        net = rows[:, HOLD] - rows[:, NESTED]
        prior = believed * net.sum() / max(float((counts.sum(axis=0) * believed).sum()), 1.0)
        found = split(counts * (believed > 0), net, prior)
        return np.where(believed > 0, found, 0.0) if found.any() else believed

    def _by_run(self, place: int, believed: Floats, classes: Sequence[TrafficClass]) -> Floats:
        """How the seconds of a queue's slots fall on the classes: the time of each run is known."""
        uses = self.operation_uses.get(self.layout.stations[place].name, {})
        seconds = run_seconds(self.sums)
        found = self._by_visits(
            {name: many * seconds.get(name, 0.0) for name, many in uses.items()}, classes
        )
        return found if found.any() else believed

    def _scaled(self, per_call: Floats, totals: Floats) -> Floats:
        """Per call of each class, so that all calls of a draw add up to its total."""
        sums = self.entry_calls @ per_call
        return per_call[None, :] * (totals / np.maximum(sums, 1e-300))[:, None]

    def _classes(self) -> tuple[TrafficClass, ...]:
        entries, operations = self.sums.entries, self.sums.operations
        visits = visits_of(self.sums.windows, operations, entries)
        seen: dict[str, list[OperationWindow]] = {name: [] for name in entries}
        for window in self.sums.windows:
            for one in window.operations:
                if one.name in seen:
                    seen[one.name].append(one)
        seconds = float(self.sums.seconds.sum())
        return tuple(
            _class_of(name, seen[name], seconds, dict(zip(operations, row.tolist(), strict=True)))
            for name, row in zip(entries, visits, strict=True)
        )

    def _corrected(self, model: Model) -> Model:
        """Take out of service what was waiting that nobody counted, as the model foretells it."""
        solved = solve(model, self.entry_calls.sum(axis=1) / self.seconds)
        served = np.maximum(self.served, 1.0)
        raw, told = self.net / served, self.nested / served
        waited = solved.hold_seconds - solved.net_seconds - told
        lost = np.clip(waited, 0.0, (1 - _NET_RATIO_MIN) * raw)
        ratio = 1 - lost / np.maximum(raw, 1e-300)
        for place, station in enumerate(model.stations):
            if station.is_shared_out:
                ratio[:, place] = 1 / self._slower_now(station.machine)
        wanted = self.net * ratio
        have = np.maximum(np.einsum("bkc,bc->bk", model.seconds, self.entry_calls), 1e-300)
        return replace(
            model,
            seconds=model.seconds * (wanted / have)[:, :, None],
            inner_seconds=self.inner_seconds * ratio[:, None, :],
        )

    def _slower_now(self, machine: str) -> Floats:
        """By how much busy cores have made slower what was measured."""
        place = self.layout.places[CPU_PREFIX + machine]
        offered = self.net[:, place] / self.seconds + self.idle[:, place]
        return experienced_slowdown(self.slowdown.get(machine, ()), offered)


def _class_of(
    name: str, seen: list[OperationWindow], seconds: float, visits: dict[str, float]
) -> TrafficClass:
    calls = sum(one.calls for one in seen)
    buckets: dict[int, int] = {}
    for one in seen:
        for bucket, count in one.buckets.items():
            buckets[bucket] = buckets.get(bucket, 0) + count
    return TrafficClass(
        name=name,
        calls_per_second=calls / seconds,
        mean_seconds=sum(one.duration_seconds for one in seen) / max(calls, 1),
        buckets=buckets,
        visits={operation: count for operation, count in visits.items() if count},
    )
