"""Quantiles out of buckets are near the exact ones."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgrow.telemetry.histogram import BUCKETS_MAX, bucket_of, lower_edge_ns, quantile_ms

SMALLEST_NS = 16 * 1024  # below it buckets are a microsecond wide, whatever the share
LONGEST_NS = 3600 * 10**9
durations = st.integers(SMALLEST_NS, LONGEST_NS)


def counted(values_ns: list[int]) -> Counter[int]:
    return Counter(bucket_of(value) for value in values_ns)


@given(st.integers(0, LONGEST_NS), st.integers(0, LONGEST_NS))
def test_a_longer_duration_never_falls_into_an_earlier_bucket(one: int, other: int) -> None:
    assert bucket_of(min(one, other)) <= bucket_of(max(one, other))


@given(st.integers(0, LONGEST_NS))
def test_a_duration_lies_between_the_edges_of_its_bucket(duration_ns: int) -> None:
    bucket = bucket_of(duration_ns)
    assert lower_edge_ns(bucket) <= duration_ns < lower_edge_ns(bucket + 1)


@pytest.mark.parametrize("bucket", range(BUCKETS_MAX))
def test_the_lower_edge_of_a_bucket_is_its_first_duration(bucket: int) -> None:
    edge = lower_edge_ns(bucket)
    assert bucket_of(edge) == bucket
    assert bucket == 0 or bucket_of(edge - 1) == bucket - 1


def test_no_bucket_is_wider_than_a_sixteenth_of_its_edge() -> None:
    for bucket in range(16, BUCKETS_MAX):
        lower, upper = lower_edge_ns(bucket), lower_edge_ns(bucket + 1)
        assert (upper - lower) * 16 <= lower


@pytest.mark.parametrize(
    ("duration_ns", "bucket"),
    [
        pytest.param(-5, 0, id="a clock that went back"),
        pytest.param(0, 0, id="nothing"),
        pytest.param(10**18, BUCKETS_MAX - 1, id="thirty years"),
    ],
)
def test_durations_out_of_range_fall_into_the_outermost_buckets(
    duration_ns: int, bucket: int
) -> None:
    assert bucket_of(duration_ns) == bucket


@given(st.lists(durations, min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.95, 0.99, 1.0]))
def test_a_quantile_is_within_seven_percent_of_the_exact_one(
    values_ns: list[int], share: float
) -> None:
    exact_ms = sorted(values_ns)[math.ceil(len(values_ns) * share) - 1] / 1e6
    found_ms = quantile_ms(counted(values_ns), share)
    assert found_ms == pytest.approx(exact_ms, rel=0.07)


@given(st.lists(durations, min_size=1, max_size=50))
def test_higher_quantiles_are_never_lower(values_ns: list[int]) -> None:
    counts = counted(values_ns)
    found = [quantile_ms(counts, share) or 0.0 for share in (0.1, 0.5, 0.9, 0.99, 1.0)]
    assert found == sorted(found)


def test_nothing_measured_has_no_quantile() -> None:
    assert quantile_ms({}, 0.5) is None
    assert quantile_ms({3: 0}, 0.5) is None
