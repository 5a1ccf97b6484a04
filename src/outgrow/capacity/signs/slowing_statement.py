"""W9: a statement gets slower week by week: its table grows.

Formula: Theil-Sen slope of the mean time over days, a week's worth of it over the median, of which
the whole 90 % interval is above 0. Thresholds: 5 % a week, severe from 20 %.
"""

from __future__ import annotations

import statistics

from outgrow.capacity.signs.sign import DAYS_MIN, Finding, Missing, Seen, severity_of
from outgrow.capacity.slopes import slope_of

NAME = "slowing statement"
WARN, SEVERE = 0.05, 0.20
CALLS_MIN = 20
DAY_SECONDS = 86_400.0


def look(seen: Seen) -> list[Finding] | Missing:
    """Each statement whose mean time drifts upwards."""
    if len(seen.days) < DAYS_MIN:
        return Missing(f"{DAYS_MIN} days of statements")
    means: dict[str, list[tuple[float, float]]] = {}
    for window in seen.days:
        sums: dict[str, tuple[int, float]] = {}
        for one in window.statements:
            calls, seconds = sums.get(one.fingerprint, (0, 0.0))
            sums[one.fingerprint] = calls + one.calls, seconds + one.duration_seconds
        for fingerprint, (calls, seconds) in sums.items():
            if calls >= CALLS_MIN:
                day = window.at_seconds / DAY_SECONDS
                means.setdefault(fingerprint, []).append((day, seconds / calls))
    # What is slow and long gone is no sign: of today's statements the text is known.
    texts = {one.fingerprint: one.text[:80] for one in seen.statements}
    found: list[Finding] = []
    for fingerprint, points in means.items():
        text = texts.get(fingerprint)
        if text is None:
            continue
        slope = slope_of([day for day, _ in points], [mean for _, mean in points])
        usual = statistics.median(mean for _, mean in points)
        weekly = 7 * slope.best / usual if slope and usual else 0.0
        severity = severity_of(weekly, WARN, SEVERE)
        if slope and slope.low > 0 and severity:
            found.append(
                Finding(
                    sign=NAME,
                    severity=severity,
                    subject=text,
                    value=weekly,
                    threshold=WARN,
                    text=f"It takes {weekly:.0%} longer each week",
                    numbers={
                        "low_percent": 700 * slope.low / usual,
                        "high_percent": 700 * slope.high / usual,
                        "mean_ms": 1e3 * points[-1][1],
                        "days_count": len(points),
                    },
                )
            )
    return found
