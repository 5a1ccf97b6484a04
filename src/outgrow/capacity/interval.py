"""A number and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number and how sure it is.

    Attributes:
        best: The estimate.
        low: 5 of 100 draws are below.
        high: 5 of 100 are above.
    """

    best: float
    low: float
    high: float

    @property
    def width_ratio(self) -> float:
        """How many times `low` `high` is."""
        return self.high / self.low if self.low > 0 else float("inf")


def interval(best: float, drawn: Floats) -> Interval:
    """An estimate with 5 and 95 of 100 draws."""
    low, high = np.quantile(drawn, [0.05, 0.95], method="inverted_cdf")
    return Interval(best=best, low=min(float(low), best), high=max(float(high), best))
