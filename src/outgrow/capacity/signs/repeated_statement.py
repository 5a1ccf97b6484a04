"""W7: the same statement runs again and again within one call (N+1).

Formula: p95 of its runs in one run of the caller is 5 or more, and it takes a share of the time of
its database: 5 %, severe from 30 %; or 10 % of its caller's time. The number matters and not the
milliseconds: it grows with the rows, and with the traffic.
"""

from __future__ import annotations

from outgrow.capacity.signs.adding import gain_of_easing, statements_of, times_quantile
from outgrow.capacity.signs.sign import Finding, Missing, Seen

NAME = "repeated statement"
TIMES_MIN = 5
WARN, SEVERE, OF_CALLER = 0.05, 0.30, 0.10


def look(seen: Seen) -> list[Finding] | Missing:
    """Each statement that repeats."""
    statements = statements_of(seen.windows)
    if not statements:
        return Missing("statements")
    total: dict[str, float] = {}
    for one in statements.values():
        total[one.database] = total.get(one.database, 0.0) + one.duration_seconds
    spent: dict[str, float] = {}
    for one in (one for window in seen.windows for one in window.operations):
        spent[one.name] = spent.get(one.name, 0.0) + one.duration_seconds
    found: list[Finding] = []
    for one in statements.values():
        times = times_quantile(one.per_parent, 0.95)
        share = one.duration_seconds / max(total[one.database], 1e-12)
        of_caller = one.duration_seconds / max(spent.get(one.caller, 0.0), 1e-12)
        noted = share >= WARN or (one.caller in spent and of_caller >= OF_CALLER)
        if times < TIMES_MIN or not noted:
            continue
        found.append(
            Finding(
                sign=NAME,
                severity="severe" if share >= SEVERE else "warn",
                subject=one.text[:80],
                value=times,
                threshold=TIMES_MIN,
                text=f"`{one.caller}` runs it {times:.0f} times or more in one call of twenty;"
                f" it takes {share:.0%} of the time of {one.database}",
                share_ratio=share,
                gain_ratio=gain_of_easing(seen.told, f"pool {one.database}", share),
            )
        )
    return found
