"""Limits that the model has no station for: `python -m benchmarks.forecast.hidden`.

Ten systems whose first limit nobody measures: quotas, memory, open files, a cache that no longer
holds, a plan that flips, a hot row, disks, networks, connections of a database, ports. Each is
asked about from a fifth of what it bears. An answer is wrong if all of its interval is above that.
It is confident if nothing is said of the place where the limit hides, `outgrow.capacity.unknown`; a
sentence that is true of every forecast does not count.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmarks.forecast.scenarios import ms, place, query, run, task
from outgrow.capacity import Forecast, Machine, Recorded, Window, forecast
from outgrow.capacity.simulate import (
    Computer,
    Hold,
    Perhaps,
    Process,
    Rest,
    Serve,
    Simulation,
    System,
    Traffic,
)
from outgrow.capacity.simulate.running import RefusedError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from outgrow.capacity.evidence import Kind
    from outgrow.capacity.simulate import Place, Task
    from outgrow.capacity.simulate.engine import Line
    from outgrow.capacity.simulate.system import Step

EVIDENCE_RATIO = 0.2
EVIDENCE_CALLS, EVIDENCE_WINDOWS = 3000, 36
SEEDS = (41, 42)
OPEN_CALLS = 6000
HALVINGS_COUNT = 8
RATE_MAX = 600.0
SLOWER_RATIO = 10.0
"""A rate is borne while the mean time is below so many times that at a tenth of it ..."""
SERVED_RATIO_MIN = 0.99
"""... and so many calls get an answer, those aside that are under way at the end."""
IN_FLIGHT_MAX = 20
MARK = "hidden "
"""Places that are so named are left out of the evidence."""


@dataclass(frozen=True)
class Odd:
    """A step that the model knows nothing of.

    Attributes:
        kind: `quota`: so many a second, the others wait in line. `crowd`: slower by `factor` while
            more calls than `most` are in flight. `files`, `ports`: refused while more than `most`
            are in flight, or come in a second. `cache`: slower by `factor` while more than `most`
            come in a second. `plan`: slower by `factor` after so many calls.
    """

    kind: str
    most: float
    factor: float = 1.0
    mean_ms: float = 0.0


class Odder(Simulation):
    """A simulation with such steps."""

    def __init__(self, system: System, *, seed: int, rate_per_second: float) -> None:
        super().__init__(system, seed=seed, rate_per_second=rate_per_second)
        self.free_at = self.came = 0.0
        self.recent: list[float] = []
        for server in self.servers.values():
            if server.place.name.startswith(MARK):
                server.tells_waits = False

    def _do(self, line: Line, steps: Sequence[Step | Odd]) -> Generator[float, None, None]:
        for step in steps:
            if isinstance(step, Odd):
                yield from self._odd(step)
            else:
                yield from super()._do(line, (step,))

    def _odd(self, step: Odd) -> Generator[float, None, None]:
        now = self.timeline.now
        self.came += 1
        self.recent = [at for at in self.recent if at > now - 1.0]
        self.recent.append(now)
        if step.kind == "quota":
            self.free_at = max(self.free_at, now) + 1 / step.most
            yield self.free_at - now
        many = len(self.recent) if step.kind in ("cache", "ports") else self.in_flight
        is_over = (self.came if step.kind == "plan" else many) > step.most
        if is_over and step.kind in ("files", "ports"):
            raise RefusedError
        slower = step.factor if is_over and step.kind in ("crowd", "cache", "plan") else 1.0
        if step.mean_ms:
            yield self._draw(ms(step.mean_ms)) * slower


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """A system, and where its limit hides: a station, a class, or nowhere that takes time."""

    name: str
    system: System
    within: str


def _system(*tasks: Task, places: tuple[Place, ...] = (), workers: int = 1) -> System:
    return System(
        tasks=tasks,
        traffic=Traffic(mix={tasks[0].name: 1.0}),
        processes=(
            Process(name="web", workers=workers, idle_ratio=0.01),
            Process(name="db", machine="rack", is_python=False, idle_ratio=0.02),
        ),
        places=places,
        computers=(
            Computer(cores=8, slowdown_ratio=(1.0,) * 8),
            Computer(name="rack", cores=8, slowdown_ratio=(1.0,) * 8),
        ),
    )


def hidden() -> list[Hidden]:
    pool = place("pool", "pool", 20, "web")

    def secret(name: str, kind: Kind, capacity: int) -> Place:
        return place(MARK + name, kind, capacity)

    def one(name: str, within: str, *steps: Step | Odd, places: tuple[Place, ...] = ()) -> Hidden:
        made = task("GET /", *steps)  # pyright: ignore[reportArgumentType]
        return Hidden(name=name, within=within, system=_system(made, places=(pool, *places)))

    def held(*steps: Step | Odd) -> Hold:
        return Hold("pool", steps)  # pyright: ignore[reportArgumentType]

    disk, network = secret("disk", "downstream", 2), secret("network", "downstream", 1)
    row, slots = secret("row", "lock", 1), secret("connections", "downstream", 4)
    return [
        one("a quota of another company", "GET /", run(1), Odd("quota", 90, mean_ms=30), run(0.5)),
        one("memory: calls in flight swap", "GET /", run(1.2), Odd("crowd", 6, 40, 20)),
        one("open files", "", run(2), held(query(2)), Odd("files", 7)),
        one("a cache that no longer holds", "pool", run(1), held(Odd("cache", 120, 40, 4))),
        one("a plan that flips", "pool", run(1), held(Odd("plan", 4000, 40, 4))),
        one(
            *("a hot row", "pool", run(1), held(query(1), Serve(row.name, ms(6, 0.5)))),
            places=(row,),
        ),
        one("a disk", "GET /", run(1), Serve(disk.name, ms(12, 0.5)), places=(disk,)),
        one("a network", "GET /", run(1), Serve(network.name, ms(7, 0.2)), places=(network,)),
        one(
            *("connections of the database", "pool", run(1)),
            held(Hold(slots.name, (Rest(ms(22)),))),
            places=(slots,),
        ),
        one("ports of a machine", "", run(1.4), Perhaps(0.9, (Rest(ms(0.2)),)), Odd("ports", 150)),
    ]


def borne(one: Hidden) -> float:
    """Calls a second up to which it answers, and not much later than at little load."""
    low, high = 5.0, RATE_MAX
    for step in range(HALVINGS_COUNT):
        middle = (low + high) / 2
        low, high = (middle, high) if _bears(one, middle, 960 + step) else (low, middle)
    return (low + high) / 2


def _bears(one: Hidden, rate: float, seed: int) -> bool:
    times: list[float] = []
    for share in (0.1, 1.0):
        simulation = Odder(one.system, seed=seed, rate_per_second=rate * share)
        # By then a plan has flipped.
        simulation.came = math.inf
        seconds = OPEN_CALLS / rate
        windows = simulation.run(seconds=seconds, window_seconds=seconds)
        rows = [each for each in windows[0].operations if each.is_entry]
        calls = sum(each.calls for each in rows)
        failed = sum(each.errors for each in rows) + simulation.in_flight
        if failed > (1 - SERVED_RATIO_MIN) * calls + IN_FLIGHT_MAX:
            return False
        times.append(sum(each.duration_seconds for each in rows) / calls)
    return times[1] < SLOWER_RATIO * times[0]


def evidence_of(one: Hidden, rate: float, seed: int) -> Recorded:
    """What is counted at this rate, without what nobody measures."""
    simulation = Odder(one.system, seed=seed, rate_per_second=rate)
    seconds = round(EVIDENCE_CALLS / rate / EVIDENCE_WINDOWS, 1)
    windows = simulation.run(seconds=seconds * EVIDENCE_WINDOWS, window_seconds=seconds)
    return Recorded(
        recorded=tuple(_without(window) for window in windows),
        machines=tuple(
            Machine(name=each.name, cores=each.cores, slowdown_ratio=each.slowdown_ratio)
            for each in one.system.computers
        ),
    )


def _without(window: Window) -> Window:
    return replace(
        window,
        stations=tuple(each for each in window.stations if not each.name.startswith(MARK)),
        nestings=tuple(
            each for each in window.nestings if not (each.outer + each.inner).count(MARK)
        ),
    )


def main() -> None:
    confident = asked = silent = 0
    print(f"{'limit that nobody measures':34}{'bears':>7}{'foretold, in two runs':>34}  answer")
    for one in hidden():
        limit = borne(one)
        told: list[str] = []
        for seed in SEEDS:
            asked += 1
            found = forecast(evidence_of(one, limit * EVIDENCE_RATIO, seed), seed=seed)
            if not isinstance(found, Forecast):
                silent += 1
                told.append("refused")
                continue
            range_ = found.saturation_per_second
            is_wrong, is_named = range_.low > limit, one.within in found.unknown
            confident += is_wrong and not is_named
            answer = "right" if not is_wrong else "named" if is_named else "CONFIDENT"
            told.append(f"{range_.best:.0f} ({range_.low:.0f}-{range_.high:.0f}) {answer}")
        print(f"{one.name:34}{limit:7.0f}  {'; '.join(told)}")
        sys.stdout.flush()
    print()
    print(f"{asked} forecasts, {silent} refused, {confident} confident and wrong: ", end="")
    print(f"{confident / asked:.0%}, aim 5 %")


if __name__ == "__main__":
    main()
