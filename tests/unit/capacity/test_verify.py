"""A load test finds the knee of a system, and says whether the forecast of it held."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import cycle

import pytest

from outgrow.capacity import Course, Driver, Interval, Sending, Step, first_of, loads_of, score
from outgrow.capacity.verify.course import STEPS_COUNT
from outgrow.capacity.verify.driving import IN_FLIGHT_MAX
from outgrow.capacity.verify.scoring import knee_of
from tests.unit.capacity.made import steady
from tests.unit.capacity.virtual import Virtual, passing

FORETOLD = Interval(best=100.0, low=90.0, high=110.0)


class Served:
    """A system of so many slots, each held for so long; what does not fit waits in line."""

    def __init__(self, slots: int, seconds: float, *, queue_max: int = 10_000) -> None:
        self.slots = asyncio.Semaphore(slots)
        self.seconds = seconds
        self.queue_max = queue_max
        self.waiting = 0

    async def __call__(self, _kind: int) -> int:
        if self.waiting >= self.queue_max:
            return 503
        self.waiting += 1
        async with self.slots:
            self.waiting -= 1
            await passing(self.seconds)
        return 200


def driven(
    send: Callable[[int], Awaitable[int]],
    *,
    foretold: float = 100.0,
    rate_max: float = 1000.0,
    seconds: float = 100.0,
    asked: float = 0.0,
) -> Course:
    course = Course(foretold, rate_max, seconds, asked)

    async def drive() -> None:
        driver = Driver(lambda: Sending(0, partial(send, 0)), 1, random.Random(3))
        for rate, length in course.rates_to_go():
            course.take(await driver.step(rate, length))
        await driver.end()

    with asyncio.Runner(loop_factory=Virtual) as runner:
        runner.run(drive())
    return course


@pytest.mark.parametrize(
    "queue_max", [pytest.param(10_000, id="a long line"), pytest.param(20, id="a bulkhead")]
)
@pytest.mark.parametrize("foretold", [60.0, 100.0, 140.0])
def test_the_knee_of_a_system_is_found_whatever_was_foretold(
    foretold: float, queue_max: int
) -> None:
    course = driven(Served(5, 0.05, queue_max=queue_max), foretold=foretold)
    assert course.end == "limit"
    said = Interval(best=foretold, low=0.9 * foretold, high=1.1 * foretold)
    found = score(said, ["bulkhead"], course.steps, is_reached=True)
    assert found.measured.best == pytest.approx(100.0, rel=0.08)
    assert found.is_held is (foretold == 100.0)
    assert found.error_ratio == pytest.approx(foretold / 100 - 1, abs=0.08)


def test_times_count_from_when_a_request_was_due() -> None:
    course = driven(Served(1, 0.1), foretold=20.0)
    first, last = course.steps[0], course.steps[-1]
    assert first.p50_seconds < 0.2
    assert last.p99_seconds > 1.0


def test_the_bound_on_the_rate_is_kept_and_then_nothing_is_known() -> None:
    course = driven(Served(50, 0.05), rate_max=80.0)
    assert course.end == "bound"
    assert max(step.rate_per_second for step in course.steps) == 80.0
    found = score(FORETOLD, ["bulkhead"], course.steps, is_reached=False)
    assert found.is_held is None
    assert found.first_measured == ""


def test_more_than_was_foretold_without_a_limit_is_a_wrong_forecast() -> None:
    course = driven(Served(50, 0.05), rate_max=200.0)
    found = score(FORETOLD, ["bulkhead"], course.steps, is_reached=course.end == "limit")
    assert found.is_held is False


def test_the_time_is_divided_into_steps_and_not_overdrawn() -> None:
    course = driven(Served(2000, 0.05), foretold=100.0, seconds=50.0)
    assert course.end == "time"
    assert len(course.steps) <= STEPS_COUNT
    assert sum(step.seconds for step in course.steps) <= 50.0


def test_what_the_app_does_not_take_ends_the_test_at_once() -> None:
    async def unknown(_kind: int) -> int:
        return 404

    course = driven(unknown)
    assert (course.end, len(course.steps)) == ("turned down", 1)


def test_what_breaks_is_bad_and_never_answered_too() -> None:
    async def broken(_kind: int) -> int:
        raise ConnectionResetError

    async def silent(_kind: int) -> int:
        await passing(3600)
        return 200

    for system in (broken, silent):
        course = driven(system, seconds=300.0)
        assert course.steps[0].good == 0
        assert course.steps[0].bad > 0


def test_requests_beyond_the_most_under_way_are_not_sent() -> None:
    under_way = 0
    most = 0

    async def slow(_kind: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await passing(5)
        under_way -= 1
        return 200

    driven(slow, foretold=1000.0, seconds=20.0)
    assert most == IN_FLIGHT_MAX


def test_times_are_told_by_kind() -> None:
    kinds = cycle((0, 1, 1, 1))

    async def send(kind: int) -> int:
        await passing(0.1 * (1 + kind))
        return 200

    def draw() -> Sending:
        kind = next(kinds)
        return Sending(kind, partial(send, kind))

    async def drive() -> Step:
        return await Driver(draw, 2, random.Random(1)).step(200.0, 20.0)

    with asyncio.Runner(loop_factory=Virtual) as runner:
        step = runner.run(drive())
    assert [round(step.quantile_seconds(kind, 0.5), 2) for kind in (0, 1)] == [0.1, 0.2]


@pytest.mark.parametrize(
    ("asked", "end"),
    [pytest.param(80.0, "bound", id="borne"), pytest.param(130.0, "limit", id="too much")],
)
def test_a_course_that_asks_about_a_rate_stays_there_and_goes_no_further(
    asked: float, end: str
) -> None:
    course = driven(Served(5, 0.05), asked=asked)
    assert course.end == end
    assert max(step.rate_per_second for step in course.steps) == pytest.approx(
        asked if end == "bound" else 0.8 * asked, rel=0.3
    )
    assert [step.rate_per_second for step in course.steps[-2:]] == [
        course.steps[-1].rate_per_second
    ] * 2


def test_a_slow_system_that_keeps_up_is_not_taken_to_be_full() -> None:
    course = driven(Served(1000, 2.0), foretold=20.0, rate_max=30.0)
    assert course.end == "bound"


@pytest.mark.parametrize(
    ("loads", "first"),
    [
        pytest.param({}, "", id="nothing was seen"),
        pytest.param({"loop": ("loop", 0.5), "pool": ("pool", 0.99)}, "pool", id="one is full"),
        pytest.param(
            {"bulkhead": ("bulkhead", 1.0), "loop": ("loop", 0.97)}, "loop", id="the innermost"
        ),
        pytest.param(
            {"a": ("pool", 0.9), "b": ("pool", 0.99)}, "b", id="the fuller of two of a kind"
        ),
    ],
)
def test_the_innermost_of_the_full_limits_is_to_blame(
    loads: Mapping[str, tuple[str, float]], first: str
) -> None:
    assert first_of(loads) == first


def test_another_limit_than_the_foretold_one_is_a_wrong_forecast() -> None:
    course = driven(Served(5, 0.05))
    for first, is_held in (("bulkhead", True), ("loop", False), ("", True)):
        found = score(FORETOLD, ["bulkhead"], course.steps, is_reached=True, first_measured=first)
        assert found.is_held is is_held


def test_less_than_was_foretold_says_nothing_where_others_kept_the_machine_busy() -> None:
    course = driven(Served(5, 0.05))
    for best, is_held in ((100.0, True), (200.0, None), (50.0, False)):
        said = Interval(best=best, low=0.9 * best, high=1.1 * best)
        found = score(said, [], course.steps, is_reached=True, is_disturbed=True)
        assert found.is_held is is_held


def test_the_knee_is_that_of_the_kind_that_falls_short_of_the_others() -> None:
    step = Step(
        rate_per_second=100.0,
        seconds=10.0,
        sent=1000,
        good=850,
        bad=0,
        turned_down=0,
        late_seconds=0.0,
        p50_seconds=0.1,
        p99_seconds=1.0,
        sent_by_kind=(700, 300),
        good_by_kind=(690, 160),
    )
    assert knee_of([step]).best == pytest.approx(100 * 160 / 300)
    unsent = replace(step, good=1050, sent_by_kind=(700, 300, 0), good_by_kind=(735, 315, 0))
    assert knee_of([unsent]).best == pytest.approx(105.0)
    alike = replace(step, good_by_kind=(600, 250))
    assert knee_of([alike, alike]).best == pytest.approx(85.0)
    assert knee_of([alike]).width_ratio > knee_of([alike, alike]).width_ratio > 1


def test_requests_of_others_are_borne_as_well() -> None:
    course = driven(Served(5, 0.05))
    alone = score(FORETOLD, [], course.steps, is_reached=True)
    beside = score(FORETOLD, [], course.steps, is_reached=True, others_per_second=7.0)
    assert beside.measured.best == pytest.approx(alone.measured.best + 7)


def test_loads_are_shares_in_use_of_stations_and_cores() -> None:
    found = loads_of(steady())
    assert found["loop web"] == ("loop", pytest.approx(0.04, rel=0.1))
    assert found["cpu host"] == ("cpu", pytest.approx(0.01, rel=0.1))
