"""How long to wait before the next attempt."""

from __future__ import annotations

from dataclasses import dataclass

from outgrow.errors import ServiceError

SECONDS_MAX = 30 * 86_400.0
# Beyond it the power would be larger than a float can hold.
_DOUBLINGS_MAX = 200


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Pauses that grow from one attempt to the next.

    Attributes:
        first_seconds: After the first attempt.
        factor: How much longer each is than the one before; 1 or more.
        seconds_max: No pause is longer.
        jitter_ratio: Which part of a pause is left to chance, so that what failed together is not
            tried together; 0 to 1.
    """

    first_seconds: float = 1.0
    factor: float = 2.0
    seconds_max: float = 3_600.0
    jitter_ratio: float = 0.2

    def __post_init__(self) -> None:
        fits = (
            0 <= self.first_seconds <= SECONDS_MAX
            and 1 <= self.factor <= 100
            and 0 <= self.seconds_max <= SECONDS_MAX
            and 0 <= self.jitter_ratio <= 1
        )
        if not fits:
            raise ServiceError(
                f"{self} makes no sense",
                hint="Give pauses of 0 to 30 days, a factor of 1 to 100, a jitter ratio of 0 to 1",
            )

    def pause_seconds(self, attempt: int, chance: float) -> float:
        """The pause after this attempt, from 1; `chance` is from 0 to 1."""
        power = min(attempt - 1, _DOUBLINGS_MAX)
        grown = self.first_seconds * min(self.factor**power, 1e12)
        whole = min(grown, self.seconds_max)
        return whole * (1 - self.jitter_ratio * chance)
