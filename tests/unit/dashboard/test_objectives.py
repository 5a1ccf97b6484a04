"""Objectives: what may be promised, and how fast the budget is used."""

from __future__ import annotations

from typing import Any

import pytest

from outgrow.dashboard.objectives import Count, Promise, kept, promises_in
from outgrow.errors import SettingValueError

DAY_NS = 86_400 * 10**9
NOW_NS = 30 * DAY_NS


def test_a_table_promises_latency_and_errors_of_an_operation() -> None:
    table = {"POST /orders": {"latency_ms": 300, "percent": 99.5, "errors_percent": 1}}
    latency, errors = promises_in(table, "outgrow.toml")
    assert (latency.kind, latency.text) == ("latency", "99.5 % within 300 ms")
    assert (errors.kind, errors.text) == ("errors", "99 % without an error")


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        pytest.param({"latency": 3}, "`latency` of", id="an unknown key"),
        pytest.param({"latency_ms": "fast"}, "`latency_ms` of", id="a word"),
        pytest.param({"latency_ms": True}, "`latency_ms` of", id="a truth"),
        pytest.param({"errors_percent": 100}, "`errors_percent` of", id="no promise at all"),
        pytest.param({"latency_ms": 10, "percent": 100}, "`percent` of", id="perfection"),
        pytest.param({"percent": 99}, "promises nothing", id="of what"),
        pytest.param(99, "is no table", id="a number alone"),
    ],
)
def test_a_wrong_entry_is_refused_with_its_place(entry: Any, text: str) -> None:
    with pytest.raises(SettingValueError, match=text) as caught:
        promises_in({"POST /orders": entry}, "outgrow.toml")
    assert '"POST /orders" under [objectives] in outgrow.toml' in caught.value.text


def test_a_burn_rate_of_one_uses_the_budget_up_exactly() -> None:
    assert Count(10_000, 9_900).burn_rate(99.0) == pytest.approx(1.0)
    assert Count(1000, 856).burn_rate(99.0) == pytest.approx(14.4)
    assert Count(0, 0).burn_rate(99.0) is None


def test_it_burns_only_while_long_and_short_windows_are_over_the_limit() -> None:
    promise = Promise(operation="POST /orders", goal_percent=99.0)

    def was_bad(from_ns: int, to_ns: int) -> Count:
        """An hour ago all failed for half an hour; the last 20 minutes are good."""
        seconds = (to_ns - from_ns) // 10**9
        bad = max(0, min(seconds, 3000) - 1200)
        return Count(seconds, seconds - bad)

    found = kept(promise, was_bad, NOW_NS, 0)
    hour, quarter, day = found.burns
    assert hour.long_rate is not None
    assert hour.long_rate > 14.4
    assert hour.short_rate == 0
    assert not hour.is_burning
    assert quarter.is_burning
    assert day.is_burning is (min(day.long_rate or 0, day.short_rate or 0) >= 1)
    assert found.days == 7


def test_the_budget_is_for_as_long_as_was_counted() -> None:
    promise = Promise(operation="POST /orders", goal_percent=99.0, latency_ms=300)
    found = kept(promise, lambda *_: Count(1000, 995), NOW_NS, NOW_NS - DAY_NS)
    assert found.days == 1
    assert found.budget_left_percent == pytest.approx(50)
    silent = kept(promise, lambda *_: Count(0, 0), NOW_NS, NOW_NS - DAY_NS)
    assert silent.good_percent is silent.budget_left_percent is None
