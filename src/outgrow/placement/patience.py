"""How long to wait before a worker that keeps failing is started again."""

from __future__ import annotations

from dataclasses import dataclass

DELAYS_SECONDS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
GOOD_LIFE_SECONDS = 1.0


@dataclass
class Patience:
    """Delays that grow while starts fail, and begin anew after a worker that served.

    The first restart is at once: most deaths are single. It never gives up.

    Attributes:
        failures: Starts in a row that led to nothing.
        next_start_at: No start before this moment (seconds on the loop's clock).
    """

    failures: int = 0
    next_start_at: float = 0.0

    def died(self, now: float, served_seconds: float) -> float:
        """A worker died by itself; returns how long (seconds) to wait for the next start.

        Args:
            now: The moment.
            served_seconds: How long it had been ready.
        """
        self.failures = 1 if served_seconds >= GOOD_LIFE_SECONDS else self.failures + 1
        delay = DELAYS_SECONDS[min(self.failures, len(DELAYS_SECONDS)) - 1]
        self.next_start_at = now + delay
        return delay
