"""Systems in virtual time: seeded, exact in what they count, the model's examiner."""

from outgrow.capacity.simulate.running import Simulation
from outgrow.capacity.simulate.system import (
    Block,
    Call,
    Compute,
    Computer,
    Hold,
    Later,
    Perhaps,
    Place,
    Process,
    Rest,
    Run,
    Serve,
    Span,
    System,
    Task,
    Tick,
    Traffic,
)

__all__ = [
    "Block",
    "Call",
    "Compute",
    "Computer",
    "Hold",
    "Later",
    "Perhaps",
    "Place",
    "Process",
    "Rest",
    "Run",
    "Serve",
    "Simulation",
    "Span",
    "System",
    "Task",
    "Tick",
    "Traffic",
]
