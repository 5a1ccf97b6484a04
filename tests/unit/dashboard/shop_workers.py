"""The workers of the made-up shop, now and over time."""

from __future__ import annotations

from outgrow.dashboard import shapes
from outgrow.dashboard.asking import Asked
from tests.unit.dashboard.shop_growth import swing


def workers(asked: Asked) -> shapes.Workers:
    """The workers of the last minutes: four report, and one was lost."""
    to_ms = asked.to_ns / 1e6
    found = (("front/1", 46.0), ("front/2", 44.0), ("desk/1", 71.0), ("advice/1", 12.0))
    rows = [
        shapes.Worker(
            name=name,
            group=name.split("/")[0],
            state="reporting",
            version=3,
            machine="shop-1",
            pid=4100 + number,
            began_at_ms=to_ms - 5_400_000,
            seen_at_ms=to_ms,
            commit="9f31c02be7",
            busy_percent=busy,
            cpu_percent=busy * 0.8,
            loop_lag_p99_ms=busy / 9,
            gil_wait_p99_ms=busy / 5,
            run_queue_percent=2.1,
            gc_percent=0.3,
            memory_bytes=121_000_000 + 3_000_000 * number,
            threads=6 + number,
            in_flight=int(busy / 12),
        )
        for number, (name, busy) in enumerate(found)
    ]
    vanished = shapes.Worker(
        name="desk/2",
        group="desk",
        state="lost",
        version=2,
        machine="shop-1",
        pid=3987,
        began_at_ms=to_ms - 9_000_000,
        seen_at_ms=to_ms - 320_000,
        memory_bytes=140_000_000,
    )
    gap = shapes.Gap(worker="desk/2", from_ms=to_ms - 320_000, to_ms=to_ms - 318_000)
    told = shapes.Gap(
        worker="front/1", from_ms=to_ms - 90_000, to_ms=to_ms - 81_000, is_counted=True
    )
    return shapes.Workers(workers=[*rows, vanished], gaps=[gap, told], lost={"spans": 214})


def worker_series(
    asked: Asked, step: float, times: list[float], marks: list[shapes.Mark]
) -> shapes.WorkerSeries:
    """Those that report over time, as the traffic swings; their memory grows."""
    found = [one for one in workers(asked).workers if one.state == "reporting"]
    by = [swing(at) for at in times]
    return shapes.WorkerSeries(
        step_seconds=step,
        times_ms=times,
        workers=[
            shapes.WorkerLine(
                name=one.name,
                busy_percent=[min(100.0, (one.busy_percent or 0) * each) for each in by],
                loop_lag_p99_ms=[(one.loop_lag_p99_ms or 0) * each**2 for each in by],
                gil_wait_p99_ms=[(one.gil_wait_p99_ms or 0) * each**3 for each in by],
                memory_bytes=[one.memory_bytes + 100_000 * place for place in range(len(times))],
            )
            for one in found[: asked.whole("limit")]
        ],
        workers_count=len(found),
        marks=marks,
    )
