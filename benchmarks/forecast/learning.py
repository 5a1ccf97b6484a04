"""Whether forecasts learn from load tests: `python -m benchmarks.forecast.learning`.

Each simulated system is foretold and load-tested again and again, as `outgrow verify` does: from
evidence of its own at a fifth of its load, up to the limit that was foretold, in steps. After none,
one, three and ten tests it is foretold from further evidence, and that is compared with the truth.
What is planted and no evidence from low load shows, the strain, is the same in all tests of one
system; what chance the evidence and the tests have is not. Systems of jobs are left out: what their
requests get says nothing of jobs that pile up.

BENCH_QUICK=1 takes every eighth system and one look.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import numpy as np

from benchmarks.forecast.scenarios import Scenario, scenarios
from benchmarks.forecast.score import evidence_of
from benchmarks.forecast.truth import KEPT, truth_of
from outgrow.capacity import Course, Forecast, Interval, Lesson, Step, first_of, forecast, loads_of
from outgrow.capacity import score as scored
from outgrow.capacity.evidence import Kind, Machine, Recorded, Window
from outgrow.capacity.simulate import Simulation

COUNTS = (0, 1, 3, 10)
"""Load tests before the forecast that is compared."""
LOAD = 0.2
LOOKS_COUNT = 3
"""Forecasts that are compared, each from evidence of its own."""
TEST_SECONDS = 90.0
TEST_REQUESTS = 15_000
"""A system that bears many requests a second is tested for a shorter time."""
SETTLING_RATIO = 0.2
NORMAL_95 = 1.645
_TEST_SEED, _LOOK_SEED = 3000, 4000
CHART = Path(__file__).parents[2] / "docs" / "pictures" / "forecast-learns.svg"


@dataclass(frozen=True, kw_only=True)
class Learned:
    """One forecast beside the truth.

    Attributes:
        tests: Load tests that it had learned from.
        reached: Those of them that found the limit full that was foretold.
        error_ratio: Foretold over measured, less 1.
        width: How many times the lower end of the interval its upper end is.
    """

    scenario: str
    tests: int
    reached: int
    look: int
    error_ratio: float
    is_covered: bool
    width: float


def test_of(scenario: Scenario, told: Forecast, seed: int) -> Lesson | None:
    """What one load test teaches; None where it did not reach the limit that was foretold."""
    limit = told.saturation_per_second
    seconds = min(TEST_SECONDS, TEST_REQUESTS / limit.best)
    course = Course(limit.best, 1.5 * limit.high, seconds)
    simulation = Simulation(scenario.system, seed=seed, rate_per_second=limit.best)
    windows, rate_before = list[Window](), 0.0
    for rate, length in course.rates_to_go():
        if rate != rate_before:
            windows, rate_before = [], rate
        simulation.rate_per_second = rate
        settling = SETTLING_RATIO * length
        simulation.run(seconds=settling, window_seconds=settling)
        counted = length - settling
        found = simulation.run(seconds=counted, window_seconds=counted)
        windows += found
        course.take(_step(rate, counted, found))
    if course.end != "limit":
        return None
    evidence = Recorded(recorded=tuple(windows), machines=machines_of(scenario))
    loads = loads_of(evidence)
    full = first_of(loads)
    result = scored(limit, told.first, course.steps, is_reached=True, first_measured=full)
    rung = next((one for one in told.ladder if one.station == full), None)
    if rung is None or full not in told.first:
        return None
    return Lesson(
        station=full,
        kind=cast("Kind", rung.kind),
        foretold_per_second=limit.best,
        measured_per_second=result.measured.best,
        deviation=math.log(result.measured.high / result.measured.best) / NORMAL_95,
        age_days=0.0,
    )


def machines_of(scenario: Scenario) -> tuple[Machine, ...]:
    """Its computers, as evidence tells them."""
    return tuple(
        Machine(name=one.name, cores=one.cores, slowdown_ratio=one.slowdown_ratio)
        for one in scenario.system.computers
    )


def _step(rate: float, seconds: float, windows: Sequence[Window]) -> Step:
    kinds = sorted({one.operation for window in windows for one in window.arrivals})
    entries = [one for window in windows for one in window.operations if one.is_entry]
    due = {
        kind: sum(
            one.total for window in windows for one in window.arrivals if one.operation == kind
        )
        for kind in kinds
    }
    good = {
        kind: sum(one.calls - one.errors - one.refused for one in entries if one.name == kind)
        for kind in kinds
    }
    ended = sum(one.calls for one in entries)
    mean_seconds = sum(one.duration_seconds for one in entries) / max(ended, 1)
    return Step(
        rate_per_second=rate,
        seconds=seconds,
        sent=sum(due.values()),
        good=sum(good.values()),
        bad=ended - sum(good.values()),
        turned_down=0,
        late_seconds=0.0,
        p50_seconds=mean_seconds,
        p99_seconds=mean_seconds,
        sent_by_kind=tuple(due.values()),
        good_by_kind=tuple(good.values()),
    )


def learned_of(scenario: Scenario, looks: int) -> list[Learned]:
    """Forecasts of one system after each number of tests."""
    truth = truth_of(scenario).saturation
    lessons: list[Lesson | None] = []
    for number in range(max(COUNTS)):
        seed = _TEST_SEED + number
        told = forecast(evidence_of(scenario, truth * LOAD, seed), seed=seed)
        if isinstance(told, Forecast):
            lessons.append(test_of(scenario, told, seed))
        else:
            lessons.append(None)
    made: list[Learned] = []
    for look in range(looks):
        seed = _LOOK_SEED + look
        evidence = evidence_of(scenario, truth * LOAD, seed)
        for count in COUNTS:
            known = [one for one in lessons[:count] if one is not None]
            told = forecast(evidence, lessons=known, seed=seed)
            if isinstance(told, Forecast):
                made.append(_compared(scenario, count, len(known), look, told, truth))
    return made


def _compared(
    scenario: Scenario, tests: int, reached: int, look: int, told: Forecast, truth: float
) -> Learned:
    found: Interval = told.saturation_per_second
    return Learned(
        scenario=scenario.name,
        tests=tests,
        reached=reached,
        look=look,
        error_ratio=found.best / truth - 1,
        is_covered=found.low <= truth <= found.high,
        width=found.width_ratio,
    )


def table(rows: Sequence[Learned]) -> str:
    """Errors, intervals and widths by the number of load tests."""
    names = {one.scenario for one in rows}
    lines = [
        f"Simulated systems, {len(names)}, foretold from {LOAD:.0%} of their load: "
        f"{len(rows)} forecasts.",
        "",
        f"{'load tests before':>17}  {'median error':>12}  {'90 in 100 below':>15}  "
        f"{'90 % interval holds it':>22}  {'median width':>12}",
    ]
    for count in COUNTS:
        part = [one for one in rows if one.tests == count]
        errors = np.abs([one.error_ratio for one in part])
        middle, high = np.quantile(errors, [0.5, 0.9])
        holds = np.mean([one.is_covered for one in part])
        width = np.median([one.width for one in part])
        lines.append(f"{count:17d}  {middle:12.1%}  {high:15.1%}  {holds:22.1%}  {width:12.2f}")
    return "\n".join(lines)


def chart(rows: Sequence[Learned]) -> str:
    """The same errors as a picture: the median, and where 90 in 100 are below."""
    wide, tall, left, top = 560, 220, 60, 20
    found = [np.quantile(_errors(rows, count), [0.5, 0.9]) for count in COUNTS]
    most = 1.15 * max(float(high) for _, high in found)

    def x(place: int) -> float:
        return left + 40 + place * (wide - left - 100) / (len(COUNTS) - 1)

    def y(error: float) -> float:
        return top + (1 - error / most) * (tall - 2 * top - 24)

    drawn = [
        f'<line x1="{left}" y1="{y(0):.1f}" x2="{wide}" y2="{y(0):.1f}" stroke="#888"/>',
        *(
            f'<text x="{x(place):.1f}" y="{tall - 18}" text-anchor="middle">{count}</text>'
            for place, count in enumerate(COUNTS)
        ),
        f'<text x="{wide / 2:.0f}" y="{tall - 2}" text-anchor="middle">load tests before</text>',
    ]
    for name, which, ink in (("90 in 100 below", 1, "#c4601f"), ("median error", 0, "#1f8bb0")):
        values = [float(each[which]) for each in found]
        points = " ".join(f"{x(place):.1f},{y(one):.1f}" for place, one in enumerate(values))
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{ink}" stroke-width="2"/>')
        for place, one in enumerate(values):
            drawn.append(f'<circle cx="{x(place):.1f}" cy="{y(one):.1f}" r="3" fill="{ink}"/>')
            drawn.append(
                f'<text x="{x(place):.1f}" y="{y(one) - 8:.1f}" text-anchor="middle" '
                f'fill="{ink}">{one:.1%}</text>'
            )
        drawn.append(f'<text x="0" y="{y(values[0]):.1f}" fill="{ink}">{name.split()[0]}</text>')
    style = "text { font: 12px system-ui, sans-serif; }"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}" role="img" '
        f'aria-label="Error of forecasts by the number of load tests before">'
        f"<style>{style}</style>{''.join(drawn)}</svg>\n"
    )


def _errors(rows: Sequence[Learned], count: int) -> list[float]:
    return [abs(one.error_ratio) for one in rows if one.tests == count]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.forecast.learning", description=__doc__
    )
    parser.add_argument("--only", default="", help="systems whose name begins so")
    parser.add_argument("--every", type=int, default=1, help="take every so many of them")
    parser.add_argument("--publish", action="store_true", help="write results and the chart")
    asked = parser.parse_args()
    quick = bool(os.environ.get("BENCH_QUICK"))
    chosen = [one for one in scenarios() if one.name.startswith(asked.only) and not _has_jobs(one)]
    rows: list[Learned] = []
    for one in chosen[:: 8 if quick else asked.every]:
        print(f"{one.name} ...", file=sys.stderr)
        rows += learned_of(one, 1 if quick else LOOKS_COUNT)
    print(table(rows))
    if asked.publish:
        path = KEPT.with_name("forecast_learning.json")
        path.write_text("[\n" + ",\n".join(json.dumps(asdict(one)) for one in rows) + "\n]\n")
        path.with_suffix(".txt").write_text(table(rows) + "\n")
        CHART.write_text(chart(rows))


def _has_jobs(scenario: Scenario) -> bool:
    return any(place.kind == "queue" for place in scenario.system.places)


if __name__ == "__main__":
    main()
