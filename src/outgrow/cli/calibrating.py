"""Measures how the cores of this machine slow one another down: when somebody asks, and once."""

from __future__ import annotations

import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

from outgrow.cli.bystanders import look
from outgrow.cli.show import talk
from outgrow.dashboard import machine_path
from outgrow.errors import FolderError, RefusedError
from outgrow.telemetry import usable_cores

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from outgrow.cli.bystanders import Look

LOOK_SECONDS = 1.0
BUSY_RATIO_MAX = 0.1
"""What others take beyond this share of the cores would count as slowdown."""


def calibrate_once(
    folder: Path, *, seconds: float | None = None, looking: Callable[[], Look] = look
) -> None:
    """Calibrate this machine, unless that was done before.

    Args:
        folder: Where it is kept, for the observer to find.
        seconds: How long it takes; 20 where nothing is said.
        looking: How busy the machine is.

    Raises:
        RefusedError: The machine is busy, or the extra `foresee` is not installed.
        FolderError: It cannot be written.
    """
    if find_spec("numpy") is None:
        raise RefusedError(
            "numpy is not installed, which calibration needs",
            hint="Run `pip install 'outgrow[foresee]'`",
        )
    from outgrow.capacity import CALIBRATION_SECONDS, calibrate, keep, kept

    path = machine_path(folder)
    machine = kept(path)
    if machine is None:
        cores = _idle_cores(looking)
        takes = seconds or CALIBRATION_SECONDS
        talk(f"calibrating: all cores ({cores}) are busy for {takes:g} s ...")
        machine = calibrate(seconds=takes)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            keep(machine, path)
        except OSError as problem:
            raise FolderError(f"cannot write {path}: {problem.strerror}") from None
    talk(
        f"calibrated: with all {machine.cores} cores busy, work takes "
        f"{machine.slowdown_ratio[-1]:.2f} times as long as with one"
    )


def _idle_cores(looking: Callable[[], Look]) -> int:
    """How many cores there are.

    Raises:
        RefusedError: Others use them.
    """
    before = looking()
    time.sleep(LOOK_SECONDS)
    cores, used = usable_cores(), before.others_cores(looking(), 0.0)
    if used > BUSY_RATIO_MAX * cores:
        raise RefusedError(
            f"{used:.1f} of {cores} cores are in use: that would count as slowdown",
            hint="Calibrate while the machine has nothing else to do, once is enough",
        )
    return cores
