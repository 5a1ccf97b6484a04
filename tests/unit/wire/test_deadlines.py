"""A deadline is a number of seconds that passes."""

from __future__ import annotations

import math

import pytest

from outgrow import deadline
from outgrow.wire import remaining_seconds


@pytest.mark.parametrize("seconds", [math.inf, 1e300, 0, -1, math.nan])
def test_a_deadline_that_never_comes_or_has_passed_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="a deadline of"):
        deadline(seconds)


def test_the_longest_deadline_is_kept() -> None:
    with deadline(1e9):
        assert remaining_seconds() == pytest.approx(1e9, abs=60)
