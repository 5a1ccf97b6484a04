"""How much waits is asked once in each window, and what is answered is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from outgrow.dashboard.sounding import Sounding, backlogs_in, until_next
from outgrow.telemetry import Backlog, MetricPoint


class Kept:
    """An archive that has room for points."""

    def __init__(self) -> None:
        self.all: list[MetricPoint] = []

    def keep(self, *, points: Sequence[MetricPoint]) -> None:
        self.all += points

    def metric(self, name: str, from_ns: int, to_ns: int, limit: int) -> list[MetricPoint]:
        found = [one for one in self.all if one.name == name and from_ns <= one.at_ns < to_ns]
        return found[-limit:]


def backlog(at_ns: int, **more: Any) -> Backlog:
    return Backlog(at_ns=at_ns, queue="queue mail", **more)


def test_what_is_answered_is_kept_with_its_moment() -> None:
    kept = Kept()
    moments = iter((9.0, 19.0))
    sounding = Sounding(lambda at_ns: [backlog(at_ns, waiting=3)], kept, lambda: next(moments))
    sounding.turn()
    sounding.turn()
    assert backlogs_in(kept, 0, 15 * 10**9) == [backlog(9 * 10**9, waiting=3)]
    assert len(backlogs_in(kept, 0, 60 * 10**9)) == 2


def test_nothing_is_kept_where_nobody_answers() -> None:
    kept = Kept()
    Sounding(lambda _: [], kept, lambda: 9.0).turn()
    assert kept.all == []


@pytest.mark.parametrize(
    ("now_seconds", "wait_seconds"), [(1000.0, 9.0), (1008.5, 0.5), (1009.0, 10.0), (1009.5, 9.5)]
)
def test_it_is_asked_shortly_before_a_window_ends(now_seconds: float, wait_seconds: float) -> None:
    assert until_next(now_seconds) == pytest.approx(wait_seconds)
