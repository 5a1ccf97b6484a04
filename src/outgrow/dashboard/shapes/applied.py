"""Plans that were carried out, and whether they brought what was foretold."""

from __future__ import annotations

from typing import Literal

import msgspec

from outgrow.dashboard.shapes.shape import Between
from outgrow.placement import PlannedGroup


class Gain(msgspec.Struct, frozen=True, kw_only=True):
    """What a change brings; knees in calls of all routes a second.

    Attributes:
        gain: The one over the other.
        first_after: What binds first then.
    """

    before: Between
    after: Between
    gain: Between
    first_after: str


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a change has brought.

    Attributes:
        at_ms: When that was known.
        knee: What is borne since.
        gain: That, over what was foretold to be borne before.
        first: What binds first.
        error_percent: How far above it the gain that was foretold is; negative below.
        is_held: Both intervals meet.
        by: What was measured: what the traffic since asks of each limit, or a load test.
    """

    at_ms: float
    knee: Between
    gain: Between
    first: str
    error_percent: float
    is_held: bool
    by: Literal["traffic", "load test"]


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """A plan that was carried out, as far as it is a change of placement.

    Attributes:
        at_ms: When it was done.
        what: What was changed, in words.
        times: The multiple of the traffic that it was made for.
        foretold: What that alone was said to bring.
        groups: The placement after it.
        measured: What it has brought; None until that is known.
        is_in_force: The placement is still that one: it was not undone, and nothing else changed.
        note: Why nothing is known yet.
    """

    at_ms: float
    what: str
    times: float
    foretold: Gain
    groups: list[PlannedGroup]
    measured: Measured | None = None
    is_in_force: bool = True
    note: str = ""
