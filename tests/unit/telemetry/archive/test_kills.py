"""An archive that is killed with `kill -9` loses no sum that workers can tell again."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.unit.telemetry.archive.running import calls_after
from tests.unit.telemetry.archive.telling import Clock, Teller, ledger, opened, told

ROOT = Path(__file__).parents[4]
LONG = os.environ.get("OUTGROW_FAULTS") == "long"
KILLS = 25 if LONG else 8


def run_kills(folder: Path, stride: int) -> None:
    """Kill at every so manieth line of what writes."""
    command = [sys.executable, "-m", "tests.unit.telemetry.archive.killing", str(folder)]
    done = subprocess.run(
        [*command, str(stride)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("stride", [400, pytest.param(60, marks=pytest.mark.slow)])
def test_a_kill_between_some_steps_of_writing_costs_no_sum(tmp_path: Path, stride: int) -> None:
    run_kills(tmp_path, stride)


@pytest.mark.slow
@pytest.mark.skipif(not LONG, reason="takes a quarter of an hour: OUTGROW_FAULTS=long")
@pytest.mark.timeout(1800)
def test_a_kill_between_any_two_steps_of_writing_costs_no_sum(tmp_path: Path) -> None:
    run_kills(tmp_path, 1)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kills_at_any_moment_cost_no_sum(tmp_path: Path) -> None:
    number, moments, first = 1, random.Random(5), ""
    folder = tmp_path / "kept"
    for _ in range(KILLS):
        command = [sys.executable, "-m", "tests.unit.telemetry.archive.running", str(folder)]
        with subprocess.Popen(
            [*command, str(number)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as running:
            assert running.stdout is not None
            # It goes on meanwhile, so the kill comes at any moment of what follows.
            for _ in range(moments.randrange(1, 120)):
                first = running.stdout.readline()
                assert first, "it ended by itself"
            running.kill()
            rest = running.stdout.read().split()
        # The last line may be cut; a report that was taken is never asked for again.
        number = int(rest[-1] if rest else first) + 2
    clock = Clock(time.time_ns() + 86_400 * 10**9)
    archive = opened(folder, clock, days_max=30)
    teller = Teller(clock, number=number - 1, calls=calls_after(number), began_at_ns=1)
    archive.take(teller.origin, teller.report())
    assert told(archive) == ledger(calls_after(number))
    assert not archive.health().set_aside
    archive.close()
