"""What a pattern costs: workers, memory, cores, and money where prices are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from outgrow.capacity.patterns.moving import OwnDatabase
from outgrow.capacity.solve import solve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from outgrow.capacity.model import Model
    from outgrow.capacity.patterns.pattern import Pattern

HOURS_PER_MONTH = 730.0
WORKER_MEMORY_BYTES = 128 * 1024 * 1024
"""Of one more worker, where it was not measured."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What things cost, in one currency; 0 for what costs nothing.

    Attributes:
        cpu_hour: One core at work for an hour.
        memory_gb_hour: Memory of 1 GiB for an hour.
        database_month: One database for a month.
        currency: Its name, for people.
    """

    cpu_hour: float = 0.0
    memory_gb_hour: float = 0.0
    database_month: float = 0.0
    currency: str = ""

    def per_month(self, *, cores: float, memory_bytes: float, databases: int) -> float:
        """What so much of each costs in a month."""
        hourly = cores * self.cpu_hour + memory_bytes / 2**30 * self.memory_gb_hour
        return hourly * HOURS_PER_MONTH + databases * self.database_month


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What is needed more; negative where something is saved.

    Attributes:
        cores: CPU load at the traffic of now.
        money_per_month: None without prices.
    """

    workers: int
    memory_bytes: int
    cores: float
    databases: int
    money_per_month: float | None


def cost_of(
    pattern: Pattern,
    before: Model,
    after: Model,
    prices: Prices | None,
    worker_memory_bytes: int = WORKER_MEMORY_BYTES,
) -> Cost:
    """The cost of a pattern at the traffic of now.

    Args:
        pattern: That was applied.
        before: The system without it.
        after: The system with it.
        prices: None where nobody said any.
        worker_memory_bytes: That one worker takes.
    """
    calls = np.array([before.calls_per_second])
    each = [cores_at(one.first_draws(1), calls)[0] for one in (after, before)]
    cores = float(each[0] - each[1])
    memory_bytes = pattern.workers * worker_memory_bytes
    databases = int(isinstance(pattern, OwnDatabase))
    return Cost(
        workers=pattern.workers,
        memory_bytes=memory_bytes,
        cores=cores,
        databases=databases,
        money_per_month=None
        if prices is None
        else prices.per_month(cores=cores, memory_bytes=memory_bytes, databases=databases),
    )


def cores_at(model: Model, calls_per_second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean number of cores that so much traffic keeps busy, on all machines; [draws].

    Busy cores that slow one another down are counted as they would be then. No machine has more
    busy than it has.
    """
    solved = solve(model, calls_per_second)
    busy = np.zeros(model.draws)
    for place, one in enumerate(model.stations):
        if one.kind == "cpu":
            busy += np.minimum(solved.load_ratio[:, place], 1.0) * one.capacity
    return busy
