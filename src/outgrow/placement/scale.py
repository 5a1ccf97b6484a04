"""How many workers the load needs, decided from their busy share.

It grows at once when workers are busier than wanted for some seconds, by as many as that takes; it
shrinks by one when the rest could carry the load with room to spare for a whole minute. The gap
between the two is what keeps it from swinging.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.model import Replicas

GROW_AFTER_SECONDS = 5.0
SHRINK_AFTER_SECONDS = 60.0
REST_SECONDS = 5.0
_SHRINK_SHARE = 0.7


@dataclass
class Scaler:
    """Decides how many workers should run.

    Attributes:
        replicas: The bounds.
        busy_percent: Busy share that the workers should have; 0 to 100.
    """

    replicas: Replicas
    busy_percent: float
    _needs: deque[tuple[float, float]] = field(default_factory=deque[tuple[float, float]])
    _changed_at: float = float("-inf")

    def wanted(self, now: float, running: int, busy_percents: Sequence[float]) -> int:
        """The number of workers that should run now.

        Args:
            now: Seconds, on any clock that only grows.
            running: How many are wanted at present.
            busy_percents: The busy share of each worker that serves.
        """
        low, high = self.replicas.min, self.replicas.max
        if not busy_percents or low == high:
            return min(max(running, low), high)
        self._note(now, sum(busy_percents) / self.busy_percent)
        wanted = self._grown(now, running) or self._shrunk(now, running) or running
        wanted = min(max(wanted, low), high)
        if wanted != running:
            self._changed_at = now
            self._needs.clear()
        return wanted

    def _note(self, now: float, need: float) -> None:
        self._needs.append((now, need))
        while self._needs[0][0] < now - SHRINK_AFTER_SECONDS - 1.0:
            self._needs.popleft()

    def _grown(self, now: float, running: int) -> int | None:
        if now - self._changed_at < REST_SECONDS:
            return None
        recent = self._since(now - GROW_AFTER_SECONDS)
        # The least need of these seconds: one spike is no reason for another process.
        return ceil(min(recent)) if recent and min(recent) > running else None

    def _shrunk(self, now: float, running: int) -> int | None:
        minute = self._since(now - SHRINK_AFTER_SECONDS)
        if not minute or now - self._changed_at < SHRINK_AFTER_SECONDS:
            return None
        return running - 1 if max(minute) < (running - 1) * _SHRINK_SHARE else None

    def _since(self, start: float) -> list[float]:
        """Needs since a moment; empty where they were not watched that long."""
        if not self._needs or self._needs[0][0] > start:
            return []
        return [need for at, need in self._needs if at >= start]
