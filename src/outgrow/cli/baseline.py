"""The knee of a build in a file, and whether the next build still reaches it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from outgrow.cli.verdict import interval, is_disturbed
from outgrow.dashboard import Between
from outgrow.errors import FolderError, RefusedError, SettingsFileError

if TYPE_CHECKING:
    from pathlib import Path

    from outgrow.cli.loading import Found

FORMAT = "outgrow knee 1"
BYTES_MAX = 1024 * 1024
TOLERANCE_PERCENT = 10.0
"""A knee lower than the kept one by more is a change: a count alone is off by 3 to 8 %."""
_HINT = "Write one where the limit is reached: `outgrow verify --yes --save FILE`"


class Knee(msgspec.Struct, frozen=True, kw_only=True):
    """A knee that was measured.

    Attributes:
        made_ms: When.
        measured: Calls of all routes a second.
        first_measured: What was full; empty where that is not known.
        cores: Of the machine.
    """

    format: Literal["outgrow knee 1"] = FORMAT
    made_ms: float
    measured: Between
    first_measured: str
    cores: int


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A knee beside the kept one.

    Attributes:
        is_kept: It is not lower, but for the tolerance; None where that is not known.
        change_percent: Of the knee; None where it was not reached.
        sentence: The answer in words.
    """

    is_kept: bool | None
    change_percent: float | None
    sentence: str


def read_knee(path: Path) -> Knee:
    """Read one.

    Raises:
        SettingsFileError: There is none, or it is no knee.
    """
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(BYTES_MAX), type=Knee)
    except OSError as problem:
        raise SettingsFileError(
            f"cannot read the baseline {path}: {problem.strerror}", hint=_HINT
        ) from None
    except msgspec.MsgspecError as problem:
        raise SettingsFileError(f"{path} is no baseline: {problem}", hint=_HINT) from None


def save_knee(path: Path, found: Found) -> None:
    """Write what a load test measured.

    Raises:
        RefusedError: It did not reach the limit.
        FolderError: There can be no such file.
    """
    if not found.told["is_reached"]:
        raise RefusedError(
            f"{path} was not written: the limit was not reached",
            hint="Allow more by `--rate-max` or `--seconds`",
        )
    knee = Knee(
        made_ms=found.told["to_ms"],
        measured=msgspec.convert(found.told["measured"], Between),
        first_measured=found.told["first_measured"],
        cores=os.cpu_count() or 1,
    )
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(knee)) + b"\n")
    except OSError as problem:
        raise FolderError(f"cannot write {path}: {problem.strerror}") from None


def compared(kept: Knee, told: dict[str, Any], tolerance_percent: float) -> Compared:
    """Whether a load test still reaches the kept knee.

    Args:
        kept: The knee before.
        told: The load test; where it did not reach the limit, what was borne is the least.
        tolerance_percent: By so much it may be lower.
    """
    made = time.strftime("%Y-%m-%d", time.localtime(kept.made_ms / 1e3))
    before = interval(msgspec.to_builtins(kept.measured))
    lowest = kept.measured.best * (1 - tolerance_percent / 100)
    measured = told["measured"]["best"]
    change = 100 * (measured / kept.measured.best - 1)
    said = f"the baseline of {made} is {before}, on {kept.cores} cores"
    if not told["is_reached"]:
        is_kept = True if measured >= lowest else None
        word = "kept" if is_kept else "not known"
        sentence = f"The knee is {word}: {measured:,.0f} requests/s were borne at least; {said}."
        return Compared(is_kept=is_kept, change_percent=None, sentence=sentence)
    word = "lower" if change < 0 else "higher"
    moved = f"{abs(change):.0f} % {word}, and {tolerance_percent:g} % lower is tolerated; {said}"
    if measured < lowest and is_disturbed(told["others_cores"]):
        sentence = (
            f"Whether the knee is kept is not known: others took {told['others_cores']:.1f} cores "
            f"meanwhile, and {measured:,.0f} requests/s were reached; {said}."
        )
        return Compared(is_kept=None, change_percent=change, sentence=sentence)
    if measured < lowest:
        binds = told["first_measured"]
        full = f" `{binds}` was full." if binds else ""
        sentence = f"The knee has fallen to {measured:,.0f} requests/s: {moved}.{full}"
        return Compared(is_kept=False, change_percent=change, sentence=sentence)
    sentence = f"The knee is kept at {measured:,.0f} requests/s: {moved}."
    return Compared(is_kept=True, change_percent=change, sentence=sentence)
