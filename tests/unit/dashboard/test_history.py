"""Weeks of an archive: what they say of growth, of cost, and of when a limit is near."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("scipy")

from outgrow.capacity import Recorded
from outgrow.dashboard.dating import due_words
from outgrow.dashboard.foresight import Foresight
from outgrow.dashboard.history import history_in
from outgrow.dashboard.objectives import Promise
from outgrow.dashboard.shapes import DueAhead, Signs
from outgrow.telemetry import (
    Archive,
    LinkTotals,
    ProcessTotals,
    RouteTotals,
    StatementTotals,
    StationTotals,
    bucket_of,
)
from outgrow.telemetry.records import Origin, Report
from tests.unit.dashboard.shop_growth import verified
from tests.unit.telemetry.archive.telling import DAY_NS, MORNING_NS, SECOND_NS, Clock

# It makes a file of each day, which a busy machine takes a while for.
pytestmark = pytest.mark.timeout(120)

DAYS, WINDOWS = 16, 30
HOLD_NS = 50_000_000
LATELY_NS = WINDOWS * 10 * SECOND_NS - 1
DAILY_GROWTH, DAILY_SLOWING = 1.02, 1.03
PEAK_CALLS = 6000
GOOD = Promise(operation="GET /buy", goal_percent=99)


class Told:
    """A worker whose traffic grows and whose statement slows down, day by day."""

    def __init__(self, archive: Archive, clock: Clock) -> None:
        self._archive, self._clock = archive, clock
        self._origin = Origin(
            *("shop", "web/1", "e1"), group="web", machine="here", began_at_ns=clock.now_ns
        )
        self._number = 0
        self._totals: dict[str, float] = {}
        archive.hear(self._origin)

    def works(self, day: int, calls: int) -> None:
        """Serve calls, of which one in fifty fails, and report."""
        spent_ns = calls * 10**6 * DAILY_SLOWING**day
        added = {
            "calls": calls,
            "errors": calls / 50,
            "hold": calls * HOLD_NS,
            "statement": spent_ns,
            "bytes": calls * 3000 * DAILY_SLOWING**day,
            "cpu": calls * 2 * 10**6 * DAILY_GROWTH**day,
        }
        for name, more in added.items():
            self._totals[name] = self._totals.get(name, 0) + more
        self._number += 1
        self._archive.take(self._origin, self._report())

    def _report(self) -> Report:
        total = {name: int(value) for name, value in self._totals.items()}
        calls, buckets = total["calls"], {bucket_of(HOLD_NS): total["calls"]}
        held: dict[str, Any] = {"served": calls, "busy_ns": total["hold"], "hold_ns": total["hold"]}
        return Report(
            self._number,
            self._clock.now_ns,
            routes=[
                RouteTotals(
                    *("GET", "/buy", calls, total["errors"]),
                    duration_ns=total["hold"],
                    buckets=buckets,
                )
            ],
            links=[
                LinkTotals(
                    *("GET /buy", "Stock.take", calls), crossed=calls, sent_bytes=total["bytes"]
                )
            ],
            statements=[
                StatementTotals(
                    *("sqlite:shop.db", "f1", "SELECT tea", "GET /buy", ["tea"]),
                    calls=calls,
                    duration_ns=total["statement"],
                    buckets={bucket_of(10**6): calls},
                )
            ],
            stations=[
                StationTotals("bulkhead Stock", "bulkhead", 4, hold_squared_s2=0.01 * calls, **held)
            ],
            process=ProcessTotals(user_ns=total["cpu"], loop_cpu_ns=total["cpu"]),
        )


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock(MORNING_NS)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[Archive]:
    """Three weeks of one busy moment a day, and some minutes of now."""
    made = Archive(tmp_path_factory.mktemp("weeks"), clock_ns=clock, days_max=60)
    told = Told(made, clock)
    for day in range(DAYS):
        told.works(day, round(PEAK_CALLS * DAILY_GROWTH**day))
        clock.pass_seconds(86_400)
    told.works(DAYS, 10)  # tells of the whole night
    for number in range(WINDOWS):
        clock.pass_seconds(10)
        told.works(DAYS, 100 + number * 7 % 21)
    made.write(is_all=True)
    yield made
    made.close()


@pytest.fixture(scope="module")
def foresight(archive: Archive) -> Foresight:
    return Foresight(archive, promises=[GOOD])


@pytest.fixture(scope="module")
def signs(foresight: Foresight, clock: Clock) -> Signs:
    return foresight.signs(clock.now_ns - LATELY_NS, clock.now_ns, 100)


def test_a_forecast_says_the_day_on_which_the_first_limit_is_near(
    foresight: Foresight, clock: Clock
) -> None:
    told = foresight.foreseen(clock.now_ns - LATELY_NS, clock.now_ns, 10)
    assert told.due is not None
    # The day on which counting began is no whole one.
    assert told.due.days == DAYS - 1
    assert told.due.weekly_percent == pytest.approx(100 * (DAILY_GROWTH**7 - 1), rel=0.02)
    assert told.due.at_ms is not None
    assert told.due.early_ms is not None
    assert told.saturation_per_second is not None
    days = (told.due.at_ms - clock.now_ns / 1e6) / 86_400e3
    peak = PEAK_CALLS / 600 * DAILY_GROWTH ** (DAYS + days)
    assert peak == pytest.approx(0.8 * told.saturation_per_second.best, rel=0.08)
    assert told.due.early_ms <= told.due.at_ms
    assert "At the growth of the last 15 days, +14.9 % a week, " in told.sentence


@pytest.mark.parametrize("sign", ["slowing statement", "burning objective", "growing payload"])
def test_signs_that_need_days_are_found(signs: Signs, sign: str) -> None:
    assert sign in {one.sign for one in signs.signs}
    assert sign not in {one.sign for one in signs.missing}


def test_a_statement_that_slows_down_says_by_how_much(signs: Signs) -> None:
    (one,) = [one for one in signs.signs if one.sign == "slowing statement"]
    assert (one.subject, one.severity) == ("SELECT tea", "severe")
    assert one.numbers["days_count"] == DAYS


def test_cost_that_rises_faster_than_traffic_is_found(signs: Signs) -> None:
    (one,) = [one for one in signs.signs if one.sign == "rising cost"]
    # Each call costs 2 % more CPU and 3 % more of the database, while there are 2 % more calls.
    assert 2.0 < one.value < 2.5


def test_an_objective_burns_by_the_longest_window_that_says_so(signs: Signs) -> None:
    (one,) = [one for one in signs.signs if one.sign == "burning objective"]
    assert one.subject == "GET /buy"
    assert one.severity == "warn"
    assert one.text.endswith("over 72 h: 99 % without an error")


def test_what_is_sent_from_process_to_process_grows_by_the_week(signs: Signs) -> None:
    (one,) = [one for one in signs.signs if one.sign == "growing payload"]
    assert one.subject == "GET /buy -> Stock.take"
    # The days before the last one: 3 % a day, of the middle of them.
    assert one.numbers["weekly_percent"] == pytest.approx(21, abs=2)


def test_what_a_load_test_sent_is_no_peak(archive: Archive, clock: Clock) -> None:
    without = history_in(archive, clock.now_ns, [], {}, Recorded(recorded=()))
    day_ns = clock.now_ns // DAY_NS * DAY_NS - DAY_NS
    test = verified((day_ns + DAY_NS) / 1e6)
    whole = type(test)(**{**_fields(test), "from_ms": day_ns / 1e6})
    found = history_in(archive, clock.now_ns, [whole], {}, Recorded(recorded=()))
    assert without.peaks_per_second[-1] > 0
    assert found.peaks_per_second == (*without.peaks_per_second[:-1], 0.0)


def _fields(one: Any) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


@pytest.mark.parametrize(
    ("days", "said"),
    [
        pytest.param((63, 42, 98), "in 9 weeks (6 to 14), about 2026-03-05.", id="weeks"),
        pytest.param((63, 42, None), "in 9 weeks (6 to never), about 2026-03-05.", id="or never"),
        pytest.param((6, 3, 20), "in 6 days (3 to 20), about 2026-01-07.", id="days"),
        pytest.param((0, 0, 4), "by now.", id="now"),
        pytest.param((None, 350, None), "in 50 weeks at the earliest.", id="perhaps"),
        pytest.param((None, None, None), "in more than two years, or never.", id="never"),
    ],
)
def test_a_date_is_said_in_words(days: tuple[int | None, ...], said: str) -> None:
    new_year_ms = 1_767_225_600_000.0
    at, early, late = (None if n is None else new_year_ms + n * 86_400e3 for n in days)
    due = DueAhead(at_ms=at, early_ms=early, late_ms=late, weekly_percent=5.0, days=28)
    assert due_words(due, new_year_ms) == (
        "At the growth of the last 28 days, +5.0 % a week, the busiest ten minutes of a day reach "
        f"four fifths of it {said}"
    )
