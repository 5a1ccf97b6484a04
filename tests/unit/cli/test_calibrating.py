"""Calibration: once, when somebody asks, on a machine that has nothing else to do."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("numpy")

from outgrow.capacity import Machine, keep, kept
from outgrow.cli import calibrating
from outgrow.cli.bystanders import Look
from outgrow.cli.calibrating import calibrate_once
from outgrow.dashboard import machine_path
from outgrow.dashboard.record import slowdowns_in
from outgrow.errors import RefusedError
from outgrow.telemetry import usable_cores


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrating, "LOOK_SECONDS", 0.0)


class Busy:
    """A machine of which so many cores are always in use."""

    def __init__(self, cores: float) -> None:
        self.cores = cores
        self.seconds = 0.0

    def __call__(self) -> Look:
        self.seconds += 1.0
        return Look(self.seconds, self.seconds * self.cores, 0.0)


def test_a_quiet_machine_is_calibrated_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "state"
    assert slowdowns_in(folder) == {}
    calibrate_once(folder, seconds=0.2, looking=Busy(0.0))
    machine = kept(machine_path(folder))
    assert machine is not None
    assert machine.cores == usable_cores()
    assert slowdowns_in(folder) == {machine.name: machine.slowdown_ratio}
    first = capsys.readouterr().err
    assert "are busy for 0.2 s" in first
    calibrate_once(folder, seconds=0.2, looking=Busy(99.0))
    assert capsys.readouterr().err == first.splitlines(keepends=True)[-1]


def test_a_busy_machine_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="cores are in use: that would count as slowdown"):
        calibrate_once(tmp_path, seconds=0.2, looking=Busy(0.5 * usable_cores()))
    assert not machine_path(tmp_path).exists()


def test_the_calibration_of_another_machine_is_none(tmp_path: Path) -> None:
    other = Machine(name="another", cores=usable_cores(), slowdown_ratio=(1.0,) * usable_cores())
    keep(other, machine_path(tmp_path))
    assert slowdowns_in(tmp_path) == {}
