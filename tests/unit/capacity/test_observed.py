"""The archive's windows as evidence: groups for workers, stations with replicas, whole windows."""

from __future__ import annotations

from typing import Any

import pytest

from outgrow.capacity import Window, observed
from outgrow.telemetry import (
    Backlog,
    CallSum,
    ProcessSum,
    ProcessTotals,
    StationSum,
    StationTotals,
    WindowSum,
    WorkerSum,
)

SECOND_NS = 10**9


def worker(epoch: str, group: str = "web", machine: str = "here") -> WorkerSum:
    return WorkerSum(
        name=f"{group}/1",
        epoch=epoch,
        group=group,
        version=1,
        machine=machine,
        pid=1,
        began_ns=0,
        seen_ns=0,
        seconds=10.0,
        state="reporting",
    )


def station(worker: str, name: str, kind: str, **more: Any) -> StationSum:
    return StationSum(worker=worker, seconds=10.0, used=StationTotals(name, kind, **more))


def window(*processes: str, seconds: float = 10.0, **parts: Any) -> WindowSum:
    told = [
        ProcessSum(epoch=epoch, seconds=seconds, used=ProcessTotals(user_ns=SECOND_NS))
        for epoch in processes
    ]
    given: dict[str, Any] = {"calls": [], "stations": [], "arrivals": []}
    return WindowSum(at_ns=0, processes=told, **given | parts)


def read(one: WindowSum, *workers: WorkerSum, **runs: list[str]) -> Window:
    (found,) = observed([one], workers, runs).windows()
    return found


CALLS = [
    CallSum(caller="", callee="GET /", calls=100, duration_ns=SECOND_NS),
    CallSum(caller="GET /", callee="Stock.take", calls=40, duration_ns=SECOND_NS),
    CallSum(caller="Stock.take", callee="sql stock", calls=80, duration_ns=SECOND_NS),
    CallSum(caller="", callee="WEBSOCKET /live", calls=3, duration_ns=900 * SECOND_NS),
]


def test_routes_are_entries_and_operations_are_within() -> None:
    found = read(window("a", calls=CALLS), worker("a"))
    assert [(one.name, one.is_entry, one.calls) for one in found.operations] == [
        ("GET /", True, 100),
        ("Stock.take", False, 40),
    ]
    assert [(one.caller, one.callee) for one in found.links] == [
        ("GET /", "Stock.take"),
        ("Stock.take", "sql stock"),
    ]


def test_a_loop_is_used_by_what_runs_in_its_group() -> None:
    stations = [
        station("web/1", "loop", "loop", busy_ns=SECOND_NS, served=200, wait_ns=SECOND_NS),
        station("store/1", "loop", "loop", busy_ns=2 * SECOND_NS),
        station("idle/1", "loop", "loop"),
    ]
    crew = [worker("a"), worker("b", "store"), worker("c", "idle")]
    one = window("a", "b", "c", calls=CALLS, stations=stations)
    found = read(one, *crew, web=["web"], store=["stock"], idle=["mail"])
    loops = {each.name: each for each in found.stations}
    assert {name: dict(each.by_operation) for name, each in loops.items()} == {
        "loop web": {"GET /": 100, "WEBSOCKET /live": 3},
        "loop store": {"Stock.take": 40},
        "loop idle": {},
    }
    assert loops["loop web"].wait_seconds == pytest.approx(103 * 1.0 / 200)


def test_the_edge_may_be_in_a_group_of_another_name() -> None:
    stations = [station("front/1", "loop", "loop", busy_ns=SECOND_NS)]
    one = window("a", calls=CALLS, stations=stations)
    (loop,) = read(one, worker("a", "front"), front=["stock", "web"]).stations
    assert loop.served == 143


def test_workers_of_two_machines_that_have_one_name_are_two_replicas() -> None:
    stations = [station("web/1", "loop", "loop", busy_ns=12 * SECOND_NS)]
    one = window("a", "b", calls=CALLS, stations=stations)
    found = read(one, worker("a"), worker("b", machine="there"))
    assert [each.replicas for each in found.stations] == [2]
    assert [(each.machine, each.workers) for each in found.processes] == [("here", 1), ("there", 1)]


def test_a_lock_is_one_for_all_and_a_pool_one_for_each() -> None:
    stations = [
        *(station(f"web/{n}", "writer orders", "lock", served=5) for n in (1, 2)),
        *(station(f"web/{n}", "pool orders", "pool", served=5, capacity=3) for n in (1, 2)),
    ]
    found = read(window("a", "b", stations=stations), worker("a"), worker("b"))
    assert [(one.name, one.group, one.replicas, one.served) for one in found.stations] == [
        ("writer orders", "", 1, 10),
        ("pool orders", "web", 2, 10),
    ]


def test_a_window_in_which_a_worker_began_is_not_whole() -> None:
    assert read(window("a"), worker("a")).is_whole
    assert not read(window("a", seconds=4.0), worker("a")).is_whole
    assert not read(window(), worker("a")).is_whole


def test_cores_are_those_of_the_machine() -> None:
    stations = [station("web/1", "cpu", "cpu", capacity=8)]
    found = observed([window("a", stations=stations)], [worker("a")])
    assert [(one.name, one.cores) for one in found.machines] == [("here", 8)]
    assert found.windows()[0].stations == ()


HANDED = [
    CallSum(caller="", callee="POST /orders", calls=100, duration_ns=SECOND_NS),
    CallSum(caller="POST /orders", callee="queue mail Mail.send_receipt", calls=90),
    CallSum(caller="POST /orders", callee="topic shop.OrderPlaced", calls=80),
    CallSum(caller="schedule", callee="queue mail Mail.digest", calls=1),
    CallSum(caller="queue mail", callee="Mail.send_receipt", calls=88, errors=3),
    CallSum(caller="queue mail", callee="Mail.digest", calls=1),
    CallSum(caller="topic shop.OrderPlaced", callee="Mail.on_order_placed", calls=80),
]
SLOTS = [
    station("web/1", "queue mail: slots", "queue", capacity=4, served=89, hold_ns=2 * SECOND_NS),
    station("web/1", "subscription mail.on_order_placed: slots", "queue", capacity=10, served=80),
]


def test_who_enqueues_a_job_leads_to_its_runs_and_who_runs_it_does_not() -> None:
    found = read(window("a", calls=HANDED, stations=SLOTS), worker("a"))
    links = {(one.caller, one.callee): one.calls for one in found.links if one.is_background}
    assert links == {
        ("POST /orders", "Mail.send_receipt"): 90,
        ("POST /orders", "Mail.on_order_placed"): 80,
        ("schedule", "Mail.digest"): 1,
    }
    assert all(one.is_background for one in found.links if one.callee.startswith("Mail"))
    assert {one.name for one in found.operations if one.is_background} == {
        "Mail.send_receipt",
        "Mail.digest",
        "Mail.on_order_placed",
    }


def test_slots_are_used_by_what_they_run() -> None:
    found = read(window("a", calls=HANDED, stations=SLOTS), worker("a"))
    slots = {one.name: one for one in found.stations}
    assert slots["queue mail: slots"].by_operation == {"Mail.send_receipt": 88, "Mail.digest": 1}
    assert slots["subscription mail.on_order_placed: slots"].by_operation == {
        "Mail.on_order_placed": 80
    }


def test_a_queue_has_what_came_and_what_left_and_what_its_store_said_last() -> None:
    backlogs = [
        Backlog(at_ns=9 * SECOND_NS, queue="queue mail", waiting=7, dead_letters=2),
        Backlog(at_ns=12 * SECOND_NS, queue="queue mail", waiting=70),
        Backlog(at_ns=5 * SECOND_NS, queue="queue idle", waiting=1, oldest_seconds=60),
    ]
    one = window("a", calls=HANDED, stations=SLOTS)
    (found,) = observed([one], [worker("a")], backlogs=backlogs).windows()
    idle, mail, subscription = found.queues
    assert (mail.name, mail.enqueued, mail.ended, mail.servers) == ("queue mail", 91, 86, 4)
    assert (mail.depth, mail.dead, mail.is_sounded) == (7, 2, True)
    assert (idle.name, idle.depth, idle.oldest_seconds, idle.servers) == ("queue idle", 1, 60, 0)
    assert (subscription.enqueued, subscription.ended) == (80, 80)
    assert not subscription.is_sounded


def test_a_bound_over_all_workers_is_a_limit_of_its_own() -> None:
    stations = [
        *SLOTS[:1],
        station("web/2", "queue mail: slots", "queue", capacity=4, served=9, hold_ns=SECOND_NS),
    ]
    one = window("a", "b", calls=HANDED, stations=stations)
    bound = [Backlog(at_ns=11 * SECOND_NS, queue="queue mail", concurrency=5)]
    (found,) = observed([one], [worker("a"), worker("b")], backlogs=bound).windows()
    slots, shared = found.stations
    assert (slots.capacity, slots.replicas, slots.hold_seconds) == (4, 2, 3.0)
    assert (shared.name, shared.capacity, shared.replicas) == ("queue mail: concurrency", 5, 1)
    assert (shared.served, shared.hold_seconds, shared.group) == (98, 3.0, "")
