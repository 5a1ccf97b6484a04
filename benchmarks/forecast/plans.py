"""What patterns are said to bring beside what they bring: `python -m benchmarks.forecast.plans`.

Each case is a system that is seen at a fifth of its load. Every pattern that is offered for its
first limit is carried out in the simulator, and measured. BENCH_QUICK=1 takes every fourth case.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median

from benchmarks.forecast.carried import carried_out
from benchmarks.forecast.planned import Case, as_counted, cases, reuse_of, statements_of
from outgrow.capacity import (
    Forecast,
    Machine,
    Pattern,
    Proposal,
    Recorded,
    Window,
    attributed,
    forecast,
)
from outgrow.capacity.model import stacked
from outgrow.capacity.patterns import EFFORT_COST, patterns_for, propose, traits_of
from outgrow.capacity.simulate import Simulation, System

RESULTS = Path(__file__).parent.parent / "results"
LOAD_RATIO = 0.2
TIMES = 4.0
CALLS, WINDOWS = 16_000, 40
CROWD_COUNT, SATURATED_CALLS = 400, 10_000
EVEN_DOUBLINGS = 0.1
"""Patterns whose measured scores differ by less are equally good: the simulator's own noise."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One pattern of one case.

    Attributes:
        foretold: The gain; `low` and `high` are its interval.
        measured: The gain that carrying it out brought.
        score: As the plan ranks it.
        worth: The same by what was measured.
        is_assumed: It rests on a number that nobody measured.
    """

    case: str
    pattern: str
    kind: str
    foretold: float
    low: float
    high: float
    measured: float
    score: float
    worth: float
    is_assumed: bool

    @property
    def error(self) -> float:
        return self.foretold / self.measured - 1


def saturation_of(system: System) -> float:
    """Calls a second that a crowd which never pauses gets done."""
    crowd = replace(system.traffic, clients=CROWD_COUNT, think_seconds=0.0)
    simulation = Simulation(replace(system, traffic=crowd), seed=951, rate_per_second=1.0)
    simulation.run(seconds=4, window_seconds=4)
    windows: list[Window] = []
    while _calls(windows) < SATURATED_CALLS:
        windows += simulation.run(seconds=2, window_seconds=2)
    return _calls(windows) / (2.0 * len(windows))


def _calls(windows: list[Window]) -> int:
    return sum(one.calls for window in windows for one in window.operations if one.is_entry)


def evidence_of(system: System, rate: float) -> Recorded:
    """What is counted of a fifth of the load."""
    seconds = CALLS / rate / WINDOWS
    simulation = Simulation(system, seed=952, rate_per_second=rate)
    windows = simulation.run(seconds=seconds * WINDOWS, window_seconds=seconds)
    machines = tuple(
        Machine(name=one.name, cores=one.cores, slowdown_ratio=one.slowdown_ratio)
        for one in system.computers
    )
    return Recorded(recorded=tuple(windows), machines=machines)


def rows_of(case: Case) -> list[Row]:
    """Each pattern that is offered, foretold and measured; none where nothing is foretold."""
    before = saturation_of(case.system)
    counted = evidence_of(case.system, LOAD_RATIO * before)
    statements = statements_of(case, counted.windows())
    evidence = attributed(as_counted(counted), statements)
    told = forecast(evidence)
    if not isinstance(told, Forecast):
        print(f"{case.name}: {told.text}", file=sys.stderr)
        return []
    traits = traits_of(evidence.windows(), statements, reuse_of(case))
    model = stacked(told.model, told.draws)
    target = TIMES * told.saturation_per_second.best
    offered = {
        one.title: one for name in told.first for one in patterns_for(model, name, target, traits)
    }
    return [
        _row(case, one, saturation_of(carried_out(case.system, one.pattern, case.nature)) / before)
        for one in propose(model, offered.values())
    ]


def _row(case: Case, one: Proposal, measured: float) -> Row:
    return Row(
        case=case.name,
        pattern=one.pattern.title,
        kind=type(one.pattern).__name__,
        foretold=one.gain_ratio.best,
        low=one.gain_ratio.low,
        high=one.gain_ratio.high,
        measured=measured,
        score=one.score,
        worth=_worth(one.pattern, measured),
        is_assumed=bool(one.pattern.assumes),
    )


def _worth(pattern: Pattern, gain: float) -> float:
    return math.log2(gain) - EFFORT_COST[pattern.effort]


def is_best_first(rows: list[Row]) -> bool:
    """Whether what is ranked first of one case is worth the most by what was measured."""
    known = [row for row in rows if not row.is_assumed]
    first = max(known, key=lambda row: row.score)
    return first.worth >= max(row.worth for row in known) - EVEN_DOUBLINGS


def table(made: dict[str, list[Row]]) -> str:
    """All rows, and what they come to."""
    return "\n".join([*_lines(made), "", *_summary(made)])


def _lines(made: dict[str, list[Row]]) -> Iterator[str]:
    yield f"{'foretold':>8} {'low':>5} {'high':>5} {'measured':>8} {'error':>6}  case: pattern"
    for rows in made.values():
        for row in rows:
            mark = "in " if row.low <= row.measured <= row.high else "OUT"
            yield (
                f"{row.foretold:8.2f} {row.low:5.2f} {row.high:5.2f} {row.measured:8.2f} "
                f"{100 * row.error:+5.0f}% {mark} {row.case}: {row.pattern}"
                + (" (assumed)" if row.is_assumed else "")
            )


def _summary(made: dict[str, list[Row]]) -> Iterator[str]:
    rows = [row for each in made.values() for row in each]
    errors = sorted(abs(row.error) for row in rows)
    ranked = {name: each for name, each in made.items() if any(not r.is_assumed for r in each)}
    missed = [name for name, each in ranked.items() if not is_best_first(each)]
    inside = sum(row.low <= row.measured <= row.high for row in rows)
    yield f"{len(made)} cases, {len(rows)} patterns carried out and measured"
    yield (
        f"gain: median error {100 * median(errors):.1f} % (aim 15), "
        f"90 of 100 within {100 * errors[int(0.9 * len(errors))]:.0f} %"
    )
    yield f"90 % intervals hold {inside} of {len(rows)}"
    yield (
        f"best pattern ranked first: {len(ranked) - len(missed)} of {len(ranked)} (aim 90 %)"
        + (f"; not in: {', '.join(missed)}" if missed else "")
    )
    for kind in sorted({row.kind for row in rows}):
        mine = [row for row in rows if row.kind == kind]
        error = median(abs(row.error) for row in mine)
        yield f"  {kind}: {len(mine)}, median error {100 * error:.1f} %"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.forecast.plans", description=__doc__
    )
    parser.add_argument("--only", default="", help="cases whose name begins so")
    parser.add_argument("--publish", action="store_true", help="write the table to a file")
    asked = parser.parse_args()
    chosen = [one for one in cases() if one.name.startswith(asked.only)]
    made: dict[str, list[Row]] = {}
    for case in chosen[:: 4 if os.environ.get("BENCH_QUICK") else 1]:
        if rows := rows_of(case):
            made[case.name] = rows
            print("\n".join([*_lines({case.name: rows})][1:]), file=sys.stderr, flush=True)
    print(table(made))
    if asked.publish:
        (RESULTS / "plans.txt").write_text(table(made) + "\n")
        flat = [asdict(row) for rows in made.values() for row in rows]
        lines = ",\n".join(json.dumps(row) for row in flat)
        (RESULTS / "plans.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
