"""The model of a system: what each class of traffic asks of each station.

Numbers carry a leading axis of draws: one for the best estimate, hundreds for an interval, and all
are solved at once. Axes are written `[draws, stations, classes]` and so on.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from outgrow.capacity.evidence import Buckets, Grade, Kind

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Station:
    """What has a limit.

    Attributes:
        capacity: How many one replica serves at once.
        replicas: Equal ones, among which calls are spread.
        variability: Squared coefficient of variation of the time in service.
        is_shared_out: Its users take turns in small parts (a core, the GIL), so that all are slowed
            down alike; others are served one after another.
        machine: Whose cores it is, for `cpu`; on whose cores it runs, else.
        process: The group of workers that it belongs to; empty where it belongs to none.
        works_in: The process whose CPU time its holders take, where that is known.
    """

    name: str
    kind: Kind
    capacity: int = 1
    replicas: int = 1
    variability: float = 1.0
    is_shared_out: bool = False
    machine: str = ""
    process: str = ""
    works_in: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Bursts:
    """How the rate of arrivals goes up and down around its mean; each of shape [draws].

    Attributes:
        rate_variance_ratio: Variance of the rate over its squared mean; 0 for Poisson.
        memory_seconds: How long a high rate lasts: the time in which its correlation falls to 1/e.
        peak_share: Of the time, that at the high rate.
    """

    rate_variance_ratio: Floats
    memory_seconds: Floats
    peak_share: Floats

    @classmethod
    def none(cls, draws: int) -> Bursts:
        """Traffic without any."""
        return cls(
            rate_variance_ratio=np.zeros(draws),
            memory_seconds=np.ones(draws),
            peak_share=np.full(draws, 0.5),
        )

    def first_draws(self, count: int) -> Bursts:
        """The same with the first draws alone."""
        return Bursts(
            rate_variance_ratio=self.rate_variance_ratio[:count],
            memory_seconds=self.memory_seconds[:count],
            peak_share=self.peak_share[:count],
        )


@dataclass(frozen=True, kw_only=True)
class TrafficClass:
    """One entry: a route, as a rule.

    Attributes:
        calls_per_second: Now.
        mean_seconds: Its mean time now.
        buckets: Its calls by bucket of their time, now.
        visits: How often one call of it leads to each operation.
    """

    name: str
    calls_per_second: float
    mean_seconds: float
    buckets: Buckets
    visits: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A system that can be solved for any load.

    Attributes:
        classes: Of traffic.
        stations: Those that others hold come before those that hold them.
        mix: Share of each class; [draws, classes].
        uses: Of a station by one call of a class; [draws, stations, classes].
        seconds: In service, by one call, waits left out and what is nested within included; [draws,
            stations, classes].
        idle_load: Mean number in use without any traffic; [draws, stations].
        inner_uses: Uses of the second station directly within one of the first; [draws, stations,
            stations].
        inner_seconds: In service there, by one use of the first; of the same shape.
        strain_ratio: By how much longer service takes at full load than now, for reasons that no
            evidence from low load shows; [draws, stations].
        wait_error_ratio: Waits over those foretold; [draws].
        evenness_ratio: How evenly calls fall on equal replicas: 0 at random, 1 as if they stood in
            one line; [draws].
        slowdown_ratio: Of the cores of each machine by the number that is busy.
        operation_uses: Of each station, by one run of each operation, where that was counted.
        operation_seconds: In service at each loop and GIL, by one run of each operation, without
            what it calls, where that was metered.
        awaited: Share of the uses of each station, by class, that a call waits for; the rest is of
            jobs that it enqueues. All of it where a station is missing here.
        grade: Of the evidence.
        unattributed_ratio: Largest share of a process's CPU time that no station explains.
    """

    classes: tuple[TrafficClass, ...]
    stations: tuple[Station, ...]
    mix: Floats
    uses: Floats
    seconds: Floats
    idle_load: Floats
    inner_uses: Floats
    inner_seconds: Floats
    strain_ratio: Floats
    wait_error_ratio: Floats
    evenness_ratio: Floats
    slowdown_ratio: dict[str, tuple[float, ...]]
    bursts: Bursts
    operation_uses: dict[str, dict[str, float]] = field(default_factory=dict[str, dict[str, float]])
    operation_seconds: dict[str, dict[str, float]] = field(
        default_factory=dict[str, dict[str, float]]
    )
    awaited: dict[str, Floats] = field(default_factory=dict[str, Floats])
    grade: Grade = "exact"
    unattributed_ratio: float = 0.0

    @property
    def draws(self) -> int:
        """Length of the leading axis."""
        return self.mix.shape[0]

    @property
    def calls_per_second(self) -> float:
        """Of all classes, now."""
        return sum(one.calls_per_second for one in self.classes)

    def index(self, name: str) -> int:
        """The place of a station in all arrays."""
        return [station.name for station in self.stations].index(name)

    def uses_per_call(self) -> Floats:
        """Uses of each station by a mean call; [draws, stations]."""
        return np.einsum("bkc,bc->bk", self.uses, self.mix)

    def seconds_per_call(self) -> Floats:
        """Demand: seconds of each station that a mean call takes; [draws, stations]."""
        return np.einsum("bkc,bc->bk", self.seconds, self.mix)

    def own_uses(self) -> Floats:
        """Uses by one call of a class while no other station is held; like `uses`."""
        outside = self.uses.copy()
        # Outermost first, so that what is left of an outer station is known when it is needed.
        for outer in reversed(range(len(self.stations))):
            inner = self.inner_uses[:, outer, :, None] * self.uses[:, outer, None, :]
            outside -= inner
        return np.maximum(outside, 0.0)

    def awaited_uses(self) -> Floats:
        """Those of `own_uses` that the call waits for."""
        own = self.own_uses()
        for place, station in enumerate(self.stations):
            if station.name in self.awaited:
                most = self.uses[:, place] * self.awaited[station.name]
                own[:, place] = np.minimum(own[:, place], most)
        return own

    def first_draws(self, count: int) -> Model:
        """The same with the first draws alone."""
        return replace(
            self,
            mix=self.mix[:count],
            uses=self.uses[:count],
            seconds=self.seconds[:count],
            idle_load=self.idle_load[:count],
            inner_uses=self.inner_uses[:count],
            inner_seconds=self.inner_seconds[:count],
            strain_ratio=self.strain_ratio[:count],
            wait_error_ratio=self.wait_error_ratio[:count],
            evenness_ratio=self.evenness_ratio[:count],
            bursts=self.bursts.first_draws(count),
        )


def stacked(*models: Model) -> Model:
    """The draws of several models of one system as one: solved at once, they cost little more."""

    def joined(pick: Callable[[Model], Floats]) -> Floats:
        return np.concatenate([pick(one) for one in models])

    return replace(
        models[0],
        mix=joined(lambda one: one.mix),
        uses=joined(lambda one: one.uses),
        seconds=joined(lambda one: one.seconds),
        idle_load=joined(lambda one: one.idle_load),
        inner_uses=joined(lambda one: one.inner_uses),
        inner_seconds=joined(lambda one: one.inner_seconds),
        strain_ratio=joined(lambda one: one.strain_ratio),
        wait_error_ratio=joined(lambda one: one.wait_error_ratio),
        evenness_ratio=joined(lambda one: one.evenness_ratio),
        bursts=Bursts(
            rate_variance_ratio=joined(lambda one: one.bursts.rate_variance_ratio),
            memory_seconds=joined(lambda one: one.bursts.memory_seconds),
            peak_share=joined(lambda one: one.bursts.peak_share),
        ),
    )
