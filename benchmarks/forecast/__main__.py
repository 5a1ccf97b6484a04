"""Forecasts of simulated systems: `python -m benchmarks.forecast`.

BENCH_QUICK=1 takes every fourth scenario, two loads and one seed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict

from benchmarks.forecast.scenarios import Part, Scenario, scenarios
from benchmarks.forecast.score import Score, score
from benchmarks.forecast.table import table
from benchmarks.forecast.truth import KEPT, truth_of

LOADS = (0.25, 0.15, 0.10, 0.06)
SEEDS: dict[Part, tuple[int, ...]] = {"tuned": (31,), "apart": (31, 32)}
"""Evidence is taken so often of each scenario at each load."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast", description=__doc__)
    parser.add_argument("--part", default="", help="`tuned` or `apart`; all if not given")
    parser.add_argument("--only", default="", help="scenarios whose name begins so")
    parser.add_argument("--show", action="store_true", help="print each scenario")
    parser.add_argument("--publish", action="store_true", help="write the scores to a file")
    asked = parser.parse_args()
    quick = bool(os.environ.get("BENCH_QUICK"))
    chosen = [one for one in scenarios() if one.name.startswith(asked.only)]
    chosen = [one for one in chosen if asked.part in ("", one.part)]
    chosen.sort(key=lambda one: one.part)
    chosen = chosen[:: 4 if quick else 1]
    scores = [made for one in chosen for made in _scores(one, quick=quick, show=asked.show)]
    print(table(scores))
    if asked.publish:
        path = KEPT.with_name("forecast.json")
        rows = ",\n".join(json.dumps(_short(asdict(one))) for one in scores)
        path.write_text(f"[\n{rows}\n]\n")
        path.with_suffix(".txt").write_text(table(scores) + "\n")


def _short(row: dict[str, object]) -> dict[str, object]:
    return {key: round(one, 4) if isinstance(one, float) else one for key, one in row.items()}


def _scores(scenario: Scenario, *, quick: bool, show: bool) -> list[Score]:
    truth = truth_of(scenario)
    seeds = SEEDS[scenario.part]
    loads, seeds = (LOADS[::2], seeds[:1]) if quick else (LOADS, seeds)
    made = [score(scenario, truth, load, seed) for load in loads for seed in seeds]
    print(f"{scenario.name} ...", file=sys.stderr)
    if show:
        print(f"{scenario.name}: saturation {truth.saturation:.1f}, knee {truth.knee:.1f}")
        print("   busy", {name: round(share, 2) for name, share in truth.busy.items()})
        for one in made:
            print(
                f"   {one.load:.2f} {one.refused or one.first}: saturation {one.ratio:.3f}"
                f" {'in' if one.is_covered else 'OUT'} {one.width:.2f}, knee {one.knee_ratio:.3f}"
                f" {'in' if one.knee_is_covered else 'OUT'} {one.knee_width:.2f},"
                f" mean {one.mean_ratio:.2f}, p99 {one.p99_ratio:.2f}"
            )
    return made


if __name__ == "__main__":
    main()
