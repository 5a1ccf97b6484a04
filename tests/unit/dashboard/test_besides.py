"""What grows besides the traffic as a whole: names that people type, and statements by window."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("numpy")

from outgrow.capacity import OperationWindow
from outgrow.capacity import Recorded as Evidence
from outgrow.dashboard.asking import AskingError
from outgrow.dashboard.besides import Besides, growth_of
from outgrow.dashboard.foresight import Foresight
from outgrow.telemetry import StatementTotals
from tests.unit.capacity.made import window
from tests.unit.dashboard.test_foresight import END_NS, STEP_NS, WHOLE, WINDOWS, Recorded

NAMES = ("GET /", "POST /checkout", "GET /checkout/{id}", "POST /orders", "Orders.place")
EVIDENCE = Evidence(
    recorded=(
        replace(window(0), operations=tuple(OperationWindow(name=name, calls=1) for name in NAMES)),
    )
)


@pytest.mark.parametrize(
    ("asked", "mix"),
    [
        pytest.param("POST /checkout=2", {"POST /checkout": 2.0}, id="a route"),
        pytest.param("orders.PLACE=0.5", {"Orders.place": 0.5}, id="an operation, in any case"),
        pytest.param("place=3", {"Orders.place": 3.0}, id="a word of one name"),
        pytest.param("orders=3", {"POST /orders": 3.0}, id="a word of one route"),
        pytest.param("place=3; GET /=2", {"Orders.place": 3.0, "GET /": 2.0}, id="several"),
    ],
)
def test_a_name_is_found_by_what_people_type(asked: str, mix: dict[str, float]) -> None:
    assert growth_of(Besides(mix=asked), EVIDENCE).mix == mix


@pytest.mark.parametrize(
    ("asked", "text", "hint"),
    [
        pytest.param("chekout=2", "no route and no operation", "`POST /checkout`", id="unknown"),
        pytest.param("xyz=2", "no route and no operation", "The nearest are: `GET /`", id="far"),
        pytest.param("checkout=2", "may be any of 2", "`GET /checkout/{id}`", id="two of them"),
        pytest.param("checkout", "is no part of a mix", "Write `checkout=2`", id="no number"),
        pytest.param("place=-1", "is no part of a mix", "Write `checkout=2`", id="less than none"),
        pytest.param("place=2000", "out of range", "from 0.01 to 1000", id="too much"),
    ],
)
def test_a_name_that_is_not_found_is_answered_with_the_nearest(
    asked: str, text: str, hint: str
) -> None:
    with pytest.raises(AskingError) as refused:
        growth_of(Besides(mix=asked), EVIDENCE)
    assert text in refused.value.text
    assert hint in refused.value.hint


def statements(from_ns: int, to_ns: int) -> dict[int, list[StatementTotals]]:
    totals = StatementTotals("sqlite:x.db", "f", "SELECT 1", "GET /buy", calls=9, duration_ns=9000)
    return {number * STEP_NS: [totals] for number in range(WINDOWS)}


def test_the_sentence_says_how_far_it_goes_for_what_grows_faster() -> None:
    foresight = Foresight(Recorded(), groups=lambda: WHOLE, statements=statements)
    plain = foresight.foreseen(0, END_NS, 10)
    grown = foresight.foreseen(0, END_NS, 10, Besides(mix="stock.take=2", data_ratio=5.0))
    assert plain.besides is None
    assert plain.headroom is not None
    assert grown.headroom is not None
    # All calls lead there, so all of them grow twice as fast.
    assert grown.headroom.best == pytest.approx(plain.headroom.best / 2, rel=0.01)
    times = 2 * grown.headroom.best
    rows = "5 times the rows (whose cost is not known)"
    assert f"with `Stock.take` at {times:.1f} times and {rows}, which is" in grown.sentence
    assert grown.besides is not None
    assert [one.why for one in grown.besides.unknown] == [
        "no pool or lock of `sqlite:x.db` is measured"
    ]
    assert "not foreseen" in grown.besides.note


def test_plans_and_curves_are_of_the_same_growth() -> None:
    foresight = Foresight(Recorded(), groups=lambda: WHOLE)
    twice = Besides(mix="GET /buy=2")
    assert foresight.planned(0, END_NS, 6, only_placement=False).steps == []
    assert foresight.planned(0, END_NS, 6, only_placement=False, besides=twice).steps
    plain = foresight.responding(0, END_NS, "GET /buy").points[-1].calls_per_second
    grown = foresight.responding(0, END_NS, "GET /buy", twice).points[-1].calls_per_second
    assert grown == pytest.approx(plain, rel=0.01)
