"""What a pattern is said to bring is what it brings when it is carried out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from outgrow.capacity import Forecast, forecast, grow
from outgrow.capacity.model import stacked
from outgrow.capacity.patterns import (
    Batch,
    BiggerPool,
    Cache,
    MakeAsynchronous,
    OwnDatabase,
    Pattern,
    Replicate,
    SplitOut,
    propose,
)
from outgrow.capacity.simulate import (
    Call,
    Hold,
    Perhaps,
    Place,
    Process,
    Rest,
    Run,
    System,
    Task,
)
from tests.oracles.simulated import evidence_of, ms, saturation_of, system

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

POOL = Place(name="pool", kind="pool", capacity=4, process="web")


def page(*steps: Run | Hold | Call | Perhaps | Rest) -> Task:
    return Task(name="GET /", process="web", steps=steps)


def mail(process: str = "web", work: float = 3.0) -> Task:
    return Task(name="Mail.send", process=process, steps=(Run(ms(work)),))


LOOP = system(page(Run(ms(4)), Rest(ms(10)), Run(ms(1))))
POOLED = system(page(Run(ms(0.5)), Hold("pool", (Rest(ms(25)), Run(ms(0.1))))), places=(POOL,))
CALLING = system(page(Run(ms(2)), Call("Mail.send"), Run(ms(0.5))), mail())
MANY = system(page(Run(ms(0.5)), *(Hold("pool", (Rest(ms(5)),)) for _ in range(6))), places=(POOL,))
ONCE = system(page(Run(ms(0.5)), Hold("pool", (Rest(ms(4 + 6 * 1)),))), places=(POOL,))
HALF = system(
    page(Run(ms(0.5)), Perhaps(0.5, (Hold("pool", (Rest(ms(25)), Run(ms(0.1)))),))), places=(POOL,)
)


def two_owners(lock: str) -> System:
    def task(name: str, its: str) -> Task:
        return Task(name=name, process="web", steps=(Run(ms(0.3)), Hold(its, (Rest(ms(6)),))))

    places = tuple(Place(name=name, kind="lock") for name in sorted({"writer", lock}))
    tasks = (task("POST /a", "writer"), task("POST /b", lock))
    return system(*tasks, places=places, mix={"POST /a": 1.0, "POST /b": 1.0})


APART = replace(
    CALLING,
    tasks=(CALLING.tasks[0], mail("mail")),
    processes=(*CALLING.processes, Process(name="mail")),
)
# The crossing is free in the simulation.
SPLIT = SplitOut(operations=("Mail.send",), process="web", name="mail", crossing_seconds=0.0)
CASES = [
    pytest.param(
        *(LOOP, replace(LOOP, processes=(Process(name="web", workers=2), LOOP.processes[1]))),
        Replicate(process="web", replicas=2),
        id="replicate",
    ),
    pytest.param(
        *(POOLED, replace(POOLED, places=(replace(POOL, capacity=8),))),
        BiggerPool(station="pool", capacity=8),
        id="bigger pool",
    ),
    pytest.param(
        *(CALLING, APART),
        SPLIT,
        id="split out",
    ),
    pytest.param(
        # As to throughput, who waits for the answer makes no difference.
        *(CALLING, APART),
        MakeAsynchronous(operations=("Mail.send",), process="web"),
        id="make asynchronous",
    ),
    pytest.param(
        *(MANY, ONCE),
        Batch(station="pool", operation="GET /", calls=6, row_ratio=0.2),
        id="batch",
    ),
    pytest.param(
        *(POOLED, HALF), Cache(station="pool", operation="GET /", hit_ratio=0.5), id="cache"
    ),
    pytest.param(
        *(two_owners("writer"), two_owners("own")),
        OwnDatabase(operations=("POST /b",), stations=("writer",), name="b"),
        id="own database",
    ),
]


@pytest.mark.parametrize(("before", "after", "pattern"), CASES)
def test_a_gain_is_as_large_as_it_was_said_to_be(
    before: System, after: System, pattern: Pattern
) -> None:
    measured_before, measured_after = saturation_of(before), saturation_of(after)
    # So many calls, as least squares must tell two classes of one lock apart.
    given = evidence_of(before, measured_before * 0.2, calls=10_000, windows=60)
    told = forecast(given, draws=60)
    assert isinstance(told, Forecast)
    (proposal,) = propose(stacked(told.model, told.draws), [pattern])
    assert proposal.gain_ratio.best == pytest.approx(measured_after / measured_before, rel=0.15)
    assert proposal.better_ratio > 0.9


def test_the_pattern_that_moves_the_limit_is_ranked_first() -> None:
    told = forecast(evidence_of(POOLED, 30.0), draws=60)
    assert isinstance(told, Forecast)
    bigger = BiggerPool(station="pool", capacity=8)
    cached = Cache(station="pool", operation="GET /", hit_ratio=0.3)
    split = SplitOut(operations=("GET /",), process="web", name="apart")
    ranked = propose(stacked(told.model, told.draws), [split, cached, bigger])
    assert ranked[0].pattern is bigger
    assert ranked[-1].score <= 0


def test_a_database_limit_does_not_move_when_work_is_done_later() -> None:
    work = Task(name="Stock.write", process="web", steps=(Hold("writer", (Rest(ms(8)),)),))
    what = system(
        page(Run(ms(0.5)), Call("Stock.write")), work, places=(Place(name="writer", kind="lock"),)
    )
    told = forecast(evidence_of(what, 25.0), draws=60)
    assert isinstance(told, Forecast)
    (proposal,) = propose(
        stacked(told.model, told.draws),
        [MakeAsynchronous(operations=("Stock.write",), process="web")],
    )
    assert proposal.first_after == "writer"
    assert proposal.gain_ratio.best == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("what", "pattern"),
    [pytest.param(LOOP, Replicate, id="workers"), pytest.param(POOLED, BiggerPool, id="slots")],
)
def test_a_system_that_was_changed_as_planned_bears_what_was_planned_for(
    what: System, pattern: type[Replicate | BiggerPool]
) -> None:
    told = forecast(evidence_of(what, 30.0, calls=5000), draws=100)
    assert isinstance(told, Forecast)
    target = 3 * told.saturation_per_second.best
    plan = grow(told, target / told.now_per_second)
    (step,) = plan.steps
    changed = step.moved.pattern
    assert isinstance(changed, pattern)
    if isinstance(changed, Replicate):
        web = replace(what.processes[0], workers=changed.replicas)
        after = replace(what, processes=(web, *what.processes[1:]))
    else:
        assert isinstance(changed, BiggerPool)
        after = replace(what, places=(replace(POOL, capacity=changed.capacity),))
    measured = saturation_of(after)
    assert measured >= 0.95 * target
    assert measured == pytest.approx(plan.bears.best, rel=0.15)
