"""Queues are stations: their slots run out as traffic grows, but not by what the clock brings."""

from __future__ import annotations

import pytest

from outgrow.capacity import (
    BiggerPool,
    Forecast,
    Machine,
    OperationWindow,
    Recorded,
    Replicate,
    StationWindow,
    Window,
    forecast,
    grow,
    move_of,
    response,
)
from outgrow.capacity.simulate import (
    Computer,
    Later,
    Place,
    Process,
    Rest,
    Run,
    Simulation,
    Span,
    System,
    Task,
    Tick,
    Traffic,
)
from outgrow.capacity.visits import scheduled_of
from tests.unit.capacity.made import buckets, evidence, link, replaced, window

MAIL = Place(name="queue mail: slots", kind="queue", capacity=4, process="work")
SEND, REPORT = Later("Mail.send", MAIL.name), Later("Reports.daily", MAIL.name)
JOB_SECONDS = 0.02
REQUESTS_PER_SECOND = 40.0


def ms(mean_ms: float) -> Span:
    return Span(mean_seconds=mean_ms / 1e3)


def told(*, workers: int = 1, schedule: tuple[Tick, ...] = (), seconds: float = 240) -> Forecast:
    """A forecast from 40 requests a second, each of which enqueues a mail."""
    system = System(
        tasks=(
            Task(name="POST /orders", process="web", steps=(Run(ms(1)), SEND)),
            Task(name="Mail.send", process="work", steps=(Run(ms(0.5)), Rest(ms(19.5)))),
            Task(name="Reports.daily", process="work", steps=(Rest(ms(500)),)),
        ),
        traffic=Traffic(mix={"POST /orders": 1.0}),
        processes=(Process(name="web"), Process(name="work", workers=workers)),
        places=(MAIL,),
        computers=(Computer(cores=4, slowdown_ratio=(1.0,) * 4),),
        schedule=schedule,
    )
    made = Simulation(system, seed=3, rate_per_second=REQUESTS_PER_SECOND)
    windows = tuple(made.run(seconds=seconds))
    machine = Machine(name="host", cores=4, slowdown_ratio=(1.0,) * 4)
    found = forecast(Recorded(recorded=windows, machines=(machine,)), draws=100)
    assert isinstance(found, Forecast), found
    return found


@pytest.mark.parametrize("workers", [1, 2])
def test_the_slots_of_a_queue_are_the_first_limit(workers: int) -> None:
    found = told(workers=workers)
    bears = workers * MAIL.capacity / JOB_SECONDS
    assert found.first == (MAIL.name,)
    assert found.ladder[0].kind == "queue"
    assert found.saturation_per_second.best == pytest.approx(bears, rel=0.08)
    assert found.saturation_per_second.low < bears < found.saturation_per_second.high


def test_what_comes_by_the_clock_takes_slots_and_does_not_grow() -> None:
    # Two reports a second of half a second each: one slot of four, whatever the traffic.
    found = told(schedule=(Tick(job=REPORT, every_seconds=0.5),))
    assert found.first == (MAIL.name,)
    bears = (MAIL.capacity - 1) / JOB_SECONDS
    assert found.saturation_per_second.best == pytest.approx(bears, rel=0.1)
    place = found.model.index(MAIL.name)
    assert found.model.idle_load[0, place] == pytest.approx(1.0, rel=0.1)


def test_nobody_waits_for_a_job() -> None:
    found = told()
    nearly = 0.97 * found.saturation_per_second.best
    assert response(found, "POST /orders", nearly).mean_seconds.best < 0.003


def test_more_slots_and_more_workers_move_it() -> None:
    found = told()
    move = move_of(found, MAIL.name, 400.0)
    assert move is not None
    assert isinstance(move.pattern, BiggerPool)
    assert move.pattern.title == f"give `queue mail` {move.pattern.capacity} slots"
    assert move.after.low >= 400
    more = move_of(found, MAIL.name, 400.0, allows=lambda one: isinstance(one, Replicate))
    assert more is not None
    assert more.after.low >= 400


def test_a_plan_gives_a_queue_more_slots() -> None:
    found = told()
    plan = grow(found, 8.0)
    assert plan.steps[0].moved.station == MAIL.name
    assert isinstance(plan.steps[0].moved.pattern, BiggerPool)
    assert not plan.stuck


def test_a_share_of_what_is_called_by_the_clock_as_well_does_not_grow() -> None:
    links = (
        link("schedule", "Reports.daily", calls=10, is_background=True),
        link("POST /orders", "Mail.send", calls=90, is_background=True),
        link("schedule", "Mail.send", calls=10, is_background=True),
        link("Reports.daily", "Stock.count", calls=30),
        link("POST /orders", "Stock.count", calls=10),
        link("Mail.send", "Stock.look", calls=5),
    )
    shares = scheduled_of([window(0, links=links)])
    assert shares == pytest.approx(
        {"Reports.daily": 1.0, "Mail.send": 0.1, "Stock.count": 0.75, "Stock.look": 0.1}
    )


JOBS_SECONDS = 0.05


def enqueued_by(*callers: str) -> Forecast:
    """A forecast where each request comes with a job of 50 ms, in four slots."""

    def made(number: int) -> Window:
        calls = 90 + (number * 7) % 21
        one = window(number, calls, loop_seconds=0.001)
        job = OperationWindow(
            name="Mail.send",
            is_entry=False,
            is_background=True,
            calls=calls,
            duration_seconds=calls * JOBS_SECONDS,
            buckets=buckets(JOBS_SECONDS, calls),
        )
        slots = StationWindow(
            name=MAIL.name,
            kind="queue",
            capacity=4,
            group="web",
            served=calls,
            busy_seconds=calls * JOBS_SECONDS,
            hold_seconds=calls * JOBS_SECONDS,
            hold_squared_s2=2 * calls * JOBS_SECONDS**2,
            by_operation={"Mail.send": calls},
        )
        links = tuple(
            link(caller, "Mail.send", calls=calls // len(callers), is_background=True)
            for caller in callers
        )
        more: dict[str, object] = {
            "operations": (*one.operations, job),
            "stations": (*one.stations, slots),
            "links": links,
        }
        return replaced(one, more)

    found = forecast(evidence(*(made(number) for number in range(24))), draws=60)
    assert isinstance(found, Forecast)
    return found


@pytest.mark.parametrize(
    ("callers", "bears"),
    [
        pytest.param(("GET /",), 80.0, id="by requests"),
        pytest.param(("edge",), 80.0, id="by nobody known: it is taken to grow"),
        pytest.param((), 80.0, id="nobody was seen to"),
        # Five a second by the clock hold 0.25 of the four slots.
        pytest.param(("GET /", "schedule"), (4 - 0.25) / 0.025, id="half of it by the clock"),
    ],
)
def test_jobs_grow_unless_they_come_by_the_clock(callers: tuple[str, ...], bears: float) -> None:
    found = enqueued_by(*callers)
    assert found.first == (MAIL.name,)
    assert found.saturation_per_second.best == pytest.approx(bears, rel=0.03)


def test_what_comes_by_the_clock_alone_is_no_limit_of_traffic() -> None:
    found = enqueued_by("schedule")
    assert found.first == ("loop web",)
    assert MAIL.name not in [rung.station for rung in found.ladder]
