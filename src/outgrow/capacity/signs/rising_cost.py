"""W18: cost rises faster than traffic.

Formula: elasticity of CPU and database seconds on calls, over days, of which the whole 90 %
interval is above 1. Thresholds: 1.15, severe from 1.5.
"""

from __future__ import annotations

from outgrow.capacity.signs.adding import calls_of
from outgrow.capacity.signs.sign import DAYS_MIN, Finding, Missing, Seen, severity_of
from outgrow.capacity.slopes import elasticity_of

NAME = "rising cost"
WARN, SEVERE = 1.15, 1.5


def look(seen: Seen) -> list[Finding] | Missing:
    """The system, where a call costs the more the more there are."""
    if len(seen.days) < DAYS_MIN:
        return Missing(f"{DAYS_MIN} days")
    calls = [float(calls_of(day)) for day in seen.days]
    costs = [
        sum(one.cpu_seconds for one in day.processes)
        + sum(one.duration_seconds for one in day.statements)
        for day in seen.days
    ]
    slope = elasticity_of(calls, costs)
    severity = severity_of(slope.best, WARN, SEVERE) if slope and slope.low > 1 else None
    if slope is None or severity is None:
        return []
    return [
        Finding(
            sign=NAME,
            severity=severity,
            subject="all calls",
            value=slope.best,
            threshold=WARN,
            text=f"1 % more calls cost {slope.best:.2f} % more CPU and database time",
            numbers={"low": slope.low, "high": slope.high},
        )
    ]
