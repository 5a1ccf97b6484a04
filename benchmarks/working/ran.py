"""What the job does: it counts itself, and the last one writes what came of all."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

FOLDER, COUNT = "BENCH_FOLDER", "BENCH_COUNT"


class Outcome(msgspec.Struct):
    """What came of the jobs of a round.

    Attributes:
        seconds: From the first job's begin to the last one's.
        cpu_seconds: Of the process in which they ran, in that time.
        waited_us: From being sent to being begun, in order.
    """

    seconds: float
    cpu_seconds: float
    waited_us: list[float]


_waited_us: list[float] = []
_began: list[float] = []


def ran(sent_ns: int) -> None:
    """A job has begun."""
    now_ns = time.monotonic_ns()
    if not _began:
        _began[:] = [time.perf_counter(), time.process_time()]
    _waited_us.append((now_ns - sent_ns) / 1e3)
    if len(_waited_us) == int(os.environ[COUNT]):
        began, cpu_began = _began
        seconds = time.perf_counter() - began
        cpu_seconds = time.process_time() - cpu_began
        path = Path(os.environ[FOLDER]) / "outcome.json"
        outcome = Outcome(seconds, cpu_seconds, sorted(_waited_us))
        path.with_suffix(".part").write_bytes(msgspec.json.encode(outcome))
        path.with_suffix(".part").rename(path)
