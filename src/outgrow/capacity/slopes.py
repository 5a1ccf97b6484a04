"""Slopes that outliers do not bend.

Source:
    P. K. Sen, JASA 63, 1968: the median of the slopes of all pairs, with the interval from the
    distribution of Kendall's rank correlation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

POINTS_MIN = 8
POINTS_MAX = 400
_Z90 = 1.645


@dataclass(frozen=True, kw_only=True)
class Slope:
    """A slope with its 90 % interval."""

    best: float
    low: float
    high: float


def slope_of(x: Sequence[float], y: Sequence[float]) -> Slope | None:
    """Theil-Sen slope of y over x; None for fewer than 8 points or an x that never changes."""
    every = max(1, -(-len(x) // POINTS_MAX))
    across, up = np.array(x[::every], dtype=float), np.array(y[::every], dtype=float)
    count = len(across)
    if count < POINTS_MIN or np.ptp(across) <= 0:
        return None
    one, other = np.triu_indices(count, 1)
    apart = across[other] - across[one]
    slopes = np.sort((up[other] - up[one])[apart != 0] / apart[apart != 0])
    width = _Z90 * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(0, int((len(slopes) - width) / 2))
    high = min(len(slopes) - 1, int((len(slopes) + width) / 2) + 1)
    return Slope(best=float(np.median(slopes)), low=float(slopes[low]), high=float(slopes[high]))


def elasticity_of(x: Sequence[float], y: Sequence[float]) -> Slope | None:
    """By how many percent y rises with one percent more of x; pairs with a zero are left out."""
    pairs = [(math.log(a), math.log(b)) for a, b in zip(x, y, strict=True) if a > 0 and b > 0]
    return slope_of([a for a, _ in pairs], [b for _, b in pairs])
