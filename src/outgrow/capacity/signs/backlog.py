"""W11: more comes into a queue than is worked off.

Formula: with rate in l, servers c and work rate m: l / (c m) above 0.9, or a depth that rises over
five minutes; time to drain is depth / (c m - l). Thresholds: 60 s to drain, severe from 15 min, or
for good where it never drains.
"""

from __future__ import annotations

import math

from outgrow.capacity.signs.sign import Finding, Missing, Seen
from outgrow.capacity.slopes import slope_of

NAME = "backlog"
LOAD = 0.9
WARN_SECONDS, SEVERE_SECONDS = 60.0, 900.0


def look(seen: Seen) -> list[Finding] | Missing:
    """Each queue that fills up."""
    if not any(window.queues for window in seen.windows):
        return Missing("queues of jobs or subscriptions")
    found: list[Finding] = []
    for name in sorted({one.name for window in seen.windows for one in window.queues}):
        rows = [(w, one) for w in seen.windows for one in w.queues if one.name == name]
        seconds = sum(window.seconds for window, _ in rows)
        arriving = sum(one.enqueued for _, one in rows) / seconds
        ended = sum(one.ended for _, one in rows)
        work_seconds = sum(one.service_seconds for _, one in rows) / max(ended, 1)
        last = rows[-1][1]
        able = last.servers / work_seconds if work_seconds else math.inf
        depths = slope_of([w.at_seconds for w, _ in rows], [float(one.depth) for _, one in rows])
        rises = depths is not None and depths.low > 0 and seconds >= 300
        drain = last.depth / (able - arriving) if able > arriving else math.inf
        load = arriving / able if able else math.inf
        if not rises and load <= LOAD and drain < WARN_SECONDS:
            continue
        shown = "never" if math.isinf(drain) else f"in {drain:.0f} s"
        found.append(
            Finding(
                sign=NAME,
                severity="severe" if drain >= SEVERE_SECONDS or load >= 1 else "warn",
                subject=name,
                value=load,
                threshold=LOAD,
                text=f"`{name}` gets {arriving:.2f} a second and can do {able:.2f};"
                f" the {last.depth} that wait are done {shown}",
                numbers={"drain_seconds": drain, "oldest_seconds": last.oldest_seconds},
            )
        )
    return found
