"""How the double of the shop's traffic goes up and down, and what it foresees."""

from __future__ import annotations

import math
import random

from outgrow.dashboard import shapes
from outgrow.dashboard.asking import Asked

SECOND_MS = 1000.0


def swing(at_ms: float, period_seconds: float = 240.0, depth: float = 0.25) -> float:
    """Around 1, as traffic goes up and down; the same for the same moment."""
    slow = math.sin(at_ms / SECOND_MS / period_seconds * math.tau)
    noise = random.Random(int(at_ms / SECOND_MS)).uniform(-1, 1)
    return 1 + depth * slow + 0.06 * noise


def foreseen(asked: Asked) -> shapes.Foreseen:
    def between(best: float, spread: float = 0.12) -> shapes.Between:
        return shapes.Between(best=best, low=best * (1 - spread), high=best * (1 + spread))

    times = asked.number("times")
    ladder = [
        shapes.LimitAhead(
            station=station,
            kind=kind,
            calls_per_second=between(134.0 * headroom),
            headroom=between(headroom),
            first_percent=first,
            binds=headroom < times,
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
            )
        ],
        missing=[shapes.SignMissing(sign="rising cost", needs="14 days of windows")],
    )
