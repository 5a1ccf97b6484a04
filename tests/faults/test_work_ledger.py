"""The ledger of bounded jobs sees when more run at once than may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .work_app import LEDGER
from .work_ledger import THAW_NS, Freeze, WorkLedger, most_at_once

if TYPE_CHECKING:
    from pathlib import Path

ANN = ("keyed", "ann")


def written(folder: Path, *lines: str) -> WorkLedger:
    (folder / LEDGER).write_text("".join(f"{line}\n" for line in lines))
    return WorkLedger(folder)


def test_runs_side_by_side_are_counted_for_each_limit(tmp_path: Path) -> None:
    ledger = written(
        tmp_path,
        *("begin keyed ann 1 70 100", "begin keyed ann 2 71 150", "begin keyed bob 3 70 150"),
        *("end keyed ann 1 70 200", "begin keyed ann 4 70 200", "end keyed ann 2 71 300"),
    )
    assert most_at_once(ledger.runs()) == {ANN: 2, ("keyed", "bob"): 1}
    assert ledger.ended() == {"keyed": {1, 2}}
    assert ledger.ended_count() == 2


def test_a_run_ends_with_its_process(tmp_path: Path) -> None:
    lines = ("begin keyed ann 1 70 100", "exit - - 9 70 150", "begin keyed ann 1 71 160")
    assert most_at_once(written(tmp_path, *lines).runs()) == {ANN: 1}
    ledger = written(
        tmp_path,
        *("begin keyed ann 1 70 100", "begin keyed ann 1 71 300", "end keyed ann 1 71 350"),
        "begin keyed bob 2 70 400",
    )
    assert most_at_once(ledger.runs())[ANN] == 2, "it wrote after that"
    ledger.deaths_ns[70] = 250
    assert most_at_once(ledger.runs())[ANN] == 1


def test_a_worker_that_stood_still_has_no_lease(tmp_path: Path) -> None:
    after_ns = 500 + THAW_NS
    ledger = written(
        tmp_path,
        *("begin keyed ann 1 70 100", "begin keyed ann 1 71 300", "begin keyed ann 2 70 600"),
        *("end keyed ann 1 70 700", "end keyed ann 1 71 900"),
        *(f"begin keyed ann 3 70 {after_ns + 1}", f"end keyed ann 3 70 {after_ns + 2}"),
    )
    assert most_at_once(ledger.runs())[ANN] == 3
    ledger.freezes.append(Freeze(70, 200, 500))
    assert most_at_once(ledger.runs())[ANN] == 1
    assert len(ledger.runs()) == 3, "later it has another lease"
