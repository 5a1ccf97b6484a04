"""Bursts, hosts, trends, visits and caches: each part of the model by itself."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from outgrow.capacity import (
    ArrivalWindow,
    OperationWindow,
    Window,
    calibrate,
    due_of,
    keep,
    kept,
    slowdown_curve,
)
from outgrow.capacity.bursts import guess_bursts
from outgrow.capacity.host import experienced_slowdown
from outgrow.capacity.patterns import ReuseDistances
from outgrow.capacity.regress import nonnegative, split
from outgrow.capacity.visits import visits_of
from tests.unit.capacity.made import link


def in_a_row(rows: np.ndarray) -> list[Window]:
    return [arrivals(row, 10.0 * place) for place, row in enumerate(rows)]


def arrivals(counts: np.ndarray, at_seconds: float = 0.0) -> Window:
    listed = [int(count) for count in counts]
    row = ArrivalWindow(
        operation="GET /",
        parts=len(listed),
        total=sum(listed),
        squares=sum(count * count for count in listed),
        neighbours=sum(a * b for a, b in pairwise(listed)),
    )
    return Window(at_seconds=at_seconds, arrivals=(row,))


def test_poisson_arrivals_have_no_bursts() -> None:
    random = np.random.default_rng(1)
    found = guess_bursts(in_a_row(random.poisson(9, (40, 100)))).best(1)
    assert not found.rate_variance_ratio.any()


def test_a_rate_that_doubles_for_a_second_is_a_burst_with_memory() -> None:
    random = np.random.default_rng(2)
    rates = np.where(random.random(400) < 0.5, 5.0, 15.0).repeat(10)
    counts = random.poisson(rates).reshape(40, 100)
    guesses = guess_bursts(in_a_row(counts))
    found = guesses.best(1)
    assert found.rate_variance_ratio[0] == pytest.approx(0.25, rel=0.25)
    assert 0.2 < found.memory_seconds[0] < 2


def test_few_bursts_are_told_less_surely_than_many() -> None:
    random = np.random.default_rng(3)
    rates = np.where(random.random(60) < 0.5, 3.0, 7.0).repeat(100)
    counts = random.poisson(rates).reshape(60, 100)
    few, many = (guess_bursts(in_a_row(rows)).drawn(400, random) for rows in (counts[:8], counts))
    spreads = [
        float(np.std(np.log(one.memory_seconds[one.rate_variance_ratio > 0])))
        for one in (few, many)
    ]
    assert spreads[0] > 1.3 * spreads[1]


def test_the_slowdown_of_cores_starts_at_one_and_never_falls() -> None:
    assert slowdown_curve(4, [(1, 100.0), (2, 200.0), (4, 250.0)]) == (1.0, 1.0, 1.3, 1.6)
    assert slowdown_curve(2, [(1, 100.0), (2, 210.0)]) == (1.0, 1.0)


def test_work_meets_more_slowdown_the_busier_the_cores_are() -> None:
    met = experienced_slowdown((1.0, 1.5), np.array([0.0001, 1.0, 1.999]))
    assert met[0] == pytest.approx(1.0, abs=0.01)
    assert 1.2 < met[1] < 1.5
    assert met[2] == pytest.approx(1.5, abs=0.01)


def test_a_machine_is_calibrated_kept_and_known_again(tmp_path: Path) -> None:
    machine = calibrate(seconds=0.2, cores=1)
    assert machine.slowdown_ratio == (1.0,)
    assert kept(tmp_path / "none.json") is None
    keep(machine, tmp_path / "room" / "host.json")
    found = kept(tmp_path / "room" / "host.json")
    assert found is None or found == machine
    (tmp_path / "broken.json").write_text("{")
    assert kept(tmp_path / "broken.json") is None


def test_growing_traffic_reaches_a_load_on_the_day_that_arithmetic_says() -> None:
    season = [1.0, 1.0, 1.0, 1.0, 1.0, 0.6, 0.5]
    peaks = [100 * 1.01**day * season[day % 7] for day in range(56)]
    found = due_of(peaks, 300.0)
    assert found is not None
    assert found.weekly_ratio == pytest.approx(1.01**7 - 1, rel=0.1)
    # 1.01 ** day = 3 on day 110.4; Sundays are quieter.
    assert found.days == pytest.approx(111 - 55, abs=4)


def test_traffic_that_does_not_grow_never_arrives() -> None:
    found = due_of([100.0 + day % 3 for day in range(30)], 500.0)
    assert found is not None
    assert found.days is None
    assert due_of([100.0] * 10, 500.0) is None


def test_visits_follow_the_links() -> None:
    operations = (
        OperationWindow(name="GET /", calls=10),
        OperationWindow(name="A.a", is_entry=False, calls=30),
        OperationWindow(name="B.b", is_entry=False, calls=60),
    )
    links = (link("GET /", "A.a", calls=30), link("A.a", "B.b", calls=60))
    made = Window(at_seconds=0, operations=operations, links=links)
    visits = visits_of([made], ("GET /", "A.a", "B.b"), ("GET /",))
    assert visits.tolist() == [[1.0, 3.0, 6.0]]


def test_costs_are_found_and_are_never_negative() -> None:
    random = np.random.default_rng(3)
    counts = random.poisson(50, (40, 3)).astype(float)
    totals = counts @ np.array([0.002, 0.0, 0.01]) + random.normal(0, 0.01, 40)
    found = nonnegative(counts, totals, np.zeros(3))
    assert (found >= 0).all()
    assert found == pytest.approx([0.002, 0.0, 0.01], abs=0.0006)


def test_a_guess_gives_way_to_what_windows_show() -> None:
    random = np.random.default_rng(4)
    counts = random.poisson(50, (40, 2)).astype(float)
    found = split(counts, counts @ np.array([0.001, 0.008]), np.full(2, 0.0045))
    assert found == pytest.approx([0.001, 0.008], abs=0.0006)


def test_what_is_believed_decides_where_windows_do_not_differ() -> None:
    counts = np.full((20, 2), 50.0)
    found = nonnegative(counts, np.full(20, 50 * 0.01), np.array([0.008, 0.002]))
    assert found == pytest.approx([0.008, 0.002], rel=0.01)


def test_a_cache_answers_what_comes_again_soon_enough() -> None:
    distances = ReuseDistances()
    distances.note_all("abcabcabc")
    assert distances.hit_ratio(3) == pytest.approx(6 / 9)
    assert distances.hit_ratio(2) == 0.0
    assert distances.hit_ratio(3, writes_per_read=1.0) == pytest.approx(3 / 9)
