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


def look(seen: Seen) -> list[Finding] | Missing:
    """Each statement whose mean time drifts upwards."""
    if len(seen.days) < DAYS_MIN:
        return Missing(f"{DAYS_MIN} days of statements")
    means: dict[str, list[tuple[float, float]]] = {}
    for day, window in enumerate(seen.days):
        for one in window.statements:
            if one.calls:
                mean = one.duration_seconds / one.calls
                means.setdefault(one.text[:80], []).append((float(day), mean))
    found: list[Finding] = []
    for text, points in means.items():
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
                )
            )
    return found
