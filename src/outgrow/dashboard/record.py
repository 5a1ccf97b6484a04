"""The record of forecasts: each load test beside what was foretold, in a file of its folder."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import msgspec

from outgrow.dashboard.shapes import Verified
from outgrow.errors import FolderError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from outgrow.capacity import Kind, Lesson

RECORD_NAME = "verified.json"
RECORD_MAX = 50
MACHINE_NAME = "machine.json"
DAY_MS = 86_400_000
_NORMAL_95 = 1.645


def verified_in(folder: Path) -> list[Verified]:
    """All load tests, the latest first; a file that is not understood has none."""
    try:
        return msgspec.json.decode((folder / RECORD_NAME).read_bytes(), type=list[Verified])
    except (OSError, msgspec.MsgspecError):
        return []


def machine_path(folder: Path) -> Path:
    """Where it is kept how the cores of this machine slow one another down."""
    return folder / MACHINE_NAME


def slowdowns_in(folder: Path) -> dict[str, tuple[float, ...]]:
    """How the cores of this machine slow one another down, by its name; empty if never measured."""
    from outgrow.capacity import kept

    machine = kept(machine_path(folder))
    return {machine.name: machine.slowdown_ratio} if machine is not None else {}


def keep_verified(folder: Path, one: Verified) -> None:
    """Add a load test, or tell more of one that is there; the oldest ones go.

    Raises:
        FolderError: It cannot be written.
    """
    path = folder / RECORD_NAME
    others = [each for each in verified_in(folder) if each.from_ms != one.from_ms]
    content = msgspec.json.encode([one, *others][:RECORD_MAX])
    fresh = path.with_suffix(".new")
    try:
        fresh.write_bytes(content)
        fresh.replace(path)
    except OSError as problem:
        raise FolderError(f"cannot write {path}: {problem.strerror}") from None


def lessons_of(record: Sequence[Verified], now_ms: float) -> list[Lesson]:
    """What forecasts can learn from load tests."""
    from outgrow.capacity import Lesson

    return [
        Lesson(
            station=one.first_measured,
            kind=cast("Kind", one.limit_kind),
            foretold_per_second=one.limit_foretold_per_second,
            measured_per_second=one.measured.best,
            deviation=math.log(one.measured.high / one.measured.best) / _NORMAL_95,
            age_days=(now_ms - one.to_ms) / DAY_MS,
        )
        for one in record
        if one.limit_foretold_per_second
    ]
