"""Simulated systems as the tests ask them: a little load for evidence, a crowd for the truth."""

from __future__ import annotations

from dataclasses import replace

from outgrow.capacity import Machine, Recorded, Window
from outgrow.capacity.simulate import (
    Computer,
    Place,
    Process,
    Simulation,
    Span,
    System,
    Task,
    Traffic,
)


def ms(mean_ms: float, cv: float = 1.0) -> Span:
    return Span(mean_seconds=mean_ms / 1e3, cv=cv)


def system(
    *tasks: Task,
    places: tuple[Place, ...] = (),
    mix: dict[str, float] | None = None,
    workers: int = 1,
    others: tuple[Process, ...] = (),
    cores: int = 8,
) -> System:
    """Tasks on a machine with cores enough; the first task is called where no mix is given."""
    db = Process(name="db", machine="rack", is_python=False)
    return System(
        tasks=tasks,
        traffic=Traffic(mix=mix or {tasks[0].name: 1.0}),
        processes=(Process(name="web", workers=workers), db, *others),
        places=places,
        computers=(
            Computer(cores=cores, slowdown_ratio=(1.0,) * cores),
            Computer(name="rack", cores=4, slowdown_ratio=(1.0,) * 4),
        ),
    )


def evidence_of(
    what: System, rate_per_second: float, *, calls: int = 2500, windows: int = 24, seed: int = 1
) -> Recorded:
    """What is counted of so many calls at a steady rate."""
    seconds = calls / rate_per_second / windows
    simulation = Simulation(what, seed=seed, rate_per_second=rate_per_second)
    recorded = simulation.run(seconds=seconds * windows, window_seconds=seconds)
    machines = tuple(
        Machine(name=one.name, cores=one.cores, slowdown_ratio=one.slowdown_ratio)
        for one in what.computers
    )
    return Recorded(recorded=tuple(recorded), machines=machines)


def saturation_of(what: System, *, calls: int = 5000, crowd: int = 200) -> float:
    """Calls a second that a crowd which never pauses gets done."""
    traffic = replace(what.traffic, clients=crowd, think_seconds=0.0)
    simulation = Simulation(replace(what, traffic=traffic), seed=5, rate_per_second=1.0)
    simulation.run(seconds=3, window_seconds=3)
    windows: list[Window] = []
    while calls_of(windows) < calls:
        windows += simulation.run(seconds=2, window_seconds=2)
    return calls_of(windows) / (2.0 * len(windows))


def calls_of(windows: list[Window]) -> int:
    return sum(one.calls for window in windows for one in window.operations if one.is_entry)


def mean_seconds_of(windows: list[Window]) -> float:
    rows = [one for window in windows for one in window.operations if one.is_entry]
    return sum(one.duration_seconds for one in rows) / sum(one.calls for one in rows)
