"""A plan moves what binds until so much is borne, and says what is in the way where it cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outgrow.capacity import (
    BiggerMachine,
    BiggerPool,
    Forecast,
    LinkWindow,
    OperationWindow,
    Pattern,
    Replicate,
    SplitOut,
    StationWindow,
    Window,
    forecast,
    grow,
    move_of,
    response,
    response_curve,
)
from outgrow.capacity.patterns import patterns_for
from tests.unit.capacity.made import buckets, evidence, replaced, steady, window

POOL_SECONDS = 0.1


def told_of(given: object = None) -> Forecast:
    told = forecast(given or steady(), draws=60)  # pyright: ignore[reportArgumentType]
    assert isinstance(told, Forecast), told
    return told


def pooled(number: int) -> Window:
    """A window in which each call also holds one of two connections."""
    calls = 20 + (number * 7) % 5
    made = window(number, calls, loop_seconds=0.002, duration_seconds=0.12)
    held = calls * POOL_SECONDS
    pool = StationWindow(
        name="pool stock",
        kind="pool",
        capacity=2,
        group="web",
        served=calls,
        busy_seconds=held,
        hold_seconds=held,
        hold_squared_s2=calls * POOL_SECONDS**2,
        by_operation={"GET /": calls},
    )
    return replaced(made, {"stations": (*made.stations, pool)})


POOLED = evidence(*(pooled(number) for number in range(24)))


def titles(told: Forecast, times: float) -> list[str]:
    return [step.moved.pattern.title for step in grow(told, times).steps]


def test_nothing_is_planned_where_nothing_binds() -> None:
    plan = grow(told_of(), 2)
    assert (plan.steps, plan.stuck, plan.sure_ratio) == ((), "", 1.0)


def test_a_full_loop_is_relieved_by_more_workers_and_then_by_cores() -> None:
    told = told_of()
    plan = grow(told, 60)
    assert [step.moved.station for step in plan.steps] == ["loop web"]
    (step,) = plan.steps
    assert isinstance(step.moved.pattern, Replicate)
    assert step.moved.pattern.replicas in (3, 4)
    assert step.knee_before.best == pytest.approx(told.saturation_per_second.best)
    assert plan.bears.best >= plan.target_per_second
    assert plan.sure_ratio >= 0.95
    further = grow(told, 200)
    kinds = {type(step.moved.pattern) for step in further.steps}
    assert kinds == {Replicate, BiggerMachine}
    assert further.stuck == ""


def test_each_limit_on_the_way_is_moved_once() -> None:
    plan = grow(told_of(POOLED), 300)
    moved = [step.moved.station for step in plan.steps]
    assert moved[0] == "pool stock"
    assert len(set(moved)) == len(moved)
    assert plan.stuck == ""
    bears = [step.knee_after.best for step in plan.steps]
    assert bears == sorted(bears)
    assert plan.bears == plan.steps[-1].knee_after


def test_a_pattern_that_is_not_allowed_is_not_taken() -> None:
    def is_placement(pattern: Pattern) -> bool:
        return isinstance(pattern, Replicate | SplitOut)

    told = told_of(POOLED)
    (free,) = grow(told, 15).steps
    assert isinstance(free.moved.pattern, BiggerPool)
    (bound,) = grow(told, 15, allows=is_placement).steps
    assert isinstance(bound.moved.pattern, Replicate)


def test_what_no_pattern_moves_is_said_to_be_in_the_way() -> None:
    plan = grow(told_of(), 60, allows=lambda _: False)
    assert (plan.steps, plan.stuck, plan.stuck_kind) == ((), "loop web", "loop")
    assert plan.sure_ratio == 0.0


def test_workers_beyond_what_cores_can_bear_are_not_proposed() -> None:
    told = told_of()
    (more,) = (
        one for one in patterns_for(told.draws, "loop web", 1e6) if isinstance(one, Replicate)
    )
    assert more.replicas == 4 * 4


def test_a_lock_has_no_pattern_that_could_be_solved() -> None:
    made = [window(number, 100) for number in range(24)]
    lock = StationWindow(
        name="writer orders.db",
        kind="lock",
        served=100,
        busy_seconds=0.5,
        hold_seconds=0.5,
        hold_squared_s2=0.005,
        by_operation={"GET /": 100},
    )
    locked = evidence(*(replace(one, stations=(*one.stations, lock)) for one in made))
    told = told_of(locked)
    assert told.first == ("writer orders.db",)
    assert move_of(told, "writer orders.db", 1e4) is None
    plan = grow(told, 100)
    assert (plan.stuck, plan.stuck_kind) == ("writer orders.db", "lock")


def test_a_service_with_half_of_a_loop_may_be_split_out() -> None:
    def shared(number: int) -> Window:
        calls = 90 + (number * 7) % 21
        made = window(number, calls, loop_seconds=0.004)
        inner = OperationWindow(
            name="Stock.take",
            is_entry=False,
            calls=calls,
            duration_seconds=calls * 0.004,
            buckets=buckets(0.004, calls),
            metered=calls,
            loop_seconds=calls * 0.004,
        )
        busy = calls * 0.008
        loop = replace(
            made.stations[0],
            served=2 * calls,
            busy_seconds=busy,
            hold_seconds=busy,
            by_operation={"GET /": calls, "Stock.take": calls},
        )
        (process,) = made.processes
        return replace(
            made,
            operations=(replace(made.operations[0], loop_seconds=busy), inner),
            links=(LinkWindow(caller="GET /", callee="Stock.take", calls=calls),),
            stations=(loop,),
            processes=(replace(process, cpu_seconds=busy, loop_cpu_seconds=busy),),
        )

    told = told_of(evidence(*(shared(number) for number in range(24))))
    (split,) = (
        one for one in patterns_for(told.draws, "loop web", 200) if isinstance(one, SplitOut)
    )
    assert (split.name, split.operations) == ("Stock", ("Stock.take",))


def test_calls_take_longer_along_a_curve_and_it_is_less_sure_towards_its_end() -> None:
    points = response_curve(told_of(), "GET /")
    rates = [one.calls_per_second for one in points]
    means = [one.mean_seconds.best for one in points]
    assert rates == sorted(rates)
    assert means == sorted(means)
    assert points[-1].p99_seconds.width_ratio > points[5].p99_seconds.width_ratio


def test_a_curve_told_at_once_is_what_each_of_its_points_tells() -> None:
    told = told_of(POOLED)
    curve = response_curve(told, "GET /")
    for point in (curve[3], curve[15]):
        alone = response(told, "GET /", point.calls_per_second)
        assert point.mean_seconds.best == pytest.approx(alone.mean_seconds.best)
        assert point.p99_seconds.best == pytest.approx(alone.p99_seconds.best)
