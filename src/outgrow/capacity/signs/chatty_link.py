"""W15: two services talk much with one another: to part them would be dear.

Formula: calls in one run of the caller: 10, severe from 50; or bytes of one call: 64 kB, severe
from 300 kB. What parting them would cost is told beside it.
"""

from __future__ import annotations

from outgrow.capacity.patterns.moving import CROSSING_SECONDS
from outgrow.capacity.signs.adding import links_of, times_quantile
from outgrow.capacity.signs.sign import Finding, Missing, Seen, severity_of

NAME = "chatty link"
WARN_CALLS, SEVERE_CALLS = 10.0, 50.0
WARN_BYTES, SEVERE_BYTES = 64_000.0, 300_000.0


def look(seen: Seen) -> list[Finding] | Missing:
    """Each link with many or large calls."""
    links = links_of(seen.windows)
    if not links:
        return Missing("links")
    runs: dict[str, int] = {}
    for one in (one for window in seen.windows for one in window.operations):
        runs[one.name] = runs.get(one.name, 0) + one.calls
    found: list[Finding] = []
    for one in links.values():
        mean = one.calls / runs[one.caller] if runs.get(one.caller) else 0.0
        times = max(mean, times_quantile(one.per_parent, 0.95))
        size = one.bytes / max(one.calls, 1)
        severity = severity_of(times, WARN_CALLS, SEVERE_CALLS)
        severity = severity_of(size, WARN_BYTES, SEVERE_BYTES) or severity
        if severity:
            cost = times * 2 * CROSSING_SECONDS
            found.append(
                Finding(
                    sign=NAME,
                    severity=severity,
                    subject=f"{one.caller} -> {one.callee}",
                    value=times,
                    threshold=WARN_CALLS,
                    text=f"{times:.0f} calls of {size:.0f} bytes in one run; apart, they would"
                    f" cost {cost * 1e3:.1f} ms of CPU",
                    numbers={"bytes_per_call": size, "cpu_seconds_if_split": cost},
                )
            )
    return found
