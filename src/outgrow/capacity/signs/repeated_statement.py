"""W7: the same statement runs again and again within one call (N+1).

Formula: its runs in one run of the caller are 5 or more, on average or in one run of twenty, and it
takes a share of the time of its database: 5 %, severe from 30 %; or 10 % of its caller's time. The
number matters and not the milliseconds: it grows with the rows, and with the traffic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.capacity.signs.adding import gain_of_database, times_quantile
from outgrow.capacity.signs.examples import traces_running
from outgrow.capacity.signs.sign import Finding, Missing, Seen

if TYPE_CHECKING:
    from outgrow.capacity.evidence import StatementWindow

NAME = "repeated statement"
TIMES_MIN = 5
WARN, SEVERE, OF_CALLER = 0.05, 0.30, 0.10


def look(seen: Seen) -> list[Finding] | Missing:
    """Each statement that repeats."""
    if not seen.statements:
        return Missing("statements")
    total: dict[str, float] = {}
    for one in seen.statements:
        total[one.database] = total.get(one.database, 0.0) + one.duration_seconds
    spent: dict[str, float] = {}
    for one in (one for window in seen.windows for one in window.operations):
        spent[one.name] = spent.get(one.name, 0.0) + one.duration_seconds
    found: list[Finding] = []
    for one in seen.statements:
        times = times_in_a_run(one)
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
                text=f"`{one.caller}` runs it {times:.0f} times or more in a call;"
                f" it takes {share:.0%} of the time of {one.database}",
                share_ratio=share,
                gain_ratio=gain_of_database(seen.told, one.database, share * (1 - 1 / times)),
                numbers={
                    "runs_count": one.calls,
                    "mean_ms": 1e3 * one.duration_seconds / max(one.calls, 1),
                    "share_of_caller_percent": 100 * min(of_caller, 1.0),
                },
                traces=traces_running(seen, one),
            )
        )
    return found


def times_in_a_run(one: StatementWindow) -> float:
    """How often one run of the caller runs it; buckets tell counts by powers of two alone."""
    runs = sum(one.per_parent.values())
    if not runs:
        return 0.0
    # What ran outside of all runs is in `calls` as well.
    mean = min(one.calls / runs, 2 ** (max(one.per_parent) + 1) - 1)
    return max(times_quantile(one.per_parent, 0.95), mean)
