"""What really happens: the same systems under high load, in virtual time.

Saturation: a closed crowd that never pauses; of what enqueues jobs, as many as are run as well.
Knee by objective: open arrivals, halving. All of it is kept in a file by a digest of the system and
of the simulator, since it takes minutes.
"""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.forecast.scenarios import Scenario
from outgrow.capacity.evidence import Window
from outgrow.capacity.simulate import Simulation
from outgrow.telemetry import quantile_ms

KEPT = Path(__file__).parent.parent / "results" / "forecast_truth.json"
SIMULATOR = Path(__file__).parents[2] / "src" / "outgrow" / "capacity" / "simulate"
CROWD_COUNT = 400
SATURATED_CALLS = 12_000
OPEN_CALLS = 10_000
STAYS_COUNT = 300
"""Under bursts a run lasts for so many of them, mean ones, if that is longer."""
HALVINGS_COUNT = 5
JOB_HALVINGS_COUNT = 8
JOBS_RATIO_MIN = 0.99
OBJECTIVE_RATIO = 4.0
"""The objective of a scenario: p99 at a tenth of its saturation, times this."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What was measured of one scenario.

    Attributes:
        saturation: Calls a second that a crowd gets done.
        busy: Share of each station in use then.
        objective_seconds: For p99 of the most frequent class.
        knee: Calls a second up to which it holds.
        mean_seconds: Of the most frequent class at 0.85 of the saturation.
        p99_seconds: Then.
    """

    saturation: float
    busy: dict[str, float]
    objective_seconds: float
    knee: float
    mean_seconds: float
    p99_seconds: float


def truth_of(scenario: Scenario) -> Truth:
    known = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    digest = _digest(scenario)
    if digest not in known.get(scenario.name, {}):
        known = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        known[scenario.name] = {digest: asdict(_measure(scenario))}
        KEPT.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    return Truth(**known[scenario.name][digest])


def _digest(scenario: Scenario) -> str:
    constants: tuple[float, ...] = (
        CROWD_COUNT,
        SATURATED_CALLS,
        OPEN_CALLS,
        HALVINGS_COUNT,
        OBJECTIVE_RATIO,
    )
    if scenario.system.traffic.burst_ratio:
        constants = (*constants, STAYS_COUNT)
    digest = hashlib.sha256(repr((scenario.system, constants)).encode())
    for path in (SIMULATOR / "running.py", SIMULATOR / "engine.py"):
        digest.update(ast.dump(ast.parse(path.read_text())).encode())
    return digest.hexdigest()[:16]


def main_class(scenario: Scenario) -> str:
    mix = scenario.system.traffic.mix
    return max(mix, key=lambda name: mix[name])


def _measure(scenario: Scenario) -> Truth:
    saturation, busy = _saturate(scenario)
    _, low_p99 = open_loop(scenario, saturation * 0.1, seed=902)
    objective = low_p99 * OBJECTIVE_RATIO
    low, high = saturation * 0.2, saturation
    for step in range(HALVINGS_COUNT):
        middle = (low + high) / 2
        _, p99 = open_loop(scenario, middle, seed=910 + step)
        low, high = (middle, high) if p99 <= objective else (low, middle)
    mean, p99 = open_loop(scenario, saturation * 0.85, seed=930, calls=2 * OPEN_CALLS)
    return Truth(
        saturation=saturation,
        busy=busy,
        objective_seconds=objective,
        knee=(low + high) / 2,
        mean_seconds=mean,
        p99_seconds=p99,
    )


def _saturate(scenario: Scenario) -> tuple[float, dict[str, float]]:
    traffic = replace(scenario.system.traffic, clients=CROWD_COUNT, think_seconds=0.0)
    system = replace(scenario.system, traffic=traffic)
    simulation = Simulation(system, seed=901, rate_per_second=1.0)
    simulation.run(seconds=5, window_seconds=5)
    windows: list[Window] = []
    marks = {key: _busy(simulation, key) for key in simulation.servers}
    while _calls(windows) < SATURATED_CALLS:
        windows += simulation.run(seconds=5, window_seconds=5)
    seconds = 5.0 * len(windows)
    rate = _kept_up(scenario, windows, _calls(windows) / seconds)
    return rate, _shares(windows, simulation, marks, seconds)


def _kept_up(scenario: Scenario, windows: list[Window], crowd: float) -> float:
    """Calls a second up to which all jobs are run as well; those of the crowd without jobs.

    A crowd does not wait for jobs, so they pile up, and as many are run as can be. Those that come
    by the clock pile up with the others: what is left for traffic then is found by halving.
    """
    if not scenario.system.schedule:
        came, ran = _jobs(windows)
        return crowd * min(1.0, ran / came) if came else crowd
    low, high = 0.0, crowd
    for step in range(JOB_HALVINGS_COUNT):
        middle = (low + high) / 2
        low, high = (middle, high) if _keeps_up(scenario, middle, 940 + step) else (low, middle)
    return (low + high) / 2


def _jobs(windows: list[Window]) -> tuple[int, int]:
    """Jobs that were enqueued, and those that were run."""
    handed = [link for window in windows for link in window.links if link.is_background]
    names = {link.callee for link in handed}
    ran = sum(one.calls for window in windows for one in window.operations if one.name in names)
    return sum(link.calls for link in handed), ran


def _keeps_up(scenario: Scenario, rate: float, seed: int) -> bool:
    """Whether as many jobs are run as are enqueued; 1 in 100 may wait at the end."""
    simulation = Simulation(scenario.system, seed=seed, rate_per_second=rate)
    seconds = OPEN_CALLS / rate
    windows = simulation.run(seconds=seconds, window_seconds=seconds)
    came, ran = _jobs(windows)
    return ran >= JOBS_RATIO_MIN * came


def _busy(simulation: Simulation, key: tuple[str, int]) -> float:
    server = simulation.servers[key]
    server.settle()
    return server.busy_seconds


def _shares(
    windows: list[Window],
    simulation: Simulation,
    marks: dict[tuple[str, int], float],
    seconds: float,
) -> dict[str, float]:
    shares: dict[str, float] = {}
    for window in windows:
        for one in window.stations:
            used = one.hold_seconds - one.nested_wait_seconds
            share = used / (seconds * one.capacity * one.replicas)
            shares[one.name] = shares.get(one.name, 0.0) + share
    for key, server in simulation.servers.items():
        if server.place.kind in ("cpu", "gil"):
            share = (_busy(simulation, key) - marks[key]) / (seconds * server.capacity)
            name = f"cpu {key[0]}" if server.place.kind == "cpu" else key[0]
            shares[name] = max(shares.get(name, 0.0), share)
    return shares


def _calls(windows: list[Window]) -> int:
    return sum(one.calls for window in windows for one in window.operations if one.is_entry)


def open_loop(
    scenario: Scenario, rate: float, *, seed: int, calls: int = OPEN_CALLS
) -> tuple[float, float]:
    """Mean and p99 (seconds) of the most frequent class under an open load."""
    name = main_class(scenario)
    simulation = Simulation(scenario.system, seed=seed, rate_per_second=rate)
    traffic = scenario.system.traffic
    stays_seconds = STAYS_COUNT * traffic.burst_seconds if traffic.burst_ratio else 0.0
    seconds = max(calls / rate, stays_seconds)
    simulation.run(seconds=seconds * 0.1, window_seconds=seconds * 0.1)
    found = simulation.run(seconds=seconds, window_seconds=seconds)
    spent, count, buckets = 0.0, 0, {}
    for one in (one for window in found for one in window.operations if one.name == name):
        spent, count = spent + one.duration_seconds, count + one.calls
        for bucket, number in one.buckets.items():
            buckets[bucket] = buckets.get(bucket, 0) + number
    return spent / max(count, 1), (quantile_ms(buckets, 0.99) or 0.0) / 1e3
