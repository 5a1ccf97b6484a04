"""Which patterns may move a limit, each as large as it takes to bear so much traffic.

What a pattern is worth is for `rank` to say; here stands which ones come into question for a kind
of station where nothing is written anew (`recoding` has the others), and what must be done by hand
where no pattern is known.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from outgrow.capacity.background import SUBSCRIPTION
from outgrow.capacity.latency import mean_seconds
from outgrow.capacity.limits import station_limits
from outgrow.capacity.patterns.moving import SplitOut
from outgrow.capacity.patterns.recoding import recoded, service_of
from outgrow.capacity.patterns.sizing import (
    AdmissionLimit,
    BiggerMachine,
    BiggerPool,
    Replicate,
)
from outgrow.capacity.patterns.traits import Traits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from outgrow.capacity.model import Model, Station
    from outgrow.capacity.patterns.pattern import Pattern

REPLICAS_PER_CORE_MAX = 4
"""More workers than this wait for one another's cores."""
SLOTS_MAX = 1024
CORES_MAX = 256
SPLIT_SHARE_MIN, SPLIT_SHARE_MAX = 0.1, 0.9
"""A service with less of a loop relieves it too little; one with more leaves nothing behind."""
_OF_WORKERS = ("loop", "gil", "threads", "pool", "bulkhead", "queue")
_OF_SLOTS = ("threads", "pool", "bulkhead", "downstream", "queue")
BY_HAND: dict[str, str] = {
    "lock": "hold it for less: write many rows in one transaction, and compute before it begins; or"
    " give its writers databases of their own, or PostgreSQL",
    "queue": "give its queue more concurrency, or make each run of it shorter",
}
"""What to do where the model has no pattern for a kind of station."""


def patterns_for(
    model: Model, station: str, calls_per_second: float, traits: Traits | None = None
) -> tuple[Pattern, ...]:
    """Patterns that may have a station bear so many calls of all classes a second.

    Args:
        model: With its draws; each pattern is made large enough for 19 of 20 of them.
        station: The limit.
        calls_per_second: That it shall bear.
        traits: What else was seen of the system.

    Returns:
        Settings and placement first, then what changes code, then what moves data; none where
        nothing is known to move it.
    """
    place = model.index(station)
    bears = float(np.quantile(station_limits(model)[:, place], 0.05, method="inverted_cdf"))
    times = calls_per_second / max(bears, 1e-9)
    if times <= 1:
        return ()
    one = model.stations[place]
    return (*_sized(model, one, times), *recoded(model, one, times, traits or Traits()))


def _sized(model: Model, one: Station, times: float) -> Iterator[Pattern]:
    if one.kind in _OF_SLOTS and not one.name.startswith(SUBSCRIPTION):
        capacity = min(math.ceil(one.capacity * times), SLOTS_MAX)
        if capacity > one.capacity:
            yield BiggerPool(station=one.name, capacity=capacity)
    if one.kind == "cpu":
        cores = min(math.ceil(one.capacity * times), CORES_MAX)
        if cores > one.capacity:
            yield BiggerMachine(station=one.name, cores=cores, before=one.capacity)
    if one.kind in _OF_WORKERS and one.process:
        most = max(one.replicas, REPLICAS_PER_CORE_MAX * _cores_of(model, one.machine))
        replicas = min(math.ceil(one.replicas * times), most)
        if replicas > one.replicas:
            yield Replicate(process=one.process, replicas=replicas, before=one.replicas)
    if one.kind in ("loop", "gil") and one.process:
        yield from _splits(model, one)


def _cores_of(model: Model, machine: str) -> int:
    return (
        sum(one.capacity for one in model.stations if one.kind == "cpu" and one.machine == machine)
        or 1
    )


def _splits(model: Model, loop: Station) -> Iterator[Pattern]:
    """Services that take much of a loop, and leave much to others."""
    taken = _seconds_by_service(model, loop)
    total = sum(taken.values())
    for service, seconds in sorted(taken.items(), key=lambda pair: -pair[1]):
        if service and total and SPLIT_SHARE_MIN <= seconds / total <= SPLIT_SHARE_MAX:
            names = {name for one in model.classes for name in one.visits}
            yield SplitOut(
                operations=tuple(sorted(n for n in names if service_of(n) == service)),
                process=loop.process,
                name=service,
            )


def _seconds_by_service(model: Model, loop: Station) -> dict[str, float]:
    """Seconds of a loop by service, of a mean call; what is no service under `""`."""
    metered = model.operation_seconds.get(loop.name) or model.operation_uses.get(loop.name, {})
    found: dict[str, float] = {}
    for one, share in zip(model.classes, model.mix[0], strict=True):
        for name, many in one.visits.items():
            service = service_of(name)
            found[service] = found.get(service, 0.0) + metered.get(name, 0.0) * many * float(share)
    return found


def admission_limit(model: Model, knee_per_second: float) -> AdmissionLimit:
    """What lets in so many calls a second: those at once in each worker of the group of the edge.

    Source:
        Little's law, N = X R: E. Lazowska and others, Quantitative System Performance,
        Prentice-Hall 1984, section 3.3.
    """
    best = model.first_draws(1)
    entries = {one.name for one in best.classes}
    edge = max(
        (one for one in best.stations if one.kind == "loop"),
        key=lambda one: len(entries & best.operation_uses.get(one.name, {}).keys()),
    )
    mean = float((mean_seconds(best, np.array([knee_per_second])) * best.mix).sum())
    return AdmissionLimit(
        calls_per_second=knee_per_second,
        in_flight=max(1, math.floor(knee_per_second * mean / edge.replicas)),
        process=edge.process,
    )
