"""Groups of workers: each told where the others are, moved while all serve, drained edges first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from outgrow.errors import RefusedError, StartupFailedError
from outgrow.host import Directory, Drain, Fork, Listen, Release
from outgrow.model import Replicas, Settings
from outgrow.placement.plan import Group, Plan
from tests.unit.placement.troupe import Actor, Play, Troupe, play

Stage = Callable[..., Troupe]
SERVICES = ("mail", "orders")
PLAN = Plan((Group(name="web", runs=("web",)), Group(name="work", runs=("mail",))))


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Plays a piece with this plan."""

    def on_stage(piece: Play, plan: Plan | None = PLAN, **settings: Any) -> Troupe:
        chosen = Settings(**({"app": "main:app", "port": 0} | settings))
        return play(monkeypatch, chosen, piece, plan, SERVICES)

    return on_stage


def one(troupe: Troupe, name: str) -> Actor:
    (actor,) = troupe.workers(name)
    return actor


def where(actor: Actor) -> dict[str, list[str]]:
    """What a worker was last told."""
    return actor.told(Directory)[-1].meetings


def test_each_group_gets_its_workers_and_each_worker_the_others_addresses(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.load()
        assert [actor.name for actor in troupe.workers()] == ["web/1", "work/1"]
        await troupe.all_ready()
        assert troupe.fleet.is_ready
        assert where(one(troupe, "web/1")) == {"mail": ["unix:calls/2.sock"]}
        assert where(one(troupe, "work/1")) == {
            "orders": ["unix:calls/1.sock"],
            "web": ["unix:calls/1.sock"],
        }

    stage(piece)


def test_only_workers_with_the_edge_get_sockets(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        assert one(troupe, "web/1").told(Listen)
        assert not one(troupe, "work/1").told(Listen)

    stage(piece)


def test_a_plan_with_one_group_tells_nobody_anything(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        assert not one(troupe, "web/1").told(Directory)

    stage(piece, plan=None)


def test_who_died_is_called_no_more_and_its_replacement_is(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        web = one(troupe, "web/1")
        one(troupe, "work/1").dies()
        await troupe.settle()
        assert where(web) == {}
        one(troupe, "work/1").is_ready()
        await troupe.settle()
        assert where(web) == {"mail": ["unix:calls/3.sock"]}

    stage(piece)


def test_a_silent_worker_is_left_out_while_there_is_another(stage: Stage) -> None:
    two = Replicas(2, 2)
    plan = Plan((PLAN.groups[0], Group(name="work", runs=("mail",), replicas=two)))

    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        web = one(troupe, "web/1")
        assert len(where(web)["mail"]) == 2
        for _ in range(3):
            await troupe.settle(0.4, beats=False)
            for actor in (web, one(troupe, "work/2")):
                actor.say(actor.beat())
        await troupe.settle(beats=False)
        assert where(web)["mail"] == ["unix:calls/3.sock"]

    stage(piece, plan=plan)


def test_a_service_moves_once_all_who_take_part_are_ready(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        old_web = one(troupe, "web/1")
        change = troupe.fleet.place(troupe.fleet.plan.moved("orders", "work"))
        await troupe.settle()
        new = [a for a in troupe.workers() if a not in (old_web, troupe.actors[2])]
        assert sorted(actor.name for actor in new) == ["web/1", "work/1"]
        new[0].is_ready()
        await troupe.settle()
        assert not change.done.done()
        assert not old_web.told(Drain)
        new[1].is_ready()
        await troupe.settle()
        assert change.done.result() is None
        assert old_web.told(Drain)
        by_name = {actor.name: actor for actor in new}
        assert set(where(by_name["web/1"])) == {"mail", "orders"}
        assert len(where(by_name["web/1"])["orders"]) == 1

    stage(piece)


def test_a_group_that_a_change_does_not_touch_keeps_its_workers(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        work = one(troupe, "work/1")
        troupe.fleet.place(troupe.fleet.plan.moved("orders", "desk"))
        await troupe.settle()
        await troupe.all_ready()
        assert troupe.workers("work/1") == [work]
        assert not work.told(Drain)
        assert set(where(work)) == {"orders", "web"}

    stage(piece)


def test_a_move_that_cannot_start_is_given_up_and_all_stays_as_it_was(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        before = troupe.workers()
        plan = troupe.fleet.plan
        change = troupe.fleet.place(plan.moved("orders", "desk"))
        await troupe.settle()
        troupe.fails(one(troupe, "desk/1"), "no key")
        assert isinstance(change.done.exception(), StartupFailedError)
        await troupe.settle()
        assert troupe.fleet.plan == plan
        assert all(not actor.told(Drain) for actor in before)
        assert troupe.names() == ["web/1", "work/1"]

    stage(piece)


def test_a_plan_with_an_unknown_service_stops_the_start_with_its_name(stage: Stage) -> None:
    plan = Plan((PLAN.groups[0], Group(name="work", runs=("male",))))

    async def piece(troupe: Troupe) -> None:
        await troupe.load()
        problem = troupe.fleet.fatal.result()
        assert isinstance(problem, RefusedError)
        assert "male" in problem.text

    stage(piece, plan=plan)


def test_at_the_end_services_stay_until_the_edges_have_left(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        web, work = one(troupe, "web/1"), one(troupe, "work/1")
        troupe.fleet.stop()
        assert web.told(Drain)
        await troupe.settle()
        assert not work.told(Drain)
        web.dies(0)
        assert work.told(Drain)

    stage(piece)


def test_services_of_an_old_version_stay_until_its_edges_have_left(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        web, work = one(troupe, "web/1"), one(troupe, "work/1")
        troupe.fleet.load(troupe.settings)
        await troupe.imported()
        await troupe.all_ready()
        assert web.told(Drain)
        assert not work.told(Drain)
        assert where(web) == {"mail": ["unix:calls/2.sock"]}
        web.dies(0)
        assert work.told(Drain)

    stage(piece)


def test_a_group_is_scaled_by_itself(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        troupe.fleet.resize("work", Replicas(3, 3))
        await troupe.settle()
        await troupe.all_ready()
        assert troupe.names() == ["web/1", "work/1", "work/2", "work/3"]
        assert len(where(one(troupe, "web/1"))["mail"]) == 3

    stage(piece)


def test_what_a_move_that_is_given_up_has_started_finishes_what_it_was_asked(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        work = one(troupe, "work/1")
        troupe.fleet.place(troupe.fleet.plan.moved("orders", "desk").moved("mail", "post"))
        await troupe.settle()
        desk = one(troupe, "desk/1")
        desk.is_ready()
        await troupe.settle()
        assert where(work)["orders"] == ["unix:calls/1.sock", "unix:calls/4.sock"]
        troupe.fails(one(troupe, "post/1"), "no key")
        assert desk.told(Drain)
        assert not next(w for w in troupe.fleet.workers.values() if w.pid == desk.pid).killed_at

    stage(piece)


def test_a_move_waits_for_no_group_that_it_does_not_touch(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        one(troupe, "work/1").dies()
        await troupe.settle()
        one(troupe, "work/1").dies()
        change = troupe.fleet.place(troupe.fleet.plan.moved("orders", "desk"))
        await troupe.settle()
        for actor in (*troupe.workers("web/1")[1:], one(troupe, "desk/1")):
            actor.is_ready()
        await troupe.settle()
        assert change.done.done()

    stage(piece)


def test_a_move_goes_on_while_the_app_is_imported_anew(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        troupe.nursery.dies()
        change = troupe.fleet.place(troupe.fleet.plan.moved("orders", "desk"))
        await troupe.settle(0.1)
        await troupe.imported()
        await troupe.all_ready()
        assert change.done.result() is None
        assert "desk/1" in troupe.names()

    stage(piece)


def test_a_service_that_is_gone_leaves_an_applied_plan(stage: Stage) -> None:
    plan = Plan((PLAN.groups[0], Group(name="work", runs=("mail", "male"))))

    async def piece(troupe: Troupe) -> None:
        change = troupe.fleet.load(troupe.settings, is_applied=True)
        await troupe.imported()
        await troupe.all_ready()
        assert change.done.result() is None
        assert troupe.fleet.plan.services == ("orders", "mail")

    stage(piece, plan=plan)


def test_more_workers_with_the_edge_of_a_new_version_get_sockets(stage: Stage) -> None:
    four = Plan((Group(name="web", runs=("web",), replicas=Replicas(4, 4)), *PLAN.groups[1:]))

    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        troupe.fleet.load(troupe.settings, four)
        await troupe.imported()
        await troupe.all_ready()
        await troupe.all_ready()
        assert len(troupe.listeners.sockets) == 4

    stage(piece)


def test_a_number_of_workers_that_was_given_up_is_forgotten(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        moved = troupe.fleet.plan.moved("orders", "desk")
        troupe.fleet.place(moved.resized("desk", Replicas(3, 3)))
        await troupe.settle()
        troupe.fails(troupe.workers("desk/1")[0], "no key")
        troupe.fleet.place(moved)
        await troupe.settle()
        assert troupe.fleet.sizes["desk"].wanted == 1

    stage(piece)


def test_each_group_is_scaled_by_its_own_busy_share(stage: Stage) -> None:
    scaling = Group(name="work", runs=("mail",), replicas=Replicas(1, 4))
    plan = Plan((Group(name="web", runs=("web",), replicas=Replicas(1, 4)), scaling))

    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        for _ in range(12):
            for actor in troupe.workers():
                actor.say(actor.beat(95.0 if actor.name == "work/1" else 10.0))
            await troupe.settle(1.0, beats=False)
        assert {name: size.wanted for name, size in troupe.fleet.sizes.items()} == {
            "web": 1,
            "work": 2,
        }

    stage(piece, plan=plan)


def test_the_end_of_an_old_versions_service_is_told_as_what_it_is(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        work = one(troupe, "work/1")
        troupe.fleet.load(troupe.settings)
        await troupe.imported()
        await troupe.all_ready()
        work.dies()
        assert "work/1 of version 1, which was about to leave, was killed" in troupe.said[-1]
        assert not troupe.fleet.restarts

    stage(piece)


def test_an_edge_with_services_stays_for_one_of_its_version_that_left_before(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        first = one(troupe, "web/1")
        troupe.fleet.place(troupe.fleet.plan.moved("mail", "web"))
        await troupe.settle()
        await troupe.all_ready()
        second = troupe.workers("web/1")[1]
        troupe.fleet.load(troupe.settings)
        await troupe.imported()
        await troupe.all_ready()
        assert second.told(Release)
        assert not second.told(Drain)
        assert where(first)["mail"] == ["unix:calls/3.sock"]
        first.dies(0)
        assert second.told(Drain)

    stage(piece)


def test_services_that_share_a_queue_are_not_placed_in_two_groups(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        troupe.shared_queues = {"letters": ["mail", "orders"]}
        await troupe.load()
        problem = troupe.fleet.fatal.result()
        assert isinstance(problem, RefusedError)
        assert "`letters` holds jobs of mail, orders" in problem.text
        assert "`web` and `work`" in problem.text

    stage(piece)


def test_no_move_takes_services_apart_that_share_a_queue(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        troupe.shared_queues = {"letters": ["mail", "orders"]}
        await troupe.serve()
        with pytest.raises(RefusedError, match="`letters`"):
            troupe.fleet.place(PLAN)
        assert troupe.fleet.is_ready
        assert troupe.fleet.change is None

    stage(piece, plan=None)


def test_only_the_first_workers_of_a_version_have_to_prove_it(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        one(troupe, "work/1").dies()
        await troupe.settle()
        await troupe.load()
        forks = [order for actor in troupe.actors for order in actor.told(Fork)]
        assert [(order.name, order.is_proven) for order in forks] == [
            ("web/1", False),
            ("work/1", False),
            ("work/1", True),
            ("web/1", False),
            ("work/1", False),
        ]

    stage(piece)
