"""How many calls a cache would answer, from the distances at which keys come again.

The reuse distance of a call is the number of other keys since the last call with its key: a cache
of n entries that forgets the least recently used answers exactly those with a distance below n. A
sample of keys is enough: distances in it are scaled by the share that was sampled.

Source:
    C. Waldspurger and others, Efficient MRC Construction with SHARDS, FAST 2015.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

KEYS_MAX = 65_536


class ReuseDistances:
    """Distances of a stream of keys, in a fixed room.

    Args:
        sampled_ratio: Share of keys that are offered, chosen by their hash.
    """

    def __init__(self, *, sampled_ratio: float = 1.0) -> None:
        self.sampled_ratio = sampled_ratio
        self.calls = 0
        self.first_calls = 0
        self.distances: dict[int, int] = {}
        self._recent: OrderedDict[Hashable, None] = OrderedDict()

    def note(self, key: Hashable) -> None:
        """A call with this key. Costs time in proportion to the distance."""
        self.calls += 1
        if key in self._recent:
            distance = self._distance(key)
            self.distances[distance] = self.distances.get(distance, 0) + 1
            self._recent.move_to_end(key)
            return
        self.first_calls += 1
        self._recent[key] = None
        if len(self._recent) > KEYS_MAX:
            self._recent.popitem(last=False)

    def note_all(self, keys: Iterable[Hashable]) -> None:
        """Calls with these keys, in this order."""
        for key in keys:
            self.note(key)

    def _distance(self, key: Hashable) -> int:
        for distance, one in enumerate(reversed(self._recent)):
            if one == key:
                return distance
        raise AssertionError(key)

    def hit_ratio(self, entries: int, *, writes_per_read: float = 0.0) -> float:
        """Share of calls that a cache of so many entries answers.

        Args:
            entries: It keeps.
            writes_per_read: Of the same keys: each write makes one kept answer useless.
        """
        if not self.calls:
            return 0.0
        near = entries * self.sampled_ratio
        hits = sum(count for distance, count in self.distances.items() if distance < near)
        return hits / self.calls / (1 + writes_per_read)
