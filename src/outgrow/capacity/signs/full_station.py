"""W3: a station is busy much of the time.

Formula: share in use (waits for others within left out) in the 95th percentile window. Thresholds:
0.6, severe from 0.8; for a station that serves one at a time 0.5 and 0.7.
"""

from __future__ import annotations

import numpy as np

from outgrow.capacity.signs.adding import gain_of_easing, own_load
from outgrow.capacity.signs.sign import Finding, Missing, Seen, severity_of

NAME = "full station"
WARN, SEVERE = 0.6, 0.8
WARN_OF_ONE, SEVERE_OF_ONE = 0.5, 0.7


def look(seen: Seen) -> list[Finding] | Missing:
    """Each station that is busy."""
    if not seen.enough():
        return Missing("200 calls, or five minutes")
    loads: dict[str, list[float]] = {}
    slots: dict[str, int] = {}
    for window in seen.windows:
        for one in window.stations:
            loads.setdefault(one.name, []).append(own_load(one, window.seconds))
            slots[one.name] = one.capacity
    found: list[Finding] = []
    for name, seen_loads in loads.items():
        load = float(np.quantile(seen_loads, 0.95))
        warn, severe = (WARN_OF_ONE, SEVERE_OF_ONE) if slots[name] == 1 else (WARN, SEVERE)
        severity = severity_of(load, warn, severe)
        if severity:
            found.append(
                Finding(
                    sign=NAME,
                    severity=severity,
                    subject=name,
                    value=load,
                    threshold=warn,
                    text=f"`{name}` is in use {load:.0%} of the time in one window of twenty",
                    gain_ratio=gain_of_easing(seen.told, name, 0.5),
                )
            )
    return found
