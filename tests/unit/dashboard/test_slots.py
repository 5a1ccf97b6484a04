"""Queues over time: how busy their slots, how late their work, how much waits."""

from __future__ import annotations

from typing import Any

from outgrow.dashboard.asking import Asked
from outgrow.dashboard.slots import series
from outgrow.dashboard.source import StationStep
from outgrow.telemetry import Backlog, StationTotals, bucket_of
from tests.unit.dashboard.stored import SECOND_NS, Stored

STEP_NS = 10 * SECOND_NS
FROM_NS, TO_NS = 1_000 * STEP_NS, 1_004 * STEP_NS
MAIL = "queue mail: slots"


def step(worker: str, number: int, busy_seconds: float, name: str = MAIL) -> StationStep:
    used = StationTotals(
        name,
        "queue",
        4,
        busy_ns=int(busy_seconds * SECOND_NS),
        waits={bucket_of(100_000_000): 20},
    )
    return StationStep(worker=worker, at_ns=FROM_NS + number * STEP_NS, used=used)


def backlog(number: float, queue: str = "queue mail", **more: Any) -> Backlog:
    return Backlog(at_ns=int(FROM_NS + number * STEP_NS), queue=queue, **more)


def asked(**more: Any) -> Asked:
    values = {"from": FROM_NS, "to": TO_NS, "step": 10.0, "limit": 6.0, **more}
    return Asked(now_ns=TO_NS, values=values)


def test_slots_that_do_nothing_in_a_step_are_idle_and_before_the_first_unknown() -> None:
    stored = Stored(stepped=[step("a/1", 1, 20.0), step("a/2", 1, 20.0), step("a/1", 3, 8.0)])
    (line,) = series(stored, asked()).queues
    assert (line.name, line.slots) == ("queue mail", 8)
    assert line.busy_percent == [None, 50.0, 0.0, 10.0]
    assert [None if each is None else round(each, -1) for each in line.wait_p95_ms] == [
        *(None, 100.0, None, 100.0)
    ]
    assert line.waiting == [None] * 4


def test_what_waits_is_the_last_answer_in_each_step() -> None:
    answers = [backlog(0.2, waiting=9), backlog(0.9, waiting=5, dead_letters=1), backlog(2.9)]
    stored = Stored(points=[point for one in answers for point in one.points()])
    (line,) = series(stored, asked()).queues
    assert line.waiting == [5, None, 0, None]
    assert line.dead == [1, None, 0, None]
    assert line.busy_percent == [None] * 4, "nobody has slots for it"


def test_those_of_which_most_waited_come_first() -> None:
    answers = [backlog(0.5, "queue mail", waiting=1), backlog(0.5, "queue slow", waiting=7)]
    stored = Stored(
        stepped=[step("a/1", 1, 20.0)],
        points=[point for one in answers for point in one.points()],
    )
    found = series(stored, asked(limit=1.0))
    assert [one.name for one in found.queues] == ["queue slow"]
    assert found.queues_count == 2
