"""When the evidence cannot carry a forecast: why, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from outgrow.capacity.solve import solve

if TYPE_CHECKING:
    from outgrow.capacity.evidence import Evidence
    from outgrow.capacity.model import Model
    from outgrow.capacity.sums import Sums

CALLS_MIN = 500
WINDOWS_MIN = 6
WHOLE_RATIO_MIN = 0.5
WIDTH_RATIO_MAX = 4.0
LOAD_RATIO_MAX = 0.85
"""Past this load of the first limit, what is seen is the queue and no longer the demand."""
UNATTRIBUTED_RATIO_MAX = 0.4
_OVERLAP_SECONDS = 0.5

Reason = Literal["thin", "restarts", "clock", "blind", "full", "unattributed", "wide"]


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """No forecast.

    Attributes:
        reason: Which kind of refusal it is.
        text: What is missing or wrong.
        hint: One thing to do.
    """

    reason: Reason
    text: str
    hint: str


def refusal_of_sums(evidence: Evidence, sums: Sums) -> Refusal | None:
    """Why these windows cannot carry a model."""
    seen = evidence.windows()
    calls = int(sums.calls[:, : len(sums.entries)].sum()) if len(sums.windows) else 0
    if any(later.at_seconds < one.at_seconds + one.seconds - _OVERLAP_SECONDS * one.seconds
           for one, later in pairwise(seen)):  # fmt: skip
        return Refusal(
            reason="clock",
            text="The windows overlap or run backwards: a clock was set",
            hint="Take evidence from after the clock was set",
        )
    if len(seen) < WINDOWS_MIN or calls < CALLS_MIN:
        return Refusal(
            reason="thin",
            text=f"{calls} calls in {len(seen)} windows of 10 s say too little",
            hint=f"Wait for {CALLS_MIN} calls in {WINDOWS_MIN} windows",
        )
    if seen and len(sums.windows) < WHOLE_RATIO_MIN * len(seen):
        return Refusal(
            reason="restarts",
            text=f"Workers came or went in {len(seen) - len(sums.windows)} of {len(seen)} windows",
            hint="Wait for a stretch without restarts",
        )
    if len(sums.windows) < WINDOWS_MIN:
        return Refusal(
            reason="thin",
            text=f"{len(sums.windows)} whole windows of 10 s say too little",
            hint=f"Wait for {WINDOWS_MIN} of them",
        )
    return None


def refusal_of_model(model: Model, saturation_per_second: float) -> Refusal | None:
    """Why this model cannot foresee anything."""
    if not model.seconds.any():
        return Refusal(
            reason="blind",
            text="No station has been seen at work: nothing is known of any limit",
            hint="Give the evidence loops, pools or CPU time",
        )
    if model.unattributed_ratio > UNATTRIBUTED_RATIO_MAX:
        return Refusal(
            reason="unattributed",
            text=f"{model.unattributed_ratio:.0%} of the CPU time belongs to no station",
            hint="Find out what else runs on the machine, or measure it",
        )
    now = np.array([model.calls_per_second])
    load = solve(model, now).load_ratio[0]
    full = int(np.argmax(load))
    if (
        load[full] > LOAD_RATIO_MAX
        or model.calls_per_second > LOAD_RATIO_MAX * saturation_per_second
    ):
        return Refusal(
            reason="full",
            text=f"`{model.stations[full].name}` is full already: its limit has been reached",
            hint="Move that limit first, or take evidence from a quieter time",
        )
    return None


def refusal_of_interval(low: float, high: float) -> Refusal | None:
    """Whether the answer is too wide to be one."""
    if low > 0 and high / low <= WIDTH_RATIO_MAX:
        return None
    return Refusal(
        reason="wide",
        text=f"The first limit binds somewhere between {low:.3g} and {high:.3g} calls a second",
        hint="Measure first: `outgrow verify`",
    )
