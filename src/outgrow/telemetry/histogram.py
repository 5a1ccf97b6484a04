"""A histogram of durations: whole range, fixed relative error, sums that add up exactly.

Buckets are log-linear: each power of two of microseconds is cut into 16 equal parts, so a bucket
is at most 1/16 (6 %) wider than its lower edge. 512 buckets reach from 1 µs to over an hour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PARTS_BITS = 4
_PARTS = 1 << _PARTS_BITS
BUCKETS_MAX = 32 * _PARTS


def bucket_of(duration_ns: int) -> int:
    """Number of the bucket that holds this duration (nanoseconds, any sign)."""
    units = duration_ns >> 10  # 1.024 µs, so that finding the bucket takes no division
    if units < _PARTS:
        return max(0, units)
    shift = units.bit_length() - _PARTS_BITS - 1
    bucket = (shift << _PARTS_BITS) + (units >> shift)
    return bucket if bucket < BUCKETS_MAX else BUCKETS_MAX - 1


def lower_edge_ns(bucket: int) -> int:
    """Smallest duration (nanoseconds) that falls into this bucket."""
    if bucket < _PARTS:
        return bucket << 10
    shift = (bucket >> _PARTS_BITS) - 1
    return ((bucket - (shift << _PARTS_BITS)) << shift) << 10


def quantile_ms(counts: Mapping[int, int], share: float) -> float | None:
    """The duration (milliseconds) below which this share of the calls stays; None without calls.

    Within a bucket calls are taken to be spread evenly, so the error is at most 6 %.

    Args:
        counts: Calls in each bucket, by the bucket's number.
        share: 0.5 for the median, 0.99 for p99.
    """
    wanted = sum(counts.values()) * share
    if wanted <= 0:
        return None
    seen = 0
    for bucket in sorted(counts):
        count = counts[bucket]
        if count > 0 and seen + count >= wanted:
            lower, upper = lower_edge_ns(bucket), lower_edge_ns(bucket + 1)
            return (lower + (upper - lower) * (wanted - seen) / count) / 1e6
        seen += count
    return lower_edge_ns(max(counts) + 1) / 1e6
