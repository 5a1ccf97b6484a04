"""W2: the first limit is near.

Formula: the knee (by objective where there is one, else by throughput), over the highest traffic of
the last seven days, or of the evidence. Thresholds: below 3, severe below 1.5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.capacity.signs.adding import calls_of, gain_of_easing
from outgrow.capacity.signs.sign import Finding, Missing, Seen

if TYPE_CHECKING:
    from outgrow.capacity.knees import Objective

NAME = "headroom"
WARN, SEVERE = 3.0, 1.5


def look(seen: Seen) -> list[Finding] | Missing:
    """The first limit, where it is near."""
    told = seen.told
    if told is None:
        return Missing("a forecast, which was refused or never made")
    rates = [calls_of(window) / window.seconds for window in seen.windows if window.seconds]
    peak = max(seen.peak_per_second or 0.0, *rates) if rates else told.now_per_second
    knee = told.knee_by_objective_per_second or told.saturation_per_second
    broken = told.broken_objective
    if broken is not None and knee.best <= 0:
        return [_broken(broken)]
    ratio = knee.best / peak
    if ratio >= WARN:
        return []
    return [
        Finding(
            sign=NAME,
            severity="severe" if ratio < SEVERE else "warn",
            subject=told.first[0],
            value=ratio,
            threshold=WARN,
            text=f"`{told.first[0]}` binds at {ratio:.1f} times the highest traffic"
            f" ({knee.low / peak:.1f} to {knee.high / peak:.1f})",
            share_ratio=1.0,
            gain_ratio=gain_of_easing(told, told.first[0], 0.5),
            numbers={"low": knee.low / peak, "high": knee.high / peak},
        )
    ]


def _broken(objective: Objective) -> Finding:
    """No traffic is little enough: calls take too long by themselves."""
    share = f"{100 * objective.ratio:g} % of `{objective.operation}`"
    return Finding(
        sign=NAME,
        severity="severe",
        subject=objective.operation,
        value=0.0,
        threshold=WARN,
        text=f"{share} within {objective.seconds * 1e3:g} ms is not kept at any traffic",
    )
