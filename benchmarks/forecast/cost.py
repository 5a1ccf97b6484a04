"""What a forecast costs by the calls that it rests on: `python -m benchmarks.forecast.cost`.

The same system, in as many windows, at more and more traffic on more and more workers. Each row is
the median of some forecasts in this process; memory is the most that Python and numpy had at once.
"""

from __future__ import annotations

import time
import tracemalloc
from statistics import median

from benchmarks.forecast.scenarios import place, query, run, task
from outgrow.capacity import Forecast, Machine, Recorded, forecast
from outgrow.capacity.simulate import Computer, Hold, Process, Simulation, System, Traffic

CALLS = (3_000, 30_000, 300_000)
WINDOWS_COUNT = 36
WINDOW_SECONDS = 10.0
ROUNDS_COUNT = 5


def system(workers: int) -> System:
    page = task("GET /", run(1), Hold("pool", (query(2), run(0.2))), run(0.5))
    order = task("POST /", run(2), Hold("pool", (query(3), run(0.3))))
    return System(
        tasks=(page, order),
        traffic=Traffic(mix={"GET /": 0.8, "POST /": 0.2}),
        processes=(
            Process(name="web", workers=workers, idle_ratio=0.01),
            Process(name="db", machine="rack", is_python=False, idle_ratio=0.02),
        ),
        places=(place("pool", "pool", 10, "web"),),
        computers=(
            Computer(cores=64, slowdown_ratio=(1.0,) * 64),
            Computer(name="rack", cores=64, slowdown_ratio=(1.0,) * 64),
        ),
    )


def evidence_of(calls: int) -> Recorded:
    what = system(workers=max(1, calls // 9_000))
    seconds = WINDOWS_COUNT * WINDOW_SECONDS
    simulation = Simulation(what, seed=7, rate_per_second=calls / seconds)
    windows = simulation.run(seconds=seconds, window_seconds=WINDOW_SECONDS)
    machines = tuple(
        Machine(name=one.name, cores=one.cores, slowdown_ratio=one.slowdown_ratio)
        for one in what.computers
    )
    return Recorded(recorded=tuple(windows), machines=machines)


def main() -> None:
    print(f"{'calls':>9}{'seconds':>9}{'MB at most':>12}  {WINDOWS_COUNT} windows, 400 draws")
    for calls in CALLS:
        evidence = evidence_of(calls)
        spent: list[float] = []
        for _ in range(ROUNDS_COUNT):
            began = time.process_time()
            assert isinstance(forecast(evidence), Forecast)
            spent.append(time.process_time() - began)
        tracemalloc.start()
        forecast(evidence)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(f"{calls:9,}{median(spent):9.2f}{most / 1e6:12.1f}")


if __name__ == "__main__":
    main()
