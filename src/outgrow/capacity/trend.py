"""When: the day on which growing traffic reaches a load.

The daily peak is taken as a straight line in its logarithm, a factor for each day of the week, and
what is left over. The date is the first day on which the expected peak, raised to the upper 5 % of
what is left over, reaches the load.

Source:
    Slope: P. K. Sen, JASA 63, 1968.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from outgrow.capacity.slopes import Slope, slope_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from outgrow.capacity.interval import Interval

DAYS_MIN = 14
DAYS_AHEAD_MAX = 730
SAFE_RATIO = 0.8
"""Of the knee: what one should not pass unprepared."""


@dataclass(frozen=True, kw_only=True)
class Due:
    """When traffic reaches a load.

    Attributes:
        days: From the last day of the history; None where it is more than two years, or never.
        days_low: The same with the steepest slope of the 90 % interval.
        days_high: The same with the flattest.
        weekly_ratio: Growth a week: 0.05 for 5 %.
    """

    days: int | None
    days_low: int | None
    days_high: int | None
    weekly_ratio: float


def due_of(peaks_per_second: Sequence[float], load_per_second: float) -> Due | None:
    """When the daily peak will reach a load.

    Args:
        peaks_per_second: One for each day, oldest first; a day without traffic is 0.
        load_per_second: 0.8 of the knee, as a rule.

    Returns:
        None for fewer than 14 days with traffic.
    """
    known = [(day, math.log(peak)) for day, peak in enumerate(peaks_per_second) if peak > 0]
    if len(known) < DAYS_MIN:
        return None
    days, logs = np.array([day for day, _ in known]), np.array([peak for _, peak in known])
    season = _season(days, logs)
    level = logs - season[days % 7]
    slope = slope_of(days.tolist(), level.tolist())
    if slope is None:
        return None
    start = float(np.median(level - slope.best * days))
    left = level - start - slope.best * days
    wanted = math.log(load_per_second) - float(np.quantile(left, 0.95))
    last = len(peaks_per_second) - 1
    middle = float(np.median(days))
    at_middle = start + slope.best * middle

    def first(steepness: float) -> int | None:
        for ahead in range(DAYS_AHEAD_MAX + 1):
            day = last + ahead
            if at_middle + steepness * (day - middle) + season[day % 7] >= wanted:
                return ahead
        return None

    return Due(
        days=first(slope.best),
        days_low=first(slope.high),
        days_high=first(slope.low),
        weekly_ratio=math.expm1(7 * slope.best),
    )


def due_within(peaks_per_second: Sequence[float], knee: Interval) -> Due | None:
    """When the daily peak will reach what is safe of a knee, as surely as both are known.

    Args:
        peaks_per_second: As in `due_of`.
        knee: With its interval: the early date is that of its lower end, and the late one of its
            upper end.

    Returns:
        None for fewer than 14 days with traffic, and where there is no knee.
    """
    if knee.low <= 0:
        return None
    best, early, late = (
        due_of(peaks_per_second, SAFE_RATIO * load) for load in (knee.best, knee.low, knee.high)
    )
    if best is None or early is None or late is None:
        return None
    return replace(best, days_low=early.days_low, days_high=late.days_high)


def _season(days: NDArray[np.int64], logs: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much each day of the week is above or below the trend, in logarithms."""
    rough: Slope | None = slope_of(days.tolist(), logs.tolist())
    left = logs - (rough.best if rough else 0.0) * days
    left = left - np.median(left)
    found = np.zeros(7)
    for weekday in range(7):
        mine = left[days % 7 == weekday]
        found[weekday] = np.median(mine) if len(mine) else 0.0
    return found - found.mean()
