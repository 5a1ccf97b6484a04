"""Kills archives between the steps of writing, and says what they lost or counted twice.

Run as a module with a folder and a stride: each case is a fork that is killed before another line
of the code that writes, and a second one that goes on and compares sums with the ledger. The forks
are made before there is any thread.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from outgrow.telemetry.archive import counting, days, slots, totals, writing
from tests.unit.telemetry.archive.telling import Clock, Teller, ledger, opened, told

# Two windows are written in so many seconds, the second one with a midnight within it.
REPORTS = 22
# Seconds before midnight.
EARLY_SECONDS = 15
CALLS = 3
_FILES = {module.__file__ for module in (writing, totals, counting, days, slots)}
_WRITING = {"_write_windows", "_write_windows_of", "_write_rows", "_write_day", "_close_before"}


class Killer:
    """Counts the lines that are run while something is written, and kills before one of them."""

    def __init__(self, kill_at: int) -> None:
        self.lines = 0
        self._kill_at = kill_at
        self._writing = 0
        self._wanted: dict[CodeType, bool] = {}

    def __call__(self, frame: FrameType, event: str, argument: object) -> Any:
        """The trace function of Python."""
        code = frame.f_code
        if code.co_filename not in _FILES:
            return None
        if code.co_name in _WRITING or self._inside(frame):
            if event == "line":
                self.lines += 1
                if self.lines == self._kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
            return self
        return None

    def _inside(self, frame: FrameType) -> bool:
        found: FrameType | None = frame
        while found is not None:
            if found.f_code.co_name in _WRITING:
                return True
            found = found.f_back
        return False


def begin(folder: Path) -> tuple[Any, Clock, Teller]:
    """An archive shortly before midnight, and a worker."""
    clock = Clock()
    clock.now_ns = (clock.now_ns // 10**9 // 86_400 + 1) * 86_400 * 10**9 - EARLY_SECONDS * 10**9
    teller = Teller(clock, began_at_ns=clock.now_ns)
    return opened(folder, clock), clock, teller


def be_killed(folder: Path, kill_at: int) -> int:
    """Report and write until killed; returns how many lines there are."""
    archive, clock, teller = begin(folder)
    killer = Killer(kill_at)
    for _ in range(REPORTS):
        teller.work(CALLS)
        archive.take(teller.origin, teller.report())
        clock.pass_seconds(1)
        if clock.now_ns // 10**9 % 10 < 2:
            sys.settrace(killer)
        archive.write()
        sys.settrace(None)
    return killer.lines


def go_on(folder: Path) -> None:
    """Open it again, with the worker's next report, and compare."""
    archive, clock, teller = begin(folder)
    clock.pass_seconds(REPORTS + 3)
    teller.number = REPORTS
    teller.work(CALLS * REPORTS + CALLS)
    archive.take(teller.origin, teller.report())
    for _ in range(2):
        found = told(archive)
        assert found == ledger(teller.calls), (found["calls"], teller.calls)
        archive.write(is_all=True)
    health = archive.health()
    assert not health.set_aside, health
    assert not health.problem, health
    archive.close()


def forked(run: Any, *arguments: Any) -> int:
    """Run it in a fork; returns how that ended."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            run(*arguments)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def count_lines(folder: Path) -> None:
    """Write down how many lines there are to be killed at."""
    (folder / "lines").write_text(str(be_killed(folder / "whole", 0)))


def main() -> None:
    """Try every so manieth line."""
    folder, stride = Path(sys.argv[1]), int(sys.argv[2])
    assert forked(count_lines, folder) == 0
    lines = int((folder / "lines").read_text())
    wrong: list[int] = []
    cases = range(1 + stride // 2, lines + 1, stride)
    for kill_at in cases:
        case = folder / "case"
        shutil.rmtree(case, ignore_errors=True)
        ended = forked(be_killed, case, kill_at)
        if ended != -signal.SIGKILL or forked(go_on, case):
            wrong.append(kill_at)
            shutil.copytree(case, folder / f"wrong-{kill_at}")
    sys.stdout.write(f"{len(cases)} kills in {lines} lines; wrong: {wrong}\n")
    sys.exit(bool(wrong) or not cases)


if __name__ == "__main__":
    main()
