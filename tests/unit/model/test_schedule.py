"""Schedules keep the rules of summer time, and say what was missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outgrow.errors import ServiceError
from outgrow.model import Schedule, job, schedule

BERLIN = ZoneInfo("Europe/Berlin")


def ticks(one: Schedule, after: datetime, count: int) -> list[str]:
    """Its next ticks, as a clock on the wall shows them."""
    zone = ZoneInfo(one.zone)
    found = islice(one.ticks_after(after), count)
    return [f"{tick.astimezone(zone):%d. %H:%M %z}" for tick in found]


def test_a_time_that_summer_time_skips_runs_once_at_the_next_valid_time() -> None:
    nightly = Schedule("30 2 * * *", "Europe/Berlin")
    assert ticks(nightly, datetime(2026, 3, 28, tzinfo=BERLIN), 3) == [
        "28. 02:30 +0100",
        "29. 03:00 +0200",
        "30. 02:30 +0200",
    ]


def test_a_time_that_is_named_beside_a_skipped_one_runs_once() -> None:
    twice = Schedule("0 2,3 * * *", "Europe/Berlin")
    assert ticks(twice, datetime(2026, 3, 28, 12, tzinfo=BERLIN), 3) == [
        "29. 03:00 +0200",
        "30. 02:00 +0200",
        "30. 03:00 +0200",
    ]


def test_a_time_that_comes_twice_in_autumn_runs_once() -> None:
    nightly = Schedule("30 2 * * *", "Europe/Berlin")
    assert ticks(nightly, datetime(2026, 10, 24, 12, tzinfo=BERLIN), 2) == [
        "25. 02:30 +0200",
        "26. 02:30 +0100",
    ]


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), id="from its first time on"),
        pytest.param(datetime(2026, 10, 25, 0, 45, tzinfo=UTC), id="from between the two on"),
        pytest.param(datetime(2026, 10, 25, 1, 15, tzinfo=UTC), id="from the second hour on"),
    ],
)
def test_a_scheduler_that_starts_anew_in_autumn_does_not_run_it_again(after: datetime) -> None:
    nightly = Schedule("30 2 * * *", "Europe/Berlin")
    assert ticks(nightly, after, 1) == ["26. 02:30 +0100"]


def test_an_interval_follows_real_time_through_both_changes() -> None:
    quarter = Schedule("*/15 * * * *", "Europe/Berlin")
    for day in (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)):
        found = list(islice(quarter.ticks_after(day), 20))
        steps = {later - tick for tick, later in pairwise(found)}
        assert steps == {timedelta(minutes=15)}


@given(
    start=st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),
    cron=st.sampled_from(
        ["30 2 * * *", "0 0 * * *", "0 */2 * * *", "15 1,2,3 * * 0", "0 3 31 * *"]
    ),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
)
def test_ticks_only_go_forwards_and_do_not_depend_on_where_one_begins(
    start: datetime, cron: str, zone: str
) -> None:
    one = Schedule(cron, zone)
    found = list(islice(one.ticks_after(start), 6))
    assert all(tick > start for tick in found)
    assert found == sorted(set(found))
    for before, after in pairwise(found):
        assert next(one.ticks_after(before)) == after


@pytest.mark.parametrize(
    ("catch_up", "hours"),
    [
        pytest.param("skip", [], id="none of those that were missed"),
        pytest.param("once", [5], id="the last one"),
        pytest.param("all", [3, 4, 5], id="all of them"),
    ],
)
def test_missed_ticks_are_caught_up_as_chosen(catch_up: Any, hours: list[int]) -> None:
    one = Schedule("0 * * * *", catch_up=catch_up)
    last, now = datetime(2026, 1, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, 5, 30, tzinfo=UTC)
    assert [tick.hour for tick in one.due(last, now)] == hours


@pytest.mark.parametrize("catch_up", ["skip", "once", "all"])
def test_a_tick_that_is_seen_a_little_late_was_not_missed(catch_up: Any) -> None:
    one = Schedule("0 * * * *", catch_up=catch_up)
    last, now = datetime(2026, 1, 1, 4, tzinfo=UTC), datetime(2026, 1, 1, 5, 0, 20, tzinfo=UTC)
    assert [tick.hour for tick in one.due(last, now)] == [5]


def test_after_years_not_every_minute_is_caught_up_at_once() -> None:
    one = Schedule("* * * * *", catch_up="all")
    found = one.due(datetime(2020, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    assert len(found) == 1_000


@pytest.mark.parametrize(
    ("cron", "zone"),
    [
        pytest.param("0 3 * *", "UTC", id="a field too few"),
        pytest.param("0 0 3 * * *", "UTC", id="a field for seconds"),
        pytest.param("61 3 * * *", "UTC", id="a minute that is none"),
        pytest.param("0 3 * * *", "Europe/Atlantis", id="a zone that is none"),
        pytest.param("0 3 * * *", "../etc", id="a path"),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(cron: str, zone: str) -> None:
    with pytest.raises(ServiceError):
        Schedule(cron, zone)


def test_a_job_may_have_several_schedules() -> None:
    @schedule("0 3 * * *", zone="Europe/Berlin")
    @schedule("0 15 * * *", catch_up="once")
    @job
    async def report(self: object) -> None:
        """Nothing."""

    assert [one.cron for one in report.schedules] == ["0 15 * * *", "0 3 * * *"]


def test_a_schedule_stands_on_a_job_only() -> None:
    async def report(self: object) -> None:
        """Nothing."""

    wrong: Any = report
    with pytest.raises(ServiceError, match="no job"):
        schedule("0 3 * * *")(wrong)
