"""A forecast has an interval, names the first limit, and is refused where evidence is poor."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outgrow.capacity import (
    Forecast,
    History,
    Objective,
    OperationWindow,
    Recorded,
    Refusal,
    StationWindow,
    Window,
    forecast,
)
from tests.unit.capacity.made import evidence, steady, window


def told_of(given: Recorded, **more: object) -> Forecast:
    told = forecast(given, draws=80, **more)  # pyright: ignore[reportArgumentType]
    assert isinstance(told, Forecast), told
    return told


def test_a_loop_of_four_milliseconds_bears_two_hundred_and_fifty() -> None:
    told = told_of(steady())
    assert told.first == ("loop web",)
    assert told.saturation_per_second.best == pytest.approx(250, rel=0.02)
    assert told.saturation_per_second.low < 250 < told.saturation_per_second.high
    assert told.headroom.best == pytest.approx(25, rel=0.05)


def test_one_operation_at_a_steady_rate_is_foreseen_with_an_interval() -> None:
    told = told_of(evidence(*(window(number, 100) for number in range(24))))
    assert [one.name for one in told.model.classes] == ["GET /"]
    assert told.saturation_per_second.low < 250 < told.saturation_per_second.high
    assert 1.05 < told.saturation_per_second.width_ratio < 1.5


def test_the_same_evidence_and_seed_give_the_same_answer() -> None:
    assert told_of(steady(), seed=3).saturation_per_second == (
        told_of(steady(), seed=3).saturation_per_second
    )


def test_thinner_evidence_gives_a_wider_interval() -> None:
    exact = told_of(steady())
    metrics = told_of(replace(steady(), grade="metrics"))
    verified = told_of(replace(steady(), grade="verified"))
    widths = [one.saturation_per_second.width_ratio for one in (verified, exact, metrics)]
    assert widths == sorted(widths)
    assert widths[0] < widths[1] < widths[2]


def test_probabilities_to_be_first_add_up() -> None:
    assert sum(rung.first_ratio for rung in told_of(steady()).ladder) == pytest.approx(1)


def test_time_that_no_station_measures_is_said_to_be_unmeasured() -> None:
    assert told_of(steady()).unmeasured_ratio == pytest.approx(0.8, abs=0.03)


def test_an_objective_of_an_unknown_operation_is_passed_over() -> None:
    told = told_of(steady(), objectives=[Objective(operation="GET /nowhere", seconds=1)])
    assert told.broken_objective is None
    assert told.knee_by_objective_per_second is None


def test_an_objective_that_is_broken_already_has_its_knee_at_zero() -> None:
    told = told_of(steady(), objectives=[Objective(operation="GET /", seconds=0.001)])
    assert told.knee_by_objective_per_second is not None
    assert told.knee_by_objective_per_second.best < 1


def full() -> Recorded:
    return evidence(*(window(n, 2300 + n, duration_seconds=0.5) for n in range(12)))


def of_no_station() -> Recorded:
    bare = [replace(window(n), stations=(), processes=()) for n in range(12)]
    return evidence(*bare)


def clock_set_back() -> Recorded:
    windows = [window(n) for n in range(12)]
    windows[6] = replace(windows[6], at_seconds=windows[2].at_seconds)
    return evidence(*windows)


def off_the_loop() -> Recorded:
    """CPU time that grows with the calls, on no loop and in no thread that is measured."""
    found: list[Window] = []
    for number in range(24):
        calls = 50 + 20 * (number % 6)
        made = window(number, calls)
        process = replace(made.processes[0], cpu_seconds=0.02 * calls)
        found.append(replace(made, processes=(process,)))
    return evidence(*found)


def restarts() -> Recorded:
    return evidence(*(window(n, is_whole=n % 3 == 0) for n in range(24)))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        pytest.param(evidence(), "thin", id="no windows"),
        pytest.param(evidence(*(window(n, 0) for n in range(24))), "thin", id="no traffic"),
        pytest.param(evidence(*(window(n, 5) for n in range(12))), "thin", id="few calls"),
        pytest.param(evidence(*(window(n, 900) for n in range(3))), "thin", id="few windows"),
        pytest.param(clock_set_back(), "clock", id="a clock set back"),
        pytest.param(restarts(), "restarts", id="restarts in most windows"),
        pytest.param(of_no_station(), "blind", id="no station"),
        pytest.param(full(), "full", id="a knee already passed"),
        pytest.param(off_the_loop(), "unattributed", id="time that belongs to no station"),
    ],
)
def test_poor_evidence_is_refused_with_its_reason(given: Recorded, reason: str) -> None:
    told = forecast(given, draws=40)
    assert isinstance(told, Refusal)
    assert told.reason == reason
    assert told.text
    assert told.hint


def test_an_answer_too_wide_says_measure_first() -> None:
    wild = [window(n, 60, loop_seconds=0.0005 if n % 6 else 0.12) for n in range(12)]
    told = forecast(evidence(*wild), draws=200)
    assert isinstance(told, Refusal)
    assert told.reason == "wide"
    assert "Measure first" in told.hint


def two_classes(number: int) -> Window:
    """Of the writer, `POST /` takes 8 ms and `GET /` 1 ms; their numbers change against another."""
    reads, writes = 80 + 10 * (number % 5), 20 + 7 * (number % 3)
    one = window(number, reads)
    hold = reads * 0.001 + writes * 0.008
    writer = StationWindow(
        name="writer",
        kind="lock",
        served=reads + writes,
        hold_seconds=hold,
        hold_squared_s2=hold * 0.01,
        by_operation={"GET /": reads, "POST /": writes},
    )
    post = OperationWindow(
        name="POST /",
        calls=writes,
        duration_seconds=writes * 0.02,
        buckets=one.operations[0].buckets,
    )
    return replace(one, operations=(*one.operations, post), stations=(*one.stations, writer))


def test_a_station_is_split_over_classes_by_least_squares() -> None:
    model = told_of(evidence(*(two_classes(n) for n in range(24)))).model
    by_class = dict(zip((one.name for one in model.classes), model.seconds[0, 2], strict=True))
    assert model.stations[2].name == "writer"
    assert by_class["GET /"] < 0.002
    assert by_class["POST /"] == pytest.approx(0.008, rel=0.2)


def over_days(growth: float) -> Recorded:
    """Thirty days, over which a call takes so much longer."""
    windows: list[Window] = []
    for day in range(30):
        taken = 0.004 * (1 + growth * day / 29)
        made = window(day, 90 + day % 7, loop_seconds=taken)
        windows.append(replace(made, at_seconds=day * 86_400.0))
    return evidence(*windows)


def test_demand_that_has_drifted_is_expected_to_drift_on() -> None:
    still, drifting = told_of(over_days(0.0)), told_of(over_days(0.5))
    assert drifting.saturation_per_second.low < 0.9 * still.saturation_per_second.low
    assert drifting.saturation_per_second.width_ratio > still.saturation_per_second.width_ratio


def test_an_hour_of_evidence_drifts_as_the_days_before_it_did() -> None:
    still, drifting = (
        forecast(steady(), draws=80, history=History(days=tuple(over_days(growth).windows())))
        for growth in (0.0, 0.5)
    )
    assert isinstance(still, Forecast)
    assert isinstance(drifting, Forecast)
    assert still.saturation_per_second.best == drifting.saturation_per_second.best
    assert drifting.saturation_per_second.low < 0.9 * still.saturation_per_second.low


def with_threads(number: int, *, is_python: bool) -> Window:
    """Threads compute 10 ms a call; steps of 1 ms on the loop wait for them, or do not."""
    calls = 100 + number % 9
    late = 0.0008 if is_python else 0.0
    made = window(number, calls, loop_seconds=0.001)
    hold = calls * (0.001 + late)
    loop = replace(made.stations[0], hold_seconds=hold, busy_seconds=hold)
    crew = StationWindow(
        name="threads web",
        kind="threads",
        group="web",
        capacity=8,
        served=calls,
        hold_seconds=calls * 0.012,
        hold_squared_s2=calls * 0.0003,
        by_operation={"GET /": calls},
    )
    process = replace(made.processes[0], cpu_seconds=calls * 0.011)
    return replace(made, stations=(loop, crew), processes=(process,))


@pytest.mark.parametrize(
    ("is_python", "first"),
    [
        pytest.param(True, "gil web", id="python in threads"),
        pytest.param(False, "cpu host", id="native code in threads"),
    ],
)
def test_threads_that_let_the_gil_go_are_told_from_those_that_keep_it(
    is_python: bool, first: str
) -> None:
    given = evidence(*(with_threads(n, is_python=is_python) for n in range(24)), cores=2)
    assert told_of(given).first[0] == first
