"""A reload leaves groups alone whose code is the same, and says why it starts the others anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from outgrow.host import Directory, Drain, Makeup
from outgrow.model import Settings
from outgrow.placement.plan import Group, Plan
from tests.unit.placement.troupe import Actor, Play, Troupe, play

PLAN = Plan(
    (
        Group(name="web", runs=("web",)),
        Group(name="desk", runs=("orders",)),
        Group(name="post", runs=("mail",)),
        Group(name="store", runs=("stock",)),
    )
)
NEEDS = {"mail": [], "orders": ["stock"], "stock": []}
Stage = Callable[[Play], Troupe]


def made(**digests: str) -> Makeup:
    """A file for each service."""
    files = sorted(NEEDS)
    return Makeup(
        files=[f"{name}.py" for name in files],
        digests=[digests.get(name, "same") for name in files],
        parts={name: [place] for place, name in enumerate(files)},
        needs=NEEDS,
        packages=["msgspec-1.dist-info"],
    )


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Plays a piece of three services in four groups."""

    def on_stage(piece: Play) -> Troupe:
        settings = Settings(app="main:app", port=0)
        return play(monkeypatch, settings, piece, PLAN, sorted(NEEDS))

    return on_stage


async def serve(troupe: Troupe) -> None:
    troupe.makeup = made()
    await troupe.serve()


async def reload(troupe: Troupe, makeup: Makeup | None, **how: Any) -> None:
    troupe.makeup = makeup
    troupe.fleet.load(how.pop("settings", troupe.settings), **how)
    await troupe.imported(*how.pop("culprits", ()))
    await troupe.all_ready()


def versions(troupe: Troupe) -> dict[str, int]:
    """The version that each worker in service was started for."""
    return {worker.name: worker.load.version for worker in troupe.fleet.ready}


def one(troupe: Troupe, name: str) -> Actor:
    (actor,) = troupe.workers(name)
    return actor


def test_a_group_whose_code_is_the_same_keeps_its_workers(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await serve(troupe)
        await reload(troupe, made(mail="other"))
        assert troupe.fleet.change is None
        assert versions(troupe) == {"web/1": 2, "desk/1": 1, "post/1": 2, "store/1": 1}

    said = stage(piece).said
    assert "version 2: group `post` is started anew: mail.py has changed" in said
    assert "version 2: group `web` is started anew: it has the edge" in said
    assert "version 2: group `store` is left alone: nothing has changed" in said


def test_who_calls_a_group_that_is_started_anew_is_so_as_well(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await serve(troupe)
        await reload(troupe, made(stock="other"))
        assert versions(troupe) == {"web/1": 2, "desk/1": 2, "post/1": 1, "store/1": 2}

    said = stage(piece).said
    assert "version 2: group `desk` is started anew: it calls group `store`" in said


def test_new_and_old_edges_call_the_workers_that_stay(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await serve(troupe)
        old, mail = one(troupe, "web/1"), one(troupe, "post/1")
        meeting = old.told(Directory)[-1].meetings["mail"]
        await reload(troupe, made(stock="other"))
        new = troupe.workers("web/1")[-1]
        assert new is not old
        assert new.told(Directory)[-1].meetings["mail"] == meeting
        assert old.told(Directory)[-1].meetings["mail"] == meeting
        assert (
            new.told(Directory)[-1].meetings["stock"] != (old.told(Directory)[-1].meetings["stock"])
        )
        old.dies(0)
        await troupe.settle()
        assert not mail.told(Drain)

    stage(piece)


def test_workers_stay_over_many_reloads_until_their_code_changes(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await serve(troupe)
        for _ in range(3):
            await reload(troupe, made())
        assert versions(troupe) == {"web/1": 4, "desk/1": 1, "post/1": 1, "store/1": 1}
        edge, mail = troupe.workers("web/1")[-1], one(troupe, "post/1")
        await reload(troupe, made(mail="other"))
        assert versions(troupe)["post/1"] == 5
        # The edge of version 4 drains, and may still call it.
        assert edge.told(Drain)
        assert not mail.told(Drain)
        for old in troupe.workers("web/1")[:-1]:
            old.dies(0)
        await troupe.settle()
        assert mail.told(Drain)

    stage(piece)


def test_a_kept_worker_that_dies_is_replaced_by_one_of_the_new_version(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await serve(troupe)
        await reload(troupe, made())
        one(troupe, "post/1").dies()
        await troupe.settle()
        await troupe.all_ready()
        assert versions(troupe)["post/1"] == 2
        edge = troupe.workers("web/1")[-1]
        meeting = edge.told(Directory)[-1].meetings["mail"]
        await reload(troupe, made())
        assert versions(troupe)["post/1"] == 2
        assert troupe.workers("web/1")[-1].told(Directory)[-1].meetings["mail"] == meeting

    stage(piece)


def test_a_kept_group_that_a_move_changes_is_started_anew(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await serve(troupe)
        await reload(troupe, made())
        for actor in troupe.workers("web/1")[:-1]:
            actor.dies(0)
        troupe.fleet.place(troupe.fleet.plan.merged("post", "store"))
        await troupe.settle()
        await troupe.all_ready()
        assert versions(troupe) == {"web/1": 2, "desk/1": 1, "store/1": 2}
        assert all(actor.told(Drain) for actor in troupe.workers("post/1"))

    stage(piece)


def test_a_kept_worker_that_a_move_replaces_stays_for_the_edges_of_its_old_version(
    stage: Stage,
) -> None:
    async def piece(troupe: Troupe) -> None:
        await serve(troupe)
        old, mail = one(troupe, "web/1"), one(troupe, "post/1")
        await reload(troupe, made())
        assert old.told(Drain)
        troupe.fleet.place(troupe.fleet.plan.merged("post", "store"))
        await troupe.settle()
        await troupe.all_ready()
        assert "mail" in old.told(Directory)[-1].meetings
        assert not mail.told(Drain)
        old.dies(0)
        await troupe.settle()
        assert mail.told(Drain)

    stage(piece)


@pytest.mark.parametrize(
    ("how", "makeup", "why"),
    [
        ({"restarts_all": True}, made(), ""),
        (
            {"settings": Settings(app="main:app", port=0, threads=3)},
            made(),
            "a setting has changed",
        ),
        ({}, None, "it is not known what has changed"),
    ],
    ids=["as it was asked for", "another setting", "nothing known"],
)
def test_all_groups_are_started_anew(
    stage: Stage, how: dict[str, Any], makeup: Makeup | None, why: str
) -> None:
    async def piece(troupe: Troupe) -> None:
        await serve(troupe)
        await reload(troupe, makeup, **how)
        assert set(versions(troupe).values()) == {2}

    said = stage(piece).said
    assert not why or f"version 2: group `store` is started anew: {why}" in said


def test_a_new_version_of_a_package_starts_all_anew(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await serve(troupe)
        other = made()
        other.packages = ["msgspec-2.dist-info"]
        await reload(troupe, other)
        assert set(versions(troupe).values()) == {2}

    why = "msgspec-1.dist-info, msgspec-2.dist-info have changed"
    assert f"version 2: group `post` is started anew: {why}" in stage(piece).said


def test_code_that_changed_when_a_lost_nursery_came_back_is_not_known(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await serve(troupe)
        troupe.makeup = made(mail="other")
        troupe.nursery.dies()
        await troupe.settle(40.0)
        await troupe.imported()
        await reload(troupe, made(mail="other"))
        assert set(versions(troupe).values()) == {2}

    stage(piece)
