"""The 24 warning signs, each measured, ranked by what its removal would bring."""

from outgrow.capacity.signs.looking import SIGNS, Looked, look_for_signs
from outgrow.capacity.signs.sign import Deploy, Finding, Missing, Seen, Severity, Step, Trace

__all__ = [
    "SIGNS",
    "Deploy",
    "Finding",
    "Looked",
    "Missing",
    "Seen",
    "Severity",
    "Step",
    "Trace",
    "look_for_signs",
]
