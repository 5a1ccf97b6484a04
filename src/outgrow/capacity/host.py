"""How the cores of one computer slow one another down: measured once, 20 s, and kept.

Two cores that share caches, memory and perhaps silicon do less than twice the work of one. Without
this factor a forecast of CPU errs by up to 84 % on real curves; with it by a tenth.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from outgrow.capacity.evidence import Machine
from outgrow.telemetry import usable_cores

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = NDArray[np.float64]
CALIBRATION_SECONDS = 20.0
STEPS_MAX = 8
"""Counts of busy cores that are measured; between them the curve is straight."""


def slowdown_curve(cores: int, work_per_second: Sequence[tuple[int, float]]) -> tuple[float, ...]:
    """How much longer work takes with 1, 2, ... cores busy than with one.

    Args:
        cores: Logical CPUs.
        work_per_second: Measured: busy processes, and the work all of them did in a second.

    Returns:
        One ratio for each number of busy cores; the first is 1, none is less than the one before.
    """
    measured = sorted(work_per_second)
    alone = measured[0][1] / measured[0][0]
    counts = [float(count) for count, _ in measured]
    ratios = [max(1.0, count * alone / work) for count, work in measured]
    curve = np.interp(np.arange(1, cores + 1), counts, ratios)
    return tuple(np.maximum.accumulate(curve).tolist())


def experienced_slowdown(curve: Sequence[float], offered: ArrayLike) -> Floats:
    """The slowdown that a piece of work meets on average.

    Args:
        curve: Of `slowdown_curve`; empty for none.
        offered: Mean number of cores asked for; each piece of work is taken to come at random, so
            that the number of busy cores is that of M/M/m.
    """
    load = np.asarray(offered, dtype=np.float64)
    if not curve:
        return np.ones_like(load)
    cores = len(curve)
    load = np.minimum(load, cores * 0.999)
    weight, met, total = np.ones_like(load), np.zeros_like(load), np.zeros_like(load)
    for busy in range(1, cores + 1):
        weight = weight * load / busy
        states = weight / (1 - load / cores) if busy == cores else weight
        met = met + busy * states * curve[busy - 1]
        total = total + busy * states
    return np.where(total > 0, met / np.maximum(total, 1e-300), curve[0])


def calibrate(*, seconds: float = CALIBRATION_SECONDS, cores: int | None = None) -> Machine:
    """Keep 1, 2, ... cores busy and see how much work gets done; takes so many seconds.

    The machine should do nothing else meanwhile: what others take counts as slowdown.
    """
    count = cores or usable_cores()
    steps = sorted({round(step) for step in np.linspace(1, count, min(count, STEPS_MAX))})
    each_seconds = seconds / len(steps)
    measured = [(busy, _work_done(busy, each_seconds)) for busy in steps]
    return Machine(
        name=os.uname().nodename, cores=count, slowdown_ratio=slowdown_curve(count, measured)
    )


def _work_done(busy: int, seconds: float) -> float:
    """Rounds of work a second that so many processes do together."""
    command = [sys.executable, "-I", str(Path(__file__).with_name("spin.py")), str(seconds)]
    with ExitStack() as stack:
        spinning = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(busy)
        ]
        for process in spinning:
            _line(process)
        for process in spinning:
            assert process.stdin
            process.stdin.write("\n")
            process.stdin.flush()
        return sum(float(_line(process)) for process in spinning)


def _line(process: subprocess.Popen[str]) -> str:
    """What it says next; it ends by itself soon after its time."""
    assert process.stdout
    return process.stdout.readline()


def keep(machine: Machine, path: Path) -> None:
    """Write a calibration to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(machine))


def kept(path: Path) -> Machine | None:
    """A calibration that was kept for this computer; None where there is none that fits."""
    try:
        machine = msgspec.json.decode(path.read_bytes(), type=Machine)
    except (OSError, msgspec.MsgspecError):
        return None
    fits = machine.name == os.uname().nodename and machine.cores == usable_cores()
    return machine if fits else None
