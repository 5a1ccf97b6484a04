"""Changes that move a limit, each a change of the model; solved again and ranked."""

from outgrow.capacity.patterns.calling import Batch, Cache, CallOnce, MakeAsynchronous
from outgrow.capacity.patterns.choosing import BY_HAND, admission_limit, patterns_for
from outgrow.capacity.patterns.costs import WORKER_MEMORY_BYTES, Cost, Prices, cores_at, cost_of
from outgrow.capacity.patterns.moving import CROSSING_SECONDS, Merge, OwnDatabase, SplitOut
from outgrow.capacity.patterns.pattern import EFFORT_COST, Effort, Pattern, Together
from outgrow.capacity.patterns.rank import Proposal, propose
from outgrow.capacity.patterns.recoding import service_of
from outgrow.capacity.patterns.reuse import ReuseDistances
from outgrow.capacity.patterns.sizing import (
    AdmissionLimit,
    BiggerMachine,
    BiggerPool,
    Replicate,
    ShorterHolds,
)
from outgrow.capacity.patterns.traits import Repeated, Traits, traits_of

__all__ = [
    "BY_HAND",
    "CROSSING_SECONDS",
    "EFFORT_COST",
    "WORKER_MEMORY_BYTES",
    "AdmissionLimit",
    "Batch",
    "BiggerMachine",
    "BiggerPool",
    "Cache",
    "CallOnce",
    "Cost",
    "Effort",
    "MakeAsynchronous",
    "Merge",
    "OwnDatabase",
    "Pattern",
    "Prices",
    "Proposal",
    "Repeated",
    "Replicate",
    "ReuseDistances",
    "ShorterHolds",
    "SplitOut",
    "Together",
    "Traits",
    "admission_limit",
    "cores_at",
    "cost_of",
    "patterns_for",
    "propose",
    "service_of",
    "traits_of",
]
