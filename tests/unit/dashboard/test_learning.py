"""A plan that was carried out is compared with what was foretold of it, once that can be known."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

pytest.importorskip("numpy")

from outgrow.capacity import Forecast, Refusal, forecast
from outgrow.dashboard.learning import (
    APPLIED_MAX,
    APPLIED_NAME,
    SETTLED_MS,
    WINDOWS_MIN,
    applied_in,
    compared,
    keep_applied,
)
from outgrow.dashboard.shapes import Applied, Between, Gain, Group, Measured
from outgrow.placement import PlannedGroup
from tests.unit.capacity.made import steady
from tests.unit.dashboard.shop_growth import verified

AT_MS = 1_700_000_000_000.0
NOW_MS = AT_MS + 600_000.0


def between(best: float, low: float, high: float) -> Between:
    return Between(best=best, low=low, high=high)


def plan(at_ms: float = AT_MS, gain: float = 2.0) -> Applied:
    return Applied(
        at_ms=at_ms,
        what="workers web=2",
        times=10.0,
        foretold=Gain(
            before=between(125.0, 120.0, 130.0),
            after=between(125.0 * gain, 240.0, 260.0),
            gain=between(gain, 0.9 * gain, 1.1 * gain),
            first_after="loop web",
        ),
        groups=[PlannedGroup(name="web", runs=["web"], replicas="2:2")],
    )


def groups(replicas: int = 2) -> list[Group]:
    return [
        Group(
            name="web",
            runs=["web"],
            replicas_min=replicas,
            replicas_max=replicas,
            ready=replicas,
            busy_percent=10.0,
        )
    ]


def seen(windows: int = WINDOWS_MIN) -> tuple[Forecast | Refusal, int]:
    """A loop that bears 250 calls a second, from so many windows."""
    told = forecast(steady(), draws=60)
    assert isinstance(told, Forecast)
    return told, windows


def test_before_enough_was_measured_it_says_so() -> None:
    asked: list[float] = []

    def since(at_ms: float) -> tuple[Forecast | Refusal, int]:
        asked.append(at_ms)
        return seen(5)

    told = compared(plan(), NOW_MS, groups(), [], since)
    assert (told.measured, told.note) == (None, f"measuring: 5 of {WINDOWS_MIN} windows")
    assert asked == [AT_MS + SETTLED_MS]


def test_a_refused_forecast_measures_nothing() -> None:
    refusal = Refusal(reason="thin", text="too few calls", hint="Wait")
    told = compared(plan(), NOW_MS, groups(), [], lambda _: (refusal, 40))
    assert told.measured is None
    assert told.note.startswith("measuring")


@pytest.mark.parametrize(
    ("gain", "is_held"), [pytest.param(2.0, True, id="held"), pytest.param(3.0, False, id="missed")]
)
def test_what_traffic_since_asks_of_each_limit_says_whether_it_held(
    gain: float, is_held: bool
) -> None:
    told = compared(plan(gain=gain), NOW_MS, groups(), [], lambda _: seen()).measured
    assert told is not None
    assert told.knee.best == pytest.approx(250, rel=0.05)
    assert told.gain.best == pytest.approx(2.0, rel=0.05)
    assert (told.is_held, told.by, told.first) == (is_held, "traffic", "loop web")
    assert told.error_percent == pytest.approx(100 * (gain / told.gain.best - 1))


def test_a_load_test_since_then_counts_more_than_traffic() -> None:
    first = compared(plan(), NOW_MS, groups(), [], lambda _: seen())
    test = verified(NOW_MS + 100_000.0)
    told = compared(first, NOW_MS + 200_000.0, groups(), [test], lambda _: seen()).measured
    assert told is not None
    assert (told.by, told.knee) == ("load test", test.measured)
    earlier = verified(AT_MS - 1.0)
    unmoved = compared(first, NOW_MS, groups(), [earlier], lambda _: seen())
    assert unmoved.measured == first.measured


def test_what_was_undone_is_not_measured_and_what_was_measured_stays() -> None:
    undone = compared(plan(), NOW_MS, groups(1), [], lambda _: seen())
    assert (undone.measured, undone.is_in_force) == (None, False)
    assert undone.note == "it was changed before enough was measured"
    known = compared(plan(), NOW_MS, groups(), [], lambda _: seen())
    later = compared(known, NOW_MS, groups(1), [], lambda _: seen())
    assert (later.measured, later.is_in_force) == (known.measured, False)


def test_plans_are_kept_the_latest_first_and_the_oldest_go(tmp_path: Path) -> None:
    assert applied_in(tmp_path) == []
    for number in range(APPLIED_MAX + 2):
        keep_applied(tmp_path, plan(AT_MS + number))
    kept = applied_in(tmp_path)
    assert (len(kept), kept[0].at_ms) == (APPLIED_MAX, AT_MS + APPLIED_MAX + 1)
    measured = Measured(
        at_ms=NOW_MS,
        knee=between(250.0, 240.0, 260.0),
        gain=between(2.0, 1.9, 2.1),
        first="loop web",
        error_percent=0.0,
        is_held=True,
        by="traffic",
    )
    keep_applied(tmp_path, msgspec.structs.replace(kept[3], measured=measured))
    again = applied_in(tmp_path)
    assert [one.at_ms for one in again] == [one.at_ms for one in kept]
    assert again[3].measured == measured
    (tmp_path / APPLIED_NAME).write_text("no json")
    assert applied_in(tmp_path) == []
