"""What a pattern costs: workers, memory, and money where prices are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outgrow.capacity.forecast import Forecast
    from outgrow.capacity.model import Model
    from outgrow.capacity.patterns.pattern import Pattern

HOURS_PER_MONTH = 730.0
WORKER_MEMORY_BYTES = 128 * 1024 * 1024
"""Of one more worker, where it was not measured."""


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What things cost, in one currency.

    Attributes:
        core_hour: One core for an hour.
        gigabyte_hour: Memory of 1 GiB for an hour.
        worker_memory_bytes: That one worker takes.
    """

    core_hour: float = 0.0
    gigabyte_hour: float = 0.0
    worker_memory_bytes: int = WORKER_MEMORY_BYTES


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
    money_per_month: float | None


def cost_of(pattern: Pattern, told: Forecast, prices: Prices | None) -> Cost:
    """The cost of a pattern at the traffic of now."""
    memory_bytes = pattern.workers * (prices or Prices()).worker_memory_bytes
    cores = core_load(pattern.applied(told.model)) - core_load(told.model)
    money = None
    if prices is not None:
        hourly = cores * prices.core_hour + memory_bytes / 2**30 * prices.gigabyte_hour
        money = hourly * HOURS_PER_MONTH
    return Cost(
        workers=pattern.workers, memory_bytes=memory_bytes, cores=cores, money_per_month=money
    )


def core_load(model: Model) -> float:
    """Mean number of cores that the traffic of now keeps busy, on all machines."""
    demand = model.seconds_per_call()[0] * model.calls_per_second + model.idle_load[0]
    return sum(
        float(demand[place]) for place, one in enumerate(model.stations) if one.kind == "cpu"
    )
