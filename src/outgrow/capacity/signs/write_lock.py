"""W13: writers queue for one lock.

Formula: share of the time that the lock is held: 0.4, severe from 0.7.
"""

from __future__ import annotations

from outgrow.capacity.signs.adding import gain_of_easing, own_load, stations_of
from outgrow.capacity.signs.sign import Finding, Missing, Seen, severity_of

NAME = "write lock"
WARN, SEVERE = 0.4, 0.7


def look(seen: Seen) -> list[Finding] | Missing:
    """Each lock that is held much of the time."""
    seconds = sum(window.seconds for window in seen.windows)
    locks = {n: one for n, one in stations_of(seen.windows).items() if one.kind == "lock"}
    if not locks:
        return Missing("locks")
    found: list[Finding] = []
    for name, one in locks.items():
        load = own_load(one, seconds)
        severity = severity_of(load, WARN, SEVERE)
        if severity:
            uses = max(one.by_operation, key=lambda key: one.by_operation[key], default="")
            by = f"; `{uses}` takes it most often" if uses else ""
            found.append(
                Finding(
                    sign=NAME,
                    severity=severity,
                    subject=name,
                    value=load,
                    threshold=WARN,
                    text=f"`{name}` is held {load:.0%} of the time{by}",
                    gain_ratio=gain_of_easing(seen.told, name, 0.5),
                    numbers={
                        "uses_count": one.served,
                        "mean_hold_ms": 1e3 * one.hold_seconds / max(one.served, 1),
                    },
                )
            )
    return found
