"""W4: calls wait more than they work.

Formula: sum of the waits for a station over the sum of the times of all entries. Thresholds: 20 %,
severe from 50 %.
"""

from __future__ import annotations

from outgrow.capacity.signs.adding import gain_of_easing, stations_of
from outgrow.capacity.signs.sign import Finding, Missing, Seen, severity_of

NAME = "waiting"
WARN, SEVERE = 0.2, 0.5


def look(seen: Seen) -> list[Finding] | Missing:
    """Each station that calls wait for."""
    if not seen.enough():
        return Missing("200 calls, or five minutes")
    spent = sum(
        one.duration_seconds for window in seen.windows for one in window.operations if one.is_entry
    )
    found: list[Finding] = []
    for name, one in stations_of(seen.windows).items():
        if one.kind == "queue":
            continue  # no call waits for a job
        share = one.wait_seconds / spent if spent else 0.0
        severity = severity_of(share, WARN, SEVERE)
        if severity:
            found.append(
                Finding(
                    sign=NAME,
                    severity=severity,
                    subject=name,
                    value=share,
                    threshold=WARN,
                    text=f"{share:.0%} of the time of all calls is spent waiting for `{name}`",
                    share_ratio=min(share, 1.0),
                    gain_ratio=gain_of_easing(seen.told, name, 0.5),
                    numbers={
                        "uses_count": one.served,
                        "mean_wait_ms": 1e3 * one.wait_seconds / max(one.served, 1),
                    },
                )
            )
    return found
