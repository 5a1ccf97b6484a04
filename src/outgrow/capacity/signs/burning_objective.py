"""W22: the error budget of an objective burns too fast.

Formula: share of bad calls over the share allowed, in a long window and a short one: 14.4 in 1 h
and 5 min, 6 in 6 h and 30 min, 1 in 3 d and 6 h. Bad is what failed or took too long.

Source:
    The Site Reliability Workbook, O'Reilly 2018, chapter 5 (multiwindow, multi-burn-rate alerts).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.capacity.signs.adding import beyond_ratio, merged
from outgrow.capacity.signs.sign import Finding, Missing, Seen

if TYPE_CHECKING:
    from outgrow.capacity.knees import Objective

NAME = "burning objective"
RATES = ((14.4, 3600.0, 300.0), (6.0, 21_600.0, 1800.0), (1.0, 259_200.0, 21_600.0))


def look(seen: Seen) -> list[Finding] | Missing:
    """Each objective whose budget burns."""
    if not seen.objectives:
        return Missing("objectives")
    ends = max((one.at_seconds + one.seconds for one in seen.windows), default=0.0)
    begins = min((one.at_seconds for one in seen.windows), default=0.0)
    found: list[Finding] = []
    for objective in seen.objectives:
        for rate, long_seconds, short_seconds in RATES:
            if ends - begins < long_seconds:
                continue
            burns = [_burn(seen, objective, ends - ago) for ago in (long_seconds, short_seconds)]
            if min(burns) >= rate:
                found.append(
                    Finding(
                        sign=NAME,
                        severity="warn" if rate == 1.0 else "severe",
                        subject=objective.operation,
                        value=min(burns),
                        threshold=rate,
                        text=f"The budget of `{objective.operation}` burns {burns[0]:.1f} times"
                        f" too fast over {long_seconds / 3600:.0f} h",
                    )
                )
                break
    return found


def _burn(seen: Seen, objective: Objective, since: float) -> float:
    rows = [
        one
        for window in seen.windows
        for one in window.operations
        if window.at_seconds >= since and one.name == objective.operation
    ]
    calls = sum(one.calls for one in rows)
    if not calls:
        return 0.0
    late = beyond_ratio(merged(one.buckets for one in rows), objective.seconds)
    bad = min(1.0, late + sum(one.errors for one in rows) / calls)
    return bad / max(1 - seen.objective_ratio, 1e-9)
