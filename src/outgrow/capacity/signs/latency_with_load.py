"""W1: calls get slower as there are more of them.

Formula: the elasticity of p95 on the rate, over windows: Theil-Sen slope of log p95 on log rate, of
which the whole 90 % interval is above 0. Thresholds: 0.3, severe from 1.
"""

from __future__ import annotations

from outgrow.capacity.signs.adding import quantile_seconds
from outgrow.capacity.signs.sign import Finding, Missing, Seen, severity_of
from outgrow.capacity.slopes import elasticity_of

NAME = "latency with load"
WARN, SEVERE = 0.3, 1.0


def look(seen: Seen) -> list[Finding] | Missing:
    """Each operation whose p95 rises with the rate."""
    if not seen.enough():
        return Missing("200 calls, or five minutes")
    points: dict[str, list[tuple[float, float]]] = {}
    for window in seen.windows:
        rate = sum(one.calls for one in window.operations if one.is_entry) / window.seconds
        for one in window.operations:
            if one.calls >= 5:
                p95 = quantile_seconds(one.buckets, 0.95)
                points.setdefault(one.name, []).append((rate, p95))
    found: list[Finding] = []
    for name, pairs in points.items():
        slope = elasticity_of([rate for rate, _ in pairs], [p95 for _, p95 in pairs])
        severity = severity_of(slope.best, WARN, SEVERE) if slope and slope.low > 0 else None
        if slope and severity:
            found.append(
                Finding(
                    sign=NAME,
                    severity=severity,
                    subject=name,
                    value=slope.best,
                    threshold=WARN,
                    text=f"1 % more traffic makes p95 of `{name}` {slope.best:.1f} % longer",
                    numbers={"low": slope.low, "high": slope.high},
                )
            )
    return found
