"""Nothing is said of a time of which nothing is known, and a fault is told in its own words."""

from __future__ import annotations

from typing import Any

import pytest

from outgrow.dashboard import source
from outgrow.dashboard.answers import Answers
from outgrow.telemetry.records import LogRecord, ProcessTotals
from tests.unit.dashboard.asking_api import MOMENT_NS, ask
from tests.unit.dashboard.stored import SECOND_NS, Stored, called, took


def answer(target: str, stored: Stored) -> Any:
    found = ask(f"/api/{target}", answers=Answers(stored, app="shop"))
    assert found.status_code == 200, found.text
    return found.json()


def worker(began_seconds_ago: int) -> source.WorkerSum:
    return source.WorkerSum(
        name="web/1",
        group="web",
        version=1,
        machine="shop-1",
        pid=7,
        began_ns=MOMENT_NS - began_seconds_ago * SECOND_NS,
        seen_ns=MOMENT_NS,
        seconds=60.0,
        state="reporting",
        used=ProcessTotals(),
    )


@pytest.mark.parametrize(
    ("began_seconds_ago", "rate"), [(60, 5.0), (7200, 300 / 900)], ids=["a minute", "two hours"]
)
def test_a_rate_is_over_the_time_in_which_there_was_a_worker(
    began_seconds_ago: int, rate: float
) -> None:
    stored = Stored(
        sums=[called("", "GET /orders", *[2.0] * 300)], crew=[worker(began_seconds_ago)]
    )
    (found,) = answer("operations?from=-15m", stored)["operations"]
    assert found["requests_per_second"] == pytest.approx(rate)


def test_before_the_first_worker_a_series_has_holes_and_after_it_zeros() -> None:
    step = source.StepSum(at_ns=MOMENT_NS - 20 * SECOND_NS, calls=50, buckets=took(*[2.0] * 50))
    found = answer("series?from=-2m&step=10", Stored(series=[step], crew=[worker(60)]))
    rates = found["requests_per_second"]
    assert rates[:6] == [None] * 6
    assert rates[6:10] == [0.0] * 4
    assert 5.0 in rates[10:]
    assert found["errors_per_second"][:6] == [None] * 6


@pytest.mark.parametrize(
    ("exception", "traceback", "told"),
    [
        ("ZeroDivisionError", "  x / 0\nZeroDivisionError: division by zero\n", "division by zero"),
        ("shop.SoldOutError", "  ...\nshop.SoldOutError: TEA-014: 3 left", "TEA-014: 3 left"),
        ("KeyError", "  ...\nKeyError", "it went wrong"),
        ("ValueError", "  ...\nValueError: two\nlines: of it", "it went wrong"),
    ],
    ids=["plain", "with its module", "without words", "of several lines"],
)
def test_a_fault_is_told_as_its_traceback_ends(exception: str, traceback: str, told: str) -> None:
    line = LogRecord(
        at_ns=MOMENT_NS,
        severity=17,
        text="it went wrong",
        exception=exception,
        traceback=traceback,
        fingerprint="f1",
    )
    fault = source.FaultSum(count=2, first_ns=MOMENT_NS, services=["web"], last=line)
    (found,) = answer("exceptions", Stored(failed=[fault]))["exceptions"]
    assert found["text"] == told
