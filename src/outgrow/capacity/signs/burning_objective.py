"""W22: the error budget of an objective burns too fast.

Formula: share of bad calls over the share allowed, in a long window and a short one: 14.4 in 1 h
and 5 min, 6 in 6 h and 30 min, 1 in 3 d and 6 h.

Source:
    The Site Reliability Workbook, O'Reilly 2018, chapter 5 (multiwindow, multi-burn-rate alerts).
"""

from __future__ import annotations

from outgrow.capacity.signs.sign import Finding, Missing, Seen

NAME = "burning objective"
LIMITS = {1.0: 14.4, 6.0: 6.0, 72.0: 1.0}
"""By the hours of the long window."""


def look(seen: Seen) -> list[Finding] | Missing:
    """Each objective whose budget burns, by the shortest of the windows in which it does."""
    if not seen.burns:
        return Missing("objectives")
    found: dict[tuple[str, str], Finding] = {}
    for one in sorted(seen.burns, key=lambda burn: burn.hours):
        limit, rate = LIMITS[one.hours], min(one.long_rate, one.short_rate)
        if rate >= limit and (one.operation, one.promise) not in found:
            found[one.operation, one.promise] = Finding(
                sign=NAME,
                severity="warn" if limit == 1.0 else "severe",
                subject=one.operation,
                value=rate,
                threshold=limit,
                text=f"The budget of `{one.operation}` burns {one.long_rate:.1f} times too fast"
                f" over {one.hours:.0f} h: {one.promise}",
                numbers={"long_rate": one.long_rate, "short_rate": one.short_rate},
            )
    return list(found.values())
