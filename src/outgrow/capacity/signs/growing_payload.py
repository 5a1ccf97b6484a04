"""W21: what is sent over a link is large, or grows.

Formula: mean bytes of a call: 256 kB, severe from 1 MB; or a rise of 10 % a week over days.
"""

from __future__ import annotations

import statistics

from outgrow.capacity.signs.adding import links_of
from outgrow.capacity.signs.sign import DAYS_MIN, Finding, Missing, Seen, severity_of
from outgrow.capacity.slopes import slope_of

NAME = "growing payload"
WARN_BYTES, SEVERE_BYTES = 256_000.0, 1_000_000.0
WEEKLY = 0.10
DAY_SECONDS = 86_400.0


def look(seen: Seen) -> list[Finding] | Missing:
    """Each link with large or growing calls."""
    links = [one for one in links_of(seen.windows).values() if one.bytes]
    if not links:
        return Missing("bytes of links")
    found: list[Finding] = []
    for one in links:
        size = one.bytes / max(one.calls, 1)
        weekly = _weekly(seen, one.caller, one.callee)
        severity = severity_of(size, WARN_BYTES, SEVERE_BYTES)
        if severity or weekly >= WEEKLY:
            found.append(
                Finding(
                    sign=NAME,
                    severity=severity or "warn",
                    subject=f"{one.caller} -> {one.callee}",
                    value=size,
                    threshold=WARN_BYTES,
                    text=f"{size:.0f} bytes a call, {weekly:+.0%} a week",
                    numbers={"weekly_percent": 100 * weekly},
                )
            )
    return found


def _weekly(seen: Seen, caller: str, callee: str) -> float:
    if len(seen.days) < DAYS_MIN:
        return 0.0
    points = [
        (window.at_seconds / DAY_SECONDS, one.bytes / one.calls)
        for window in seen.days
        for one in window.links
        if (one.caller, one.callee) == (caller, callee) and one.calls
    ]
    slope = slope_of([day for day, _ in points], [size for _, size in points])
    usual = statistics.median(size for _, size in points) if points else 0.0
    return 7 * slope.best / usual if slope and slope.low > 0 and usual else 0.0
