"""Changes that move a limit, each a change of the model; solved again and ranked."""

from outgrow.capacity.patterns.calling import Batch, Cache, MakeAsynchronous
from outgrow.capacity.patterns.choosing import BY_HAND, patterns_for, service_of
from outgrow.capacity.patterns.costs import Cost, Prices, core_load, cost_of
from outgrow.capacity.patterns.moving import CROSSING_SECONDS, Merge, OwnDatabase, SplitOut
from outgrow.capacity.patterns.pattern import EFFORT_COST, Effort, Pattern
from outgrow.capacity.patterns.rank import Proposal, propose
from outgrow.capacity.patterns.reuse import ReuseDistances
from outgrow.capacity.patterns.sizing import (
    AdmissionLimit,
    BiggerMachine,
    BiggerPool,
    Replicate,
)

__all__ = [
    "BY_HAND",
    "CROSSING_SECONDS",
    "EFFORT_COST",
    "AdmissionLimit",
    "Batch",
    "BiggerMachine",
    "BiggerPool",
    "Cache",
    "Cost",
    "Effort",
    "MakeAsynchronous",
    "Merge",
    "OwnDatabase",
    "Pattern",
    "Prices",
    "Proposal",
    "Replicate",
    "ReuseDistances",
    "SplitOut",
    "core_load",
    "cost_of",
    "patterns_for",
    "propose",
    "service_of",
]
