"""The warning signs, each measured, ranked by what its removal would bring."""

from outgrow.capacity.signs.looking import SIGN_NAMES, SIGNS, Looked, look_for_signs
from outgrow.capacity.signs.sign import (
    Burn,
    Deploy,
    Finding,
    Missing,
    Release,
    Seen,
    Severity,
    Step,
    Trace,
)

__all__ = [
    "SIGNS",
    "SIGN_NAMES",
    "Burn",
    "Deploy",
    "Finding",
    "Looked",
    "Missing",
    "Release",
    "Seen",
    "Severity",
    "Step",
    "Trace",
    "look_for_signs",
]
