"""How evenly requests come: counted in parts of 100 ms, told as sums of which variance is made.

A request is counted when it ends, as only then its route is known, in the part in which it came. So
a part is closed some seconds later; what ends later still counts in the oldest that is open.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

PART_NS = 100_000_000
OPEN_PARTS = 50


class Arrivals(msgspec.Struct):
    """How evenly the requests of one route came, in parts of 100 ms.

    Attributes:
        operation: The route, `METHOD /template`, or the operation.
        parts: How many have ended.
        total: Arrivals in them.
        squares: Sum of the squares of their counts.
        neighbours: Sum of the products of each count and the one before.
    """

    operation: str
    parts: int = 0
    total: int = 0
    squares: int = 0
    neighbours: int = 0


class ArrivalBook:
    """The arrivals of one route.

    Args:
        operation: The route.
        clock_ns: Tells the time at which requests begin.

    Attributes:
        parts: How many came, by the number of the part; those that are open, and have any.
    """

    __slots__ = ("_before", "_clock_ns", "_next", "parts", "totals")

    def __init__(self, operation: str, clock_ns: Callable[[], int] = perf_counter_ns) -> None:
        self.parts: dict[int, int] = {}
        self.totals = Arrivals(operation)
        self._clock_ns = clock_ns
        self._next = clock_ns() // PART_NS  # the oldest open part
        self._before = 0

    def came(self, begun_ns: int) -> None:
        """Count one that came then."""
        part = begun_ns // PART_NS
        if part < self._next:
            part = self._next
        parts = self.parts
        parts[part] = parts.get(part, 0) + 1

    def close(self, *, is_last: bool = False) -> Arrivals:
        """Close the parts that are old enough; the totals. For one thread, which may be another.

        Args:
            is_last: Close all, as nothing more comes.
        """
        totals = self.totals
        end = self._clock_ns() // PART_NS + (1 if is_last else -OPEN_PARTS)
        start, self._next = self._next, max(self._next, end)
        # What has begun to be counted in these parts meanwhile is counted by the next close.
        for part in sorted(part for part in list(self.parts) if part < end):
            count = self.parts.pop(part)
            if part > start:  # parts without any, of which the last is the one before this
                totals.parts += part - start
                self._before = 0
            totals.parts += part >= start
            totals.total += count
            totals.squares += count * count
            totals.neighbours += count * self._before
            self._before, start = count, max(start, part + 1)
        if end > start:
            totals.parts += end - start
            self._before = 0
        return totals
