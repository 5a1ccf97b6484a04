"""Counts of latencies in buckets that grow by a fixed ratio, so their memory never grows."""

import math
from collections import Counter
from dataclasses import dataclass, field

SMALLEST_SECONDS = 0.0001
LARGEST_SECONDS = 1000.0
GROWTH_RATIO = 1.02


@dataclass(kw_only=True)
class Latencies:
    """Latencies of one kind of request, in seconds; a quantile is at most 2 % too high."""

    max_seconds: float = 0.0
    count: int = 0
    _buckets: Counter[int] = field(default_factory=Counter[int])

    def add(self, seconds: float) -> None:
        """Count one."""
        within = min(max(seconds, SMALLEST_SECONDS), LARGEST_SECONDS)
        self._buckets[math.ceil(math.log(within / SMALLEST_SECONDS, GROWTH_RATIO))] += 1
        self.max_seconds = max(self.max_seconds, seconds)
        self.count += 1

    def merge(self, other: "Latencies") -> None:
        """Count all of the other's too."""
        self._buckets.update(other._buckets)
        self.max_seconds = max(self.max_seconds, other.max_seconds)
        self.count += other.count

    def quantile(self, ratio: float) -> float:
        """Seconds that `ratio` (0 to 1) of all did not exceed; 0 if there are none."""
        rank = max(1, math.ceil(ratio * self.count))
        passed = 0
        for bucket in sorted(self._buckets):
            passed += self._buckets[bucket]
            if passed >= rank:
                return min(SMALLEST_SECONDS * GROWTH_RATIO**bucket, self.max_seconds)
        return 0.0
