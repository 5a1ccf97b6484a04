"""What is foreseen from an archive's windows, as the API answers it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

pytest.importorskip("numpy")

from outgrow.capacity import BiggerMachine, BiggerPool, Replicate, SplitOut
from outgrow.capacity.patterns import Cache
from outgrow.dashboard.advising import Adviser
from outgrow.dashboard.foresight import Foresight
from outgrow.dashboard.growing import ENDLESS_MS
from outgrow.dashboard.shapes import Between, Group
from outgrow.telemetry import (
    CallSum,
    MarkSum,
    ProcessSum,
    ProcessTotals,
    SpanRecord,
    StatementTotals,
    StationSum,
    StationTotals,
    StepSum,
    WindowSum,
    WorkerSum,
    bucket_of,
)
from tests.unit.dashboard.shop_growth import verified

SECOND_NS = 10**9
STEP_NS = 10 * SECOND_NS
WINDOWS = 24
HOLD_NS = 50_000_000
WORKER_BYTES = 70_000_000


def group(name: str, *runs: str, least: int = 1, most: int = 1) -> Group:
    return Group(
        name=name, runs=[*runs], replicas_min=least, replicas_max=most, ready=1, busy_percent=10.0
    )


WHOLE = [group("web", "stock", "web")]


class Recorded:
    """An archive of four minutes in which each call holds one of four places for 50 ms."""

    def windows(self, from_ns: int, to_ns: int) -> list[WindowSum]:
        found = [self._window(number) for number in range(WINDOWS)]
        return [one for one in found if from_ns <= one.at_ns < to_ns]

    def _window(self, number: int) -> WindowSum:
        calls = 90 + (number * 7) % 21
        buckets = {bucket_of(HOLD_NS + 2_000_000): calls}
        took: dict[str, Any] = {"calls": calls, "duration_ns": calls * HOLD_NS, "buckets": buckets}
        stations = [
            StationTotals(
                "bulkhead Stock",
                "bulkhead",
                4,
                served=calls,
                busy_ns=calls * HOLD_NS,
                hold_ns=calls * HOLD_NS,
                hold_squared_s2=calls * 0.05**2,
            ),
            StationTotals("loop", "loop", 1, served=200, busy_ns=calls * 1_000_000),
        ]
        return WindowSum(
            at_ns=number * STEP_NS,
            calls=[
                CallSum(caller="", callee="GET /buy", **took),
                CallSum(caller="GET /buy", callee="Stock.take", **took),
            ],
            stations=[StationSum(worker="web/1", seconds=10.0, used=one) for one in stations],
            arrivals=[],
            processes=[
                ProcessSum(
                    epoch="a",
                    seconds=10.0,
                    used=ProcessTotals(
                        user_ns=calls * 1_000_000,
                        loop_cpu_ns=calls * 1_000_000,
                        memory_bytes=WORKER_BYTES,
                    ),
                )
            ],
        )

    def statements(self, from_ns: int, to_ns: int) -> list[StatementTotals]:
        return []

    def workers(self, from_ns: int, to_ns: int) -> list[WorkerSum]:
        return [
            WorkerSum(
                name="web/1",
                epoch="a",
                group="web",
                version=1,
                machine="here",
                pid=1,
                began_ns=0,
                seen_ns=0,
                seconds=10.0,
                state="reporting",
            )
        ]

    def newest_spans(self, from_ns: int, to_ns: int, limit: int) -> list[SpanRecord]:
        return []

    def days(self, from_ns: int, to_ns: int, callers: Sequence[str]) -> list[WindowSum]:
        return []

    def pace(self, from_ns: int, to_ns: int, step_ns: int) -> list[StepSum]:
        return []

    def steps(self, callee: str, from_ns: int, to_ns: int, step_ns: int) -> list[StepSum]:
        return []

    def began_ns(self) -> int:
        return 0


END_NS = WINDOWS * STEP_NS


@pytest.fixture(scope="module")
def foresight() -> Foresight:
    return Foresight(Recorded(), groups=lambda: WHOLE)


def test_a_limit_below_what_is_asked_for_is_told_with_what_moves_it(foresight: Foresight) -> None:
    ladder = foresight.foreseen(0, END_NS, 12).ladder
    first = ladder[0]
    assert (first.station, first.binds, round(first.load_percent)) == ("bulkhead Stock", True, 12)
    assert first.pattern is not None
    assert first.pattern.how == ("write `@service(concurrent_calls_max=7)` at `Stock`, and reload")
    assert first.pattern.headroom.low > 12
    assert not any(rung.pattern for rung in foresight.foreseen(0, END_NS, 2).ladder)


def test_a_plan_says_what_apply_carries_out_and_what_is_done_by_hand(foresight: Foresight) -> None:
    plan = foresight.planned(0, END_NS, 12, only_placement=False)
    assert [(step.limit, step.by) for step in plan.steps] == [("bulkhead Stock", "hand")]
    assert plan.change.sizes == []
    bound = foresight.planned(0, END_NS, 12, only_placement=True)
    assert [step.by for step in bound.steps] == ["apply"]
    assert bound.change.sizes == ["web=2"]
    assert (bound.steps[0].workers, bound.steps[0].memory_bytes) == (1, WORKER_BYTES)
    (placed,) = bound.change.groups
    assert (placed.name, placed.runs, placed.replicas) == ("web", ["stock", "web"], "1:1")
    assert bound.sentence.startswith("1 step to 12 times the traffic of now, ")


def test_where_nothing_is_to_be_done_the_plan_says_so(foresight: Foresight) -> None:
    plan = foresight.planned(0, END_NS, 1.5, only_placement=False)
    assert plan.steps == []
    assert plan.sentence.startswith("Nothing is to be done for 1.5 times the traffic of now")


def test_the_curve_is_of_the_route_that_takes_most_of_the_first_limit(
    foresight: Foresight,
) -> None:
    found = foresight.responding(0, END_NS, "")
    assert (found.operation, found.operations) == ("GET /buy", ["GET /buy"])
    means = [point.mean_ms.best for point in found.points]
    assert means == sorted(means)
    assert all(point.p99_ms.high <= ENDLESS_MS for point in found.points)


def test_without_evidence_there_is_no_plan_and_no_curve_but_a_reason() -> None:
    foresight = Foresight(Recorded(), groups=lambda: WHOLE)
    plan = foresight.planned(0, 2 * STEP_NS, 10, only_placement=False)
    assert plan.refusal is not None
    assert plan.sentence == f"No forecast: {plan.refusal.text}."
    assert foresight.responding(0, 2 * STEP_NS, "").points == []


def test_what_a_load_test_sent_is_no_evidence() -> None:
    began_ms, ended_ms = 100_000.0, 140_000.0
    one = msgspec.structs.replace(verified(ended_ms), from_ms=began_ms)
    found = Foresight(Recorded(), groups=lambda: WHOLE, record=lambda: [one])
    told = found.foreseen(0, END_NS, 2)
    # Windows begin at 0, 10, ... s; those that begin at 90 to 140 s saw some of it.
    assert told.windows == WINDOWS - 6
    assert told.record == [one]
    other = Foresight(Recorded(), groups=lambda: WHOLE)
    assert (other.foreseen(0, END_NS, 2).windows, other.foreseen(0, END_NS, 2).record) == (
        WINDOWS,
        [],
    )


def test_how_full_limits_were_is_told_with_the_fullest_first(foresight: Foresight) -> None:
    found = foresight.loads(0, END_NS)
    assert found.windows == WINDOWS
    assert found.loads[0].station == "bulkhead Stock"
    assert found.loads[0].load_percent == pytest.approx(12.5, rel=0.05)
    assert found.loads == sorted(found.loads, key=lambda one: -one.load_percent)


MORE = Replicate(process="web", replicas=3, before=1)


@pytest.mark.parametrize(
    ("groups", "pattern", "how", "applied"),
    [
        pytest.param(
            WHOLE, MORE, "`outgrow apply --workers web=3`", ["web=3"], id="a fixed number"
        ),
        pytest.param(
            [group("web", "web", most=2)],
            MORE,
            "`outgrow apply --workers web=1:3`",
            ["web=1:3"],
            id="a bound that is too low",
        ),
        pytest.param(
            [group("web", "web", most=4)],
            MORE,
            "`web` grows up to 4 workers",
            [],
            id="a bound that is high enough",
        ),
        pytest.param(
            [], MORE, "run 3 workers of `web`: `outgrow run --workers 3`", [], id="no supervisor"
        ),
        pytest.param(
            WHOLE,
            SplitOut(operations=("Stock.take",), process="web", name="Stock"),
            "`outgrow apply --move stock=stock`",
            ["stock=stock"],
            id="a service",
        ),
        pytest.param(
            [*WHOLE, group("stock", "mail")],
            SplitOut(operations=("Stock.take",), process="web", name="Stock"),
            "`outgrow apply --move stock=stock-workers`",
            ["stock=stock-workers"],
            id="a service whose name a group has",
        ),
        pytest.param(
            WHOLE,
            BiggerPool(station="bulkhead Stock.take", capacity=9),
            "write `@operation(concurrent_calls_max=9)` at `Stock.take`, and reload",
            [],
            id="an operation",
        ),
        pytest.param(
            WHOLE,
            BiggerPool(station="threads Stock of web", capacity=9),
            "write `@service(threads_max=9)` at `Stock`, and reload",
            [],
            id="threads of a service",
        ),
        pytest.param(
            WHOLE,
            BiggerPool(station="threads wsgi", capacity=32),
            "set `threads = 32` under [run] of outgrow.toml, and start anew",
            [],
            id="threads of an app",
        ),
        pytest.param(
            WHOLE,
            BiggerPool(station="pool stock", capacity=12),
            "give each worker 12 connections to `stock`: `connections_max` of `database(...)`,"
            " or `pool_size` of your own engine; and reload",
            [],
            id="connections",
        ),
        pytest.param(
            WHOLE,
            BiggerPool(station="readers stock.db", capacity=12),
            "give each worker 12 connections to `stock.db`: `connections_max` of `database(...)`,"
            " or `pool_size` of your own engine; and reload",
            [],
            id="connections that read",
        ),
        pytest.param(
            WHOLE,
            BiggerPool(station="downstream mail", capacity=3),
            "let 3 at once use `downstream mail`",
            [],
            id="others",
        ),
        pytest.param(
            WHOLE,
            BiggerPool(station="queue mail: slots of work", capacity=8),
            'write `queue = ["mail: slots=8"]` in outgrow.toml, beside what else bounds it,'
            " and start anew",
            [],
            id="slots of a queue",
        ),
        pytest.param(
            WHOLE,
            BiggerMachine(station="cpu here", cores=8),
            "run it on a machine with 8 cores",
            [],
            id="cores",
        ),
        pytest.param(
            WHOLE,
            Cache(station="pool stock", operation="Stock.take", hit_ratio=0.5),
            "keep answers of `Stock.take` in a cache with an age limit, by its arguments",
            [],
            id="a cache",
        ),
    ],
)
def test_how_a_pattern_is_carried_out_is_said_in_words(
    groups: list[Group], pattern: Any, how: str, applied: list[str]
) -> None:
    advice = Adviser(groups).of(pattern)
    assert advice.how == how
    assert [*advice.moves, *advice.sizes] == applied
    assert (advice.by == "apply") is bool(applied)


def test_a_group_that_a_plan_makes_can_be_resized_by_it() -> None:
    adviser = Adviser(WHOLE)
    adviser.of(SplitOut(operations=("Stock.take",), process="web", name="Stock"))
    assert adviser.of(Replicate(process="Stock", replicas=2)).sizes == ("stock=2",)


def test_only_a_service_with_a_home_can_be_moved() -> None:
    split = SplitOut(operations=("Mail.send",), process="web", name="Mail")
    assert not Adviser(WHOLE).allows(split)
    assert Adviser(WHOLE).allows(MORE)


def test_load_tests_of_its_first_limit_correct_a_forecast(foresight: Foresight) -> None:
    alone = foresight.foreseen(0, END_NS, 10)
    assert alone.saturation_per_second is not None
    best = alone.saturation_per_second.best
    test = msgspec.structs.replace(
        verified(END_NS / 1e6 + 100_000),
        first_measured="bulkhead Stock",
        limit_kind="bulkhead",
        limit_foretold_per_second=best,
        measured=Between(best=0.9 * best, low=0.87 * best, high=0.93 * best),
    )
    record = [msgspec.structs.replace(test, from_ms=test.from_ms + one) for one in range(3)]
    taught = Foresight(
        Recorded(), groups=lambda: WHOLE, record=lambda: record, clock=lambda: END_NS / 1e9
    ).foreseen(0, END_NS, 10)
    assert (alone.grade, taught.grade) == ("exact", "verified")
    assert taught.saturation_per_second is not None
    assert taught.saturation_per_second.best == pytest.approx(0.91 * best, rel=0.02)
    assert taught.ladder[0].learned is not None
    assert taught.ladder[0].learned.tests == 3
    unclear = msgspec.structs.replace(test, limit_foretold_per_second=None)
    untaught = Foresight(Recorded(), groups=lambda: WHOLE, record=lambda: [unclear])
    assert untaught.foreseen(0, END_NS, 10).grade == "exact"


class Failing(Recorded):
    """The same on two cores, and from the middle on one call in ten fails."""

    def _window(self, number: int) -> WindowSum:
        one = super()._window(number)
        cpu = StationSum(worker="web/1", seconds=10.0, used=StationTotals("cpu", "cpu", 2))
        for call in one.calls:
            call.errors = call.calls // 10 if number >= WINDOWS // 2 else 0
        return msgspec.structs.replace(one, stations=[*one.stations, cpu])


def test_errors_are_told_by_the_deploy_that_brought_them() -> None:
    def marks(from_ns: int, to_ns: int) -> list[MarkSum]:
        at_ns = WINDOWS // 2 * STEP_NS
        deploy = MarkSum(at_ns=at_ns, kind="deploy", text="version 2, commit 1f2e3d")
        return [deploy, MarkSum(at_ns=at_ns, kind="restart", text="web/1 was started again")]

    seen = Foresight(Failing(), groups=lambda: WHOLE, marks=marks).signs(0, END_NS, 100).signs
    (route,) = [one for one in seen if (one.sign, one.subject) == ("rising errors", "GET /buy")]
    assert "of calls fail since version 2, commit 1f2e3d, 0.00% before it" in route.text


def test_a_machine_that_was_calibrated_is_foreseen_as_it_is() -> None:
    curve: dict[str, tuple[float, ...]] = {}
    foresight = Foresight(Failing(), groups=lambda: WHOLE, slowdowns=lambda: curve)
    (machine,) = foresight.told(0, END_NS).evidence.machines
    assert machine.slowdown_ratio == ()
    curve["here"] = (1.0, 1.4)
    (machine,) = foresight.told(0, END_NS).evidence.machines
    assert machine.slowdown_ratio == (1.0, 1.4)
