"""A worker that keeps failing is started ever more slowly, but always again."""

from __future__ import annotations

from outgrow.placement.patience import DELAYS_SECONDS, Patience


def test_the_first_restart_is_at_once_and_later_ones_wait_longer() -> None:
    patience = Patience()
    delays = [patience.died(100.0, 0.0) for _ in range(12)]
    assert delays[0] == 0
    assert delays == sorted(delays)
    assert delays[: len(DELAYS_SECONDS)] == list(DELAYS_SECONDS)
    assert set(delays[len(DELAYS_SECONDS) :]) == {30.0}


def test_the_next_start_is_that_long_after_the_death() -> None:
    patience = Patience()
    patience.died(100.0, 0.0)
    delay = patience.died(107.0, 0.0)
    assert patience.next_start_at == 107.0 + delay


def test_a_worker_that_served_is_started_again_at_once() -> None:
    patience = Patience()
    for _ in range(6):
        patience.died(0.0, 0.2)
    assert patience.died(500.0, 1.0) == 0
    assert patience.died(501.0, 0.5) == DELAYS_SECONDS[1]
