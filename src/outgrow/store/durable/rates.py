"""How many starts a rate allows by now: a bucket of tokens that fills with time."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def refilled(bucket: Sequence[float], now_ms: int) -> float:
    """Tokens in a bucket by now.

    Args:
        bucket: Count and milliseconds of the rate, how many it holds, how many were in it, when.
        now_ms: Now. A clock that was set back adds nothing, and takes nothing away.
    """
    count, per_ms, burst_count, tokens, refilled_ms = bucket
    return min(burst_count, tokens + max(0.0, now_ms - refilled_ms) * count / per_ms)
