"""What an app takes: CPU, database time and workers, by request and by service, now and at N times.

CPU time is measured by process, and given to services by what the step meter saw of their
operations on the loop. Time at databases is that of statements, by who ran them. Workers are given
out as CPU is: they are there for whoever uses them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from outgrow.capacity.forecast import Interval, interval
from outgrow.capacity.metering import own_seconds
from outgrow.capacity.patterns import OwnDatabase, cores_at, service_of
from outgrow.capacity.slopes import elasticity_of
from outgrow.capacity.sums import CPU, sums_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.capacity.evidence import Evidence, StatementWindow
    from outgrow.capacity.growth import GrowthPlan
    from outgrow.capacity.patterns import Prices
    from outgrow.capacity.sums import Sums

ROUTES = "routes"
"""Stands for what routes do by themselves, outside of services."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What one service takes, or all together, for each request that strangers make.

    Attributes:
        name: Of the service; `routes` for what is in none.
        share_ratio: Of the CPU time of all.
        worker_seconds: Of workers that are there, busy or not.
    """

    name: str
    cpu_seconds: float
    database_seconds: float
    worker_seconds: float
    share_ratio: float


@dataclass(frozen=True, kw_only=True)
class Spending:
    """What an app takes.

    Attributes:
        requests_per_second: That it was measured at.
        whole: All of it.
        services: Those first that take most.
        elasticity: By how many percent CPU time rises with one percent more requests; None where
            traffic did not vary.
        memory_bytes: That workers have now.
        databases: That statements went to.
    """

    requests_per_second: float
    whole: Spent
    services: tuple[Spent, ...]
    elasticity: Interval | None
    memory_bytes: int
    databases: int


def spending_of(evidence: Evidence, statements: Sequence[StatementWindow]) -> Spending:
    """What was taken in the time of the evidence.

    Args:
        evidence: Its whole windows count.
        statements: By caller, each summed over the same time.
    """
    sums = sums_of(evidence.windows())
    calls = sums.calls[:, : len(sums.entries)].sum(axis=1)
    cpu = sum((rows[:, CPU] for rows in sums.process.values()), np.zeros(len(calls)))
    requests = max(float(calls.sum()), 1.0)
    shares = _shares(sums)
    database = _at_databases(statements)
    worker_seconds = sum(
        one.workers * window.seconds for window in sums.windows for one in window.processes
    )

    def spent(name: str, share: float, seconds: float) -> Spent:
        return Spent(
            name=name,
            cpu_seconds=float(cpu.sum()) * share / requests,
            database_seconds=seconds / requests,
            worker_seconds=worker_seconds * share / requests,
            share_ratio=share,
        )

    services = [
        spent(name, shares.get(name, 0.0), database.get(name, 0.0))
        for name in sorted(shares.keys() | database.keys())
    ]
    slope = elasticity_of(calls.tolist(), cpu.tolist())
    return Spending(
        requests_per_second=requests / max(float(sums.seconds.sum()), 1e-9),
        whole=spent("all", 1.0, sum(database.values())),
        services=tuple(sorted(services, key=lambda one: (-one.share_ratio, one.name))),
        elasticity=slope and Interval(best=slope.best, low=slope.low, high=slope.high),
        memory_bytes=sum(one.memory_bytes for one in sums.processes.values()),
        databases=len({one.database for one in statements}),
    )


def _shares(sums: Sums) -> dict[str, float]:
    """Share of all CPU time that each service takes, by its time on the loop."""
    calls = dict(zip(sums.operations, sums.calls.sum(axis=0).tolist(), strict=True))
    found: dict[str, float] = {}
    for name, seconds in own_seconds(sums).items():
        service = service_of(name) or ROUTES
        found[service] = found.get(service, 0.0) + seconds * calls.get(name, 0.0)
    total = sum(found.values())
    return {name: seconds / total for name, seconds in found.items()} if total > 0 else {}


def _at_databases(statements: Sequence[StatementWindow]) -> dict[str, float]:
    """Time at databases by service."""
    found: dict[str, float] = {}
    for one in statements:
        service = service_of(one.caller) or ROUTES
        found[service] = found.get(service, 0.0) + one.duration_seconds
    return found


@dataclass(frozen=True, kw_only=True)
class Bill:
    """What an app takes and costs at some traffic.

    Attributes:
        cores: That are at work on average.
        money_per_month: None without prices.
    """

    times: float
    cores: Interval
    workers_added: int
    memory_bytes: int
    databases: int
    money_per_month: Interval | None


def bill_of(
    plan: GrowthPlan,
    taken: Spending,
    *,
    times: float,
    calls_per_second: float,
    worker_memory_bytes: int,
    prices: Prices | None,
) -> Bill:
    """What the app takes after a plan, at some traffic.

    Args:
        plan: Whose steps are taken; one without steps is the app as it is.
        taken: What it takes now.
        times: The traffic over that of now.
        calls_per_second: That traffic.
        worker_memory_bytes: That one more worker takes.
        prices: None where nobody said any.
    """
    cores = cores_at(plan.end, np.full(plan.end.draws, calls_per_second))
    patterns = [step.moved.pattern for step in plan.steps]
    workers = sum(one.workers for one in patterns)
    memory_bytes = taken.memory_bytes + workers * worker_memory_bytes
    databases = taken.databases + sum(isinstance(one, OwnDatabase) for one in patterns)
    money = None
    if prices is not None:
        low = prices.per_month(cores=0.0, memory_bytes=memory_bytes, databases=databases)
        each = prices.per_month(cores=1.0, memory_bytes=0, databases=0)
        money = _interval(low + each * cores)
    return Bill(
        times=times,
        cores=_interval(cores),
        workers_added=workers,
        memory_bytes=memory_bytes,
        databases=databases,
        money_per_month=money,
    )


def _interval(drawn: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Interval:
    return interval(float(drawn[0]), drawn[1:])
