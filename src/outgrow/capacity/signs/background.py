"""W20: jobs compete with requests for the same station.

Formula: share of a station's uses by jobs in the busiest quarter of the windows: 30 %, severe from
50 %, where requests slow down as jobs run: rank correlation of the two above 0.3.
"""

from __future__ import annotations

import numpy as np

from outgrow.capacity.signs.adding import calls_of
from outgrow.capacity.signs.sign import Finding, Missing, Seen, severity_of

NAME = "background work"
WARN, SEVERE = 0.3, 0.5
CORRELATION = 0.3
WINDOWS_MIN = 8


def look(seen: Seen) -> list[Finding] | Missing:
    """Each station that jobs take from requests."""
    jobs = {o.name for w in seen.windows for o in w.operations if o.is_background}
    if not jobs or len(seen.windows) < WINDOWS_MIN:
        return Missing("operations known to be jobs, in eight windows")
    busiest = sorted(seen.windows, key=calls_of)[-max(1, len(seen.windows) // 4) :]
    slow = [_mean_seconds(seen, number) for number in range(len(seen.windows))]
    found: list[Finding] = []
    shared = (one for window in busiest for one in window.stations if one.kind != "queue")
    for name in sorted({one.name for one in shared}):
        mine = [_uses(seen, number, name, jobs) for number in range(len(seen.windows))]
        rows = [one for window in busiest for one in window.stations if one.name == name]
        uses = sum(sum(one.by_operation.values()) for one in rows)
        theirs = sum(count for one in rows for op, count in one.by_operation.items() if op in jobs)
        share = theirs / uses if uses else 0.0
        severity = severity_of(share, WARN, SEVERE)
        if severity and _rank_correlation(mine, slow) > CORRELATION:
            found.append(
                Finding(
                    sign=NAME,
                    severity=severity,
                    subject=name,
                    value=share,
                    threshold=WARN,
                    text=f"Jobs make {share:.0%} of the uses of `{name}` when traffic is highest,"
                    " and requests are slower as they run",
                    share_ratio=share,
                )
            )
    return found


def _mean_seconds(seen: Seen, number: int) -> float:
    rows = [one for one in seen.windows[number].operations if one.is_entry]
    calls = sum(one.calls for one in rows)
    return sum(one.duration_seconds for one in rows) / calls if calls else 0.0


def _uses(seen: Seen, number: int, station: str, jobs: set[str]) -> float:
    rows = [one for one in seen.windows[number].stations if one.name == station]
    return float(sum(n for one in rows for op, n in one.by_operation.items() if op in jobs))


def _rank_correlation(x: list[float], y: list[float]) -> float:
    ranks = [np.argsort(np.argsort(np.array(values))).astype(float) for values in (x, y)]
    if min(np.ptp(values) for values in (np.array(x), np.array(y))) <= 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])
