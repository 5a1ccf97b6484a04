"""Compares plans that were carried out with what was foretold of them, and keeps what came of it.

`outgrow apply PLAN` notes the plan in a file of the folder. Once enough was measured under the new
placement, the knee that follows from it stands beside the one that was foretold: from a load test
since then where there was one, else from what the traffic since asks of each limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from outgrow.dashboard.shapes import Applied, Between, Measured
from outgrow.errors import FolderError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from outgrow.capacity import Forecast, Refusal
    from outgrow.dashboard.shapes import Group, Verified
    from outgrow.placement import PlannedGroup

APPLIED_NAME = "applied.json"
APPLIED_MAX = 20
WINDOWS_MIN = 18
"""Three minutes of traffic, before which nothing is compared."""
SETTLED_MS = 30_000.0
"""Until old workers have left."""


def applied_in(folder: Path) -> list[Applied]:
    """All plans that were carried out, the latest first; a file that is not understood has none."""
    try:
        return msgspec.json.decode((folder / APPLIED_NAME).read_bytes(), type=list[Applied])
    except (OSError, msgspec.MsgspecError):
        return []


def keep_applied(folder: Path, one: Applied) -> None:
    """Add one, or tell more of one that is there; the oldest ones go.

    Raises:
        FolderError: It cannot be written.
    """
    path = folder / APPLIED_NAME
    known = applied_in(folder)
    others = [one if each.at_ms == one.at_ms else each for each in known]
    if one not in others:
        others = [one, *others]
    fresh = path.with_suffix(".new")
    try:
        fresh.write_bytes(msgspec.json.encode(others[:APPLIED_MAX]))
        fresh.replace(path)
    except OSError as problem:
        raise FolderError(f"cannot write {path}: {problem.strerror}") from None


def compared(
    one: Applied,
    now_ms: float,
    groups: Sequence[Group],
    record: Sequence[Verified],
    since: Callable[[float], tuple[Forecast | Refusal, int]],
) -> Applied:
    """A plan with what it has brought, as far as that is known.

    Args:
        one: The plan.
        now_ms: Wall clock.
        groups: Who runs where now; none where that is not known.
        record: Load tests.
        since: What is foreseen from what was measured since a moment, and from how many windows.
    """
    from outgrow.capacity import Refusal

    is_in_force = not groups or _placement(one.groups) == {
        each.name: (sorted(each.runs), f"{each.replicas_min}:{each.replicas_max}")
        for each in groups
    }
    one = msgspec.structs.replace(one, is_in_force=is_in_force)
    if one.measured is not None and one.measured.by == "load test":
        return one
    tested = next((each for each in record if each.from_ms > one.at_ms and each.is_reached), None)
    if tested is not None and is_in_force:
        return _with(one, now_ms, tested.measured, tested.first_measured, "load test")
    if one.measured is not None:
        return one
    if not is_in_force:
        return msgspec.structs.replace(one, note="it was changed before enough was measured")
    found, windows = since(one.at_ms + SETTLED_MS)
    if isinstance(found, Refusal) or windows < WINDOWS_MIN:
        return msgspec.structs.replace(one, note=f"measuring: {windows} of {WINDOWS_MIN} windows")
    top = found.saturation_per_second
    knee = Between(best=top.best, low=top.low, high=top.high)
    return _with(one, now_ms, knee, found.first[0], "traffic")


def _placement(groups: Sequence[PlannedGroup]) -> dict[str, tuple[list[str], str]]:
    return {each.name: (sorted(each.runs), each.replicas) for each in groups}


def _with(one: Applied, now_ms: float, knee: Between, first: str, by: str) -> Applied:
    before, foretold = one.foretold.before.best, one.foretold.gain
    gain = Between(best=knee.best / before, low=knee.low / before, high=knee.high / before)
    measured = Measured(
        at_ms=now_ms,
        knee=knee,
        gain=gain,
        first=first,
        error_percent=100 * (foretold.best / gain.best - 1),
        is_held=foretold.low <= gain.high and gain.low <= foretold.high,
        by="load test" if by == "load test" else "traffic",
    )
    return msgspec.structs.replace(one, measured=measured, note="")
