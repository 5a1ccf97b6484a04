"""How the double of the shop's traffic goes up and down, and what it foresees."""

from __future__ import annotations

import math
import random

import msgspec

from outgrow.dashboard import shapes
from outgrow.dashboard.asking import Asked
from outgrow.dashboard.besides import NEVER_EXTRAPOLATED

SECOND_MS = 1000.0


def swing(at_ms: float, period_seconds: float = 240.0, depth: float = 0.25) -> float:
    """Around 1, as traffic goes up and down; the same for the same moment."""
    slow = math.sin(at_ms / SECOND_MS / period_seconds * math.tau)
    noise = random.Random(int(at_ms / SECOND_MS)).uniform(-1, 1)
    return 1 + depth * slow + 0.06 * noise


def between(best: float, spread: float = 0.12) -> shapes.Between:
    return shapes.Between(best=best, low=best * (1 - spread), high=best * (1 + spread))


def moved_by(now_per_second: float, times: float) -> shapes.PatternAhead:
    return shapes.PatternAhead(
        title="run `web` 3 times instead of 1",
        effort="placement",
        how="`outgrow apply --workers web=3`",
        needs=["no state is kept in a worker's memory"],
        calls_per_second=between(1.2 * times * now_per_second, 0.1),
        headroom=between(1.2 * times, 0.1),
    )


def responding(asked: Asked) -> shapes.Responding:
    routes = ["POST /orders", "GET /products/{sku}"]
    chosen = asked.text("operation") or routes[0]
    points: list[shapes.ResponsePoint] = []
    for step in range(1, 25):
        load = step / 25
        mean = 9.0 / (1 - load)
        points.append(
            shapes.ResponsePoint(
                calls_per_second=322.0 * load,
                mean_ms=between(mean, 0.1 * load),
                p99_ms=between(4.0 * mean, 0.2 * load),
            )
        )
    return shapes.Responding(operation=chosen, operations=routes, points=points)


def ways() -> list[shapes.Way]:
    way = shapes.Way(
        limit="writer orders",
        title="give `Stock` a database of its own",
        effort="data",
        by="hand",
        how="give `Stock` a `Database` field of its own, and move its tables there",
        needs=["no statement joins its tables with those of others"],
        assumes="",
        before=between(322.0),
        after=between(540.0),
        gain=between(1.7, 0.06),
        better_percent=100.0,
        first_after="loop web",
        money_per_month=25.0,
    )
    later = msgspec.structs.replace(
        way,
        title="run `Mail.send` as jobs",
        effort="code",
        how="mark `Mail.send` as `@job`, and have callers `enqueue` it",
        needs=["no caller uses its result at once, which only you know"],
        after=between(322.0),
        gain=between(1.0, 0.0),
        better_percent=0.0,
        first_after="writer orders",
        workers=1,
        money_per_month=1.2,
    )
    shorter = msgspec.structs.replace(
        way,
        title="hold `writer orders` for 1.1 ms at a time instead of 4.2",
        effort="code",
        how="compute before it begins, write many rows at once",
        needs=[],
        assumes="each hold takes 1.1 ms at most",
        money_per_month=0.0,
    )
    return [way, later, shorter]


def gain() -> shapes.Gain:
    return shapes.Gain(
        before=between(322.0), after=between(700.0), gain=between(2.2), first_after="writer orders"
    )


def applied(now_ms: float) -> list[shapes.Applied]:
    groups = [shapes.PlannedGroup(name="web", runs=["stock", "web"], replicas="1:1")]
    one = shapes.Applied(
        at_ms=now_ms - 60_000,
        what="workers web=3",
        times=5.0,
        foretold=gain(),
        groups=groups,
        note="measuring: 4 of 18 windows",
    )
    measured = shapes.Measured(
        at_ms=now_ms - 3_600_000,
        knee=between(322.0),
        gain=between(1.9),
        first="writer orders",
        error_percent=4.8,
        is_held=True,
        by="traffic",
    )
    return [
        one,
        msgspec.structs.replace(
            one, at_ms=now_ms - 7_200_000, what="workers web=2", note="", measured=measured
        ),
    ]


def plan(asked: Asked) -> shapes.GrowthPlan:
    times = asked.number("times")
    step = shapes.PlanStep(
        limit="loop web",
        kind="loop",
        pattern=moved_by(134.0, times),
        by="apply",
        limit_per_second=between(522.0),
        knee_before=between(322.0),
        knee_after=between(700.0),
        first_after="writer orders",
        workers=2,
        memory_bytes=140_000_000,
        cores=0.05,
        money_per_month=14.4,
    )
    return shapes.GrowthPlan(
        sentence=f"1 step towards {times:g} times now: `writer orders` is in the way.",
        times=times,
        target_per_second=134.0 * times,
        bears=between(700.0),
        sure_percent=12.0,
        steps=[step],
        stuck="writer orders",
        by_hand="hold it for less",
        ways=ways(),
        foretold=gain(),
        applied=applied(asked.to_ns / 1e6),
        currency="EUR",
        change=shapes.PlannedChange(
            sizes=["web=3"],
            groups=[shapes.PlannedGroup(name="web", runs=["stock", "web"], replicas="1:1")],
        ),
    )


def foreseen(asked: Asked) -> shapes.Foreseen:
    times = asked.number("times")
    ladder = [
        shapes.LimitAhead(
            station=station,
            kind=kind,
            calls_per_second=between(134.0 * headroom),
            headroom=between(headroom),
            first_percent=first,
            binds=headroom < times,
            load_percent=100 / headroom,
            pattern=moved_by(134.0, times) if kind == "loop" and headroom < times else None,
            by_hand="hold it for less" if kind == "lock" and headroom < times else "",
            learned=shapes.Learned(tests=3, shift_percent=-6.0, width_ratio=0.4)
            if kind == "lock"
            else None,
        )
        for station, kind, headroom, first in (
            ("writer orders", "lock", 2.4, 91.0),
            ("loop web", "loop", 3.9, 9.0),
            ("pool stock", "pool", 12.0, 0.0),
        )
    ]
    return shapes.Foreseen(
        sentence="`writer orders` is the first limit: at 2.4 times the traffic of now.",
        times=times,
        from_ms=asked.from_ns / 1e6,
        to_ms=asked.to_ns / 1e6,
        windows=360,
        now_per_second=134.0,
        headroom=between(2.4),
        saturation_per_second=between(322.0),
        knee_by_doubling_per_second=between(251.0),
        first=["writer orders"],
        ladder=ladder,
        unmeasured_percent=8.0,
        record=[verified(asked.to_ns / 1e6)],
        besides=besides(asked),
    )


def besides(asked: Asked) -> shapes.Besides | None:
    """Of each name that is asked for, that it grows twice as fast; and two statements."""
    data = asked.number("data")
    names = [part.partition("=")[0] for part in asked.text("mix").split(";") if part]
    if not names and data == 1:
        return None
    cost = shapes.RowCost(
        subject="SELECT * FROM products",
        operation="GET /products",
        stations=["pool stock"],
        rows=40.0,
        ms_per_row=between(0.02),
    )
    unknown = shapes.RowsUnknown(
        subject="SELECT * FROM stock WHERE sku=?", why="its calls bring 1 rows each"
    )
    return shapes.Besides(
        mix=[shapes.GrowsBesides(name=name, times=2.0) for name in names],
        data_times=data,
        rows=[cost] if data != 1 else [],
        unknown=[unknown] if data != 1 else [],
        note=NEVER_EXTRAPOLATED if data != 1 else "",
    )


def verified(at_ms: float) -> shapes.Verified:
    return shapes.Verified(
        from_ms=at_ms - 90_000,
        to_ms=at_ms,
        foretold=between(322.0),
        measured=between(300.0),
        is_reached=True,
        error_percent=7.3,
        first_foretold=["writer orders"],
        first_measured="writer orders",
        is_held=True,
        route="POST /orders",
        steps=[
            shapes.VerifiedStep(
                sent_per_second=129.0,
                good_per_second=128.4,
                bad_percent=0.0,
                p99_ms=61.0,
                foretold_p99_ms=between(58.0),
            )
        ],
    )


def spent(name: str, cpu_ms: float, share_percent: float) -> shapes.Spent:
    return shapes.Spent(
        name=name,
        share_percent=share_percent,
        cpu_ms=cpu_ms,
        database_ms=1.5 * cpu_ms,
        worker_ms=3 * cpu_ms,
        worker_hours_per_million=cpu_ms,
        money_per_million=cpu_ms / 50,
    )


def costs(asked: Asked) -> shapes.Costs:
    times = asked.number("times")
    now = shapes.Bill(
        times=1.0,
        cores=between(0.62, 0.02),
        workers_added=0,
        memory_bytes=140_000_000,
        databases=1,
        money_per_month=between(79.0, 0.01),
    )
    then = msgspec.structs.replace(
        now,
        times=times,
        cores=between(0.63 * times),
        workers_added=2,
        memory_bytes=280_000_000,
        money_per_month=between(78.0 + 18 * times, 0.08),
    )
    return shapes.Costs(
        times=times,
        requests_per_second=134.0,
        elasticity=between(0.97, 0.03),
        stuck="writer orders",
        currency="EUR",
        whole=spent("all", 4.6, 100.0),
        services=[spent("Orders", 2.8, 61.0), spent("routes", 1.8, 39.0)],
        bills=[now, then],
    )


def loads(_asked: Asked) -> shapes.Loads:
    return shapes.Loads(
        windows=2,
        loads=[
            shapes.LimitLoad(station="writer orders", kind="lock", load_percent=99.0),
            shapes.LimitLoad(station="loop web", kind="loop", load_percent=61.0),
        ],
    )


def signs_seen(_asked: Asked) -> shapes.Signs:
    return shapes.Signs(
        signs=[
            shapes.SignSeen(
                sign="write lock",
                subject="writer orders",
                severity="warn",
                text="`writer orders` is held 41 % of the time",
                value=0.41,
                threshold=0.4,
                gain=1.6,
                share_percent=41.0,
                numbers={"mean_hold_ms": 4.1, "uses_count": 3600},
                traces=["0123456789abcdef" * 2],
            )
        ],
        silenced=[
            shapes.SignSeen(
                sign="full station",
                subject="loop web",
                severity="warn",
                text="`loop web` is in use 55 % of the time in one window of twenty",
                value=0.55,
                threshold=0.5,
                silence=shapes.SignSilence(
                    reason="a second worker comes in spring", until="2027-03-31", is_over=False
                ),
            )
        ],
        missing=[shapes.SignMissing(sign="rising cost", needs="14 days of windows")],
    )


class Growing:
    """What the shop answers of its growth."""

    forecast = staticmethod(foreseen)
    responding = staticmethod(responding)
    plan = staticmethod(plan)
    costs = staticmethod(costs)
    loads = staticmethod(loads)
    signs = staticmethod(signs_seen)
