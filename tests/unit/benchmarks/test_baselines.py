"""What forecasts are compared with says what it should where the answer is known."""

from __future__ import annotations

import pytest

from benchmarks.forecast.baselines import by_last_value, by_scalability_law, last_times
from outgrow.capacity import OperationWindow, Recorded, Window
from outgrow.telemetry import bucket_of


def seen(crowd: float, rate: float) -> Window:
    """Ten seconds with so many calls in flight, at such a rate."""
    calls = round(rate * 10)
    spent = crowd / rate
    buckets = {bucket_of(int(spent * 1e9)): calls}
    one = OperationWindow(name="GET /", calls=calls, duration_seconds=crowd * 10, buckets=buckets)
    return Window(at_seconds=0, operations=(one,))


def along(contention: float, coherency: float) -> Recorded:
    """A system that obeys the law: 1,000 calls a second alone."""
    return Recorded(
        recorded=tuple(
            seen(n, 1000 * n / (1 + contention * (n - 1) + coherency * n * (n - 1)))
            for n in (1, 2, 4, 8, 16, 24)
        )
    )


def test_the_scalability_law_finds_the_peak_of_what_obeys_it() -> None:
    peak = ((1 - 0.05) / 0.001) ** 0.5
    most = 1000 * peak / (1 + 0.05 * (peak - 1) + 0.001 * peak * (peak - 1))
    assert by_scalability_law(along(0.05, 0.001)) == pytest.approx(most, rel=0.02)


def test_without_a_peak_the_law_nears_what_contention_leaves() -> None:
    assert by_scalability_law(along(0.1, 0.0)) == pytest.approx(10_000, rel=0.05)


def test_the_last_value_is_the_most_that_was_seen() -> None:
    evidence = Recorded(recorded=(seen(1, 50), seen(2, 80), seen(1, 60)))
    assert by_last_value(evidence) == pytest.approx(80)
    mean_seconds, p99_seconds = last_times(evidence, "GET /")
    assert mean_seconds == pytest.approx(4 / 190)
    assert p99_seconds == pytest.approx(2 / 80, rel=0.1)
