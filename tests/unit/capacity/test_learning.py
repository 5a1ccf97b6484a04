"""Forecasts learn from the load tests of their own system, and from no other."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("numpy")

from outgrow.capacity import Forecast, Lesson, forecast
from outgrow.capacity.learning import HALF_LIFE_DAYS, Correction, corrections
from tests.unit.capacity.made import steady

LESSON = Lesson(
    station="loop web",
    kind="loop",
    foretold_per_second=100.0,
    measured_per_second=80.0,
    deviation=0.03,
    age_days=0.0,
)


def taught(*lessons: Lesson, deviation: float = 0.06) -> dict[str, Correction]:
    kinds = {"loop web": "loop", "loop desk": "loop", "pool": "pool"}
    return corrections(lessons, kinds, dict.fromkeys(kinds, deviation))  # pyright: ignore[reportArgumentType]


def told(*lessons: Lesson) -> Forecast:
    found = forecast(steady(), lessons=lessons)
    assert isinstance(found, Forecast)
    return found


def test_without_lessons_nothing_is_corrected() -> None:
    assert taught() == {}
    assert told().corrections == {}
    assert told().grade == "exact"


def test_more_tests_are_believed_more() -> None:
    shifts = [taught(*[LESSON] * count)["loop web"].shift_ratio for count in (1, 3, 10)]
    assert shifts == sorted(shifts, reverse=True)
    assert -0.2 < shifts[0] < -0.1
    assert shifts[2] == pytest.approx(-0.2, abs=0.01)


def test_tests_that_held_make_an_interval_narrower_and_those_that_erred_one_of_the_kind_wider() -> (
    None
):
    held = replace(LESSON, measured_per_second=100.0)
    widths = [taught(*[held] * count)["loop web"].width_ratio for count in (1, 3, 10)]
    assert 1 > widths[0] > widths[1] > widths[2]
    other = taught(LESSON)["loop desk"]
    assert (other.shift_ratio, other.tests_count) == (0.0, 0)
    assert other.width_ratio == pytest.approx(1.888, abs=0.001)
    assert taught(held)["loop desk"].width_ratio < 1
    assert "pool" not in taught(LESSON, held)


def test_tests_that_contradict_one_another_leave_it_less_sure() -> None:
    high = replace(LESSON, measured_per_second=125.0)
    agreeing, contradicting = taught(LESSON, LESSON), taught(LESSON, high)
    assert contradicting["loop web"].width_ratio > 1.3 * agreeing["loop web"].width_ratio
    assert contradicting["loop web"].shift_ratio == pytest.approx(0.0, abs=0.01)


def test_an_old_test_says_less() -> None:
    old = replace(LESSON, age_days=4 * HALF_LIFE_DAYS)
    assert taught(LESSON)["loop web"].shift_ratio < taught(old)["loop web"].shift_ratio < 0


def test_a_forecast_moves_towards_what_was_measured_and_is_surer() -> None:
    before = told()
    station = before.first[0]
    base = before.saturation_per_second.best
    lesson = replace(
        LESSON,
        station=station,
        kind=before.ladder[0].kind,
        foretold_per_second=base,
        measured_per_second=0.9 * base,
    )
    after = told(*[lesson] * 5)
    assert after.grade == "verified"
    assert after.corrections[station].tests_count == 5
    assert after.saturation_per_second.best == pytest.approx(0.9 * base, rel=0.02)
    assert after.saturation_per_second.width_ratio < before.saturation_per_second.width_ratio


def test_lessons_of_stations_that_are_no_more_say_nothing() -> None:
    gone = replace(LESSON, station="pool gone", kind="pool")
    assert told(gone).saturation_per_second == told().saturation_per_second
