"""W12: a pool runs out of slots.

Formula: p95 of the wait for a slot: 5 ms and four fifths in use, severe from 50 ms; or any that was
turned away. Who waits inside of it for others is told apart: then those others are to blame.
"""

from __future__ import annotations

from outgrow.capacity.signs.adding import gain_of_easing, quantile_seconds, stations_of
from outgrow.capacity.signs.sign import Finding, Missing, Seen, severity_of

NAME = "exhausted pool"
WARN_SECONDS, SEVERE_SECONDS = 0.005, 0.05
NESTED_RATIO = 0.5


def look(seen: Seen) -> list[Finding] | Missing:
    """Each pool that calls wait for, and that is itself to blame."""
    pools = {
        name: one
        for name, one in stations_of(seen.windows).items()
        if one.kind in ("pool", "threads", "bulkhead")
    }
    if not pools:
        return Missing("pools")
    found: list[Finding] = []
    for name, one in pools.items():
        wait = quantile_seconds(one.waits, 0.95)
        nested = one.nested_wait_seconds / max(one.hold_seconds, 1e-12)
        severity = "severe" if one.rejected else severity_of(wait, WARN_SECONDS, SEVERE_SECONDS)
        if severity and nested < NESTED_RATIO:
            found.append(
                Finding(
                    sign=NAME,
                    severity=severity,
                    subject=name,
                    value=wait,
                    threshold=WARN_SECONDS,
                    text=f"One in twenty waits {wait * 1e3:.0f} ms or more for `{name}`"
                    f" ({one.capacity} slots); {one.rejected} were turned away",
                    gain_ratio=gain_of_easing(seen.told, name, 0.5),
                    numbers={"nested_percent": 100 * nested},
                )
            )
    return found
