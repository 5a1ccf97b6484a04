"""W5: something blocks an event loop.

Formula: p99 of how late the loop turns. Thresholds: 50 ms, severe from 200 ms. The operation to
look at is the one with the most time on the loop in one call.
"""

from __future__ import annotations

from outgrow.capacity.signs.adding import merged, quantile_seconds
from outgrow.capacity.signs.sign import Finding, Missing, Seen, severity_of

NAME = "blocked loop"
WARN_SECONDS, SEVERE_SECONDS = 0.05, 0.2


def look(seen: Seen) -> list[Finding] | Missing:
    """Each group of workers whose loops turn late."""
    lags: dict[str, list[dict[int, int]]] = {}
    for one in (one for window in seen.windows for one in window.processes):
        if one.loop_lags:
            lags.setdefault(one.group, []).append(one.loop_lags)
    if not lags:
        return Missing("looks at how late loops turn")
    if not seen.enough():
        return Missing("200 calls, or five minutes")
    longest: dict[str, float] = {}
    for one in (one for window in seen.windows for one in window.operations):
        if one.metered:
            per_call = one.loop_seconds / one.metered
            longest[one.name] = max(longest.get(one.name, 0.0), per_call)
    found: list[Finding] = []
    for group, parts in lags.items():
        late = quantile_seconds(merged(parts), 0.99)
        severity = severity_of(late, WARN_SECONDS, SEVERE_SECONDS)
        if severity:
            culprit = max(longest, key=lambda name: longest[name], default="")
            hint = f"; `{culprit}` stays on it the longest" if culprit else ""
            found.append(
                Finding(
                    sign=NAME,
                    severity=severity,
                    subject=group,
                    value=late,
                    threshold=WARN_SECONDS,
                    text=f"The loop of `{group}` turns {late * 1e3:.0f} ms late at p99{hint}",
                )
            )
    return found
