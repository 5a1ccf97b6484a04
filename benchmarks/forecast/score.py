"""Forecasts of each scenario from little load, and how far they were off."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from benchmarks.forecast.baselines import (
    by_cores,
    by_last_value,
    by_scalability_law,
    last_times,
)
from benchmarks.forecast.scenarios import Part, Scenario
from benchmarks.forecast.truth import Truth, main_class
from outgrow.capacity.evidence import Machine, Recorded, Window
from outgrow.capacity.forecast import Forecast, Interval, forecast, response
from outgrow.capacity.knees import Objective
from outgrow.capacity.refusal import Refusal
from outgrow.capacity.simulate import Simulation

EVIDENCE_CALLS = 3000
EVIDENCE_WINDOWS = 36


@dataclass(frozen=True, kw_only=True)
class Score:
    """One forecast beside what was measured; ratios are predicted over measured.

    Attributes:
        load: Share of the saturation under which the evidence was taken.
        refused: Why there was no forecast; empty where there was one.
        cores_ratio: Saturation by the baseline that looks at CPU alone.
        law_ratio: By the Universal Scalability Law.
        last_ratio: By the most that was seen.
        last_mean_ratio: Of the times that were seen, over those at 0.85 of saturation.
        last_p99_ratio: Likewise.
    """

    scenario: str
    part: Part
    load: float
    seed: int
    refused: str = ""
    ratio: float = 0.0
    is_covered: bool = False
    width: float = 0.0
    knee_ratio: float = 0.0
    knee_is_covered: bool = False
    knee_width: float = 0.0
    first: tuple[str, ...] = ()
    is_first_right: bool = False
    mean_ratio: float = 0.0
    mean_is_covered: bool = False
    p99_ratio: float = 0.0
    p99_is_covered: bool = False
    cores_ratio: float = 0.0
    law_ratio: float = 0.0
    last_ratio: float = 0.0
    last_mean_ratio: float = 0.0
    last_p99_ratio: float = 0.0


def score(scenario: Scenario, truth: Truth, load: float, seed: int) -> Score:
    evidence = evidence_of(scenario, truth.saturation * load, seed)
    name = main_class(scenario)
    objective = Objective(operation=name, seconds=truth.objective_seconds)
    told = forecast(evidence, objectives=[objective], seed=seed)
    if isinstance(told, Refusal):
        return Score(
            scenario=scenario.name,
            part=scenario.part,
            load=load,
            seed=seed,
            refused=told.text,
        )
    return _compared(scenario, truth, load, seed, told, evidence)


def evidence_of(scenario: Scenario, rate: float, seed: int) -> Recorded:
    """What is counted while traffic swells and ebbs once, from 0.4 of this rate to all of it."""
    simulation = Simulation(
        scenario.system, seed=seed + round(rate * 1000) * 64, rate_per_second=rate * 0.4
    )
    # Whole parts of 100 ms, as in windows of 10 s: a part cut in two would look like a burst.
    seconds = max(round(EVIDENCE_CALLS / (rate * 0.7) / EVIDENCE_WINDOWS, 1), 0.1)
    simulation.run(seconds=seconds * 2, window_seconds=seconds * 2)
    windows: list[Window] = []
    for number in range(EVIDENCE_WINDOWS):
        swell = (1 - math.cos(2 * math.pi * number / EVIDENCE_WINDOWS)) / 2
        simulation.rate_per_second = rate * (0.4 + 0.6 * swell)
        windows += simulation.run(seconds=seconds, window_seconds=seconds)
    return Recorded(
        recorded=tuple(windows),
        machines=tuple(
            Machine(name=one.name, cores=one.cores, slowdown_ratio=one.slowdown_ratio)
            for one in scenario.system.computers
        ),
    )


def _compared(
    scenario: Scenario,
    truth: Truth,
    load: float,
    seed: int,
    told: Forecast,
    evidence: Recorded,
) -> Score:
    found, knee = told.saturation_per_second, told.knee_by_objective_per_second
    assert knee is not None
    name = main_class(scenario)
    answer = response(told, name, truth.saturation * 0.85)
    last_mean, last_p99 = last_times(evidence, name)
    return Score(
        scenario=scenario.name,
        part=scenario.part,
        load=load,
        seed=seed,
        ratio=found.best / truth.saturation,
        is_covered=_holds(found, truth.saturation),
        width=found.width_ratio,
        knee_ratio=knee.best / truth.knee,
        knee_is_covered=_holds(knee, truth.knee),
        knee_width=knee.width_ratio,
        first=told.first,
        is_first_right=told.ladder[0].station in scenario.planted,
        mean_ratio=answer.mean_seconds.best / truth.mean_seconds,
        mean_is_covered=_holds(answer.mean_seconds, truth.mean_seconds),
        p99_ratio=answer.p99_seconds.best / truth.p99_seconds,
        p99_is_covered=_holds(answer.p99_seconds, truth.p99_seconds),
        cores_ratio=by_cores(evidence) / truth.saturation,
        law_ratio=by_scalability_law(evidence) / truth.saturation,
        last_ratio=by_last_value(evidence) / truth.saturation,
        last_mean_ratio=last_mean / truth.mean_seconds,
        last_p99_ratio=last_p99 / truth.p99_seconds,
    )


def _holds(told: Interval, measured: float) -> bool:
    return told.low <= measured <= told.high


def median_error(ratios: list[float], quantile: float = 0.5) -> float:
    """Quantile of |ratio - 1|."""
    return float(np.quantile(np.abs(np.array(ratios) - 1), quantile)) if ratios else float("nan")
