"""The fleet goes from what is to what should be, whoever dies on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from outgrow.errors import StartupFailedError, StartupTimeoutError, WorkerDiedError
from outgrow.host import Drain, Dump, Listen, Release, Started, Worn
from outgrow.model import Replicas, Settings
from outgrow.telemetry import RouteTotals
from tests.unit.placement.troupe import EXITED, Play, Troupe, play

Stage = Callable[..., Troupe]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Plays a piece with these settings."""

    def on_stage(piece: Play, **settings: Any) -> Troupe:
        return play(monkeypatch, Settings(**({"app": "main:app", "port": 0} | settings)), piece)

    return on_stage


TWO = {"workers": Replicas(2, 2)}


def test_workers_are_forked_once_the_app_is_imported(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        change = troupe.fleet.load(troupe.settings)
        await troupe.settle()
        assert troupe.workers() == []
        await troupe.imported()
        assert [actor.name for actor in troupe.workers()] == ["web/1", "web/2"]
        assert troupe.fleet.in_service is None
        await troupe.all_ready()
        assert troupe.names() == ["web/1", "web/2"]
        assert change.done.result() is None

    stage(piece, **TWO)


def test_workers_import_for_themselves_where_forking_is_not_safe(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.load("thread `metrics`")
        await troupe.all_ready()
        assert troupe.nursery.orders == []
        assert troupe.names() == ["web/1", "web/2"]

    troupe = stage(piece, **TWO)
    assert any("thread `metrics`" in line for line in troupe.said)


def test_sockets_are_given_to_workers_that_are_ready_and_shared_when_more_come(
    stage: Stage,
) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.load()
        one, two = troupe.workers()
        one.is_ready()
        await troupe.settle()
        assert one.told(Listen) == [Listen([0, 1])]
        assert one.descriptors == 2
        two.is_ready()
        await troupe.settle()
        assert one.told(Release) == [Release([1])]
        assert two.told(Listen) == [Listen([1])]
        await troupe.settle()
        assert len(one.told(Listen)) == len(two.told(Listen)) == 1

    stage(piece, **TWO)


def test_a_worker_that_dies_is_replaced_at_once_under_its_name(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        troupe.workers("web/2")[0].dies()
        await troupe.settle()
        (again,) = troupe.workers("web/2")
        assert troupe.fleet.restarts == {"web/2": 1}
        again.is_ready()
        await troupe.settle()
        assert troupe.names() == ["web/1", "web/2"]

    troupe = stage(piece, **TWO)
    assert any("was killed by SIGKILL" in line and "now" in line for line in troupe.said)
    assert any("web/2 is whole again after" in line for line in troupe.said)


def test_a_worker_that_keeps_dying_is_started_ever_more_slowly(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        troupe.workers("web/1")[0].dies()
        await troupe.settle()
        troupe.workers("web/1")[0].dies(EXITED)
        await troupe.settle(0.5)
        assert troupe.workers("web/1") == []
        await troupe.settle(0.6)
        assert len(troupe.workers("web/1")) == 1

    troupe = stage(piece, **TWO)
    assert any("exited with code 1; it is started again in 1 s" in line for line in troupe.said)


def test_calls_of_a_worker_that_died_stay_counted(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        (actor,) = troupe.workers()
        beat = actor.beat()
        beat.changed = [RouteTotals("GET", "/", calls=7)]
        actor.say(beat)
        await troupe.settle(beats=False)
        actor.dies()
        (route,) = troupe.fleet.window.routes(troupe.clock.time())
        assert route.requests_total == 7

    stage(piece)


def test_a_first_version_that_cannot_start_is_fatal_with_its_reason(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.load()
        troupe.fails(troupe.workers()[0], "no database")
        problem = troupe.fleet.fatal.result()
        assert isinstance(problem, StartupFailedError)
        assert problem.text == "no database"

    stage(piece)


def test_a_first_worker_that_dies_without_a_word_is_fatal(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.load()
        troupe.workers()[0].dies(11)
        problem = troupe.fleet.fatal.result()
        assert isinstance(problem, WorkerDiedError)
        assert "SIGSEGV" in problem.text

    stage(piece)


def test_an_import_that_ends_without_a_word_is_fatal(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        troupe.fleet.load(troupe.settings)
        troupe.nursery.dies()
        assert "the process that imports the app was killed by SIGKILL" in str(
            troupe.fleet.fatal.result()
        )

    stage(piece)


def test_a_reload_moves_the_traffic_once_all_new_workers_are_ready(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        old = troupe.workers()
        change = troupe.fleet.load(troupe.settings)
        await troupe.imported()
        new = [actor for actor in troupe.workers() if actor not in old]
        new[0].is_ready()
        await troupe.settle()
        assert not change.done.done()
        assert all(actor.told(Drain) == [] for actor in old)
        new[1].is_ready()
        await troupe.settle()
        assert change.done.result() is None
        assert troupe.fleet.in_service is change.target
        assert [drain.closes_idle for actor in old for drain in actor.told(Drain)] == [False] * 2
        for actor in old:
            actor.dies(0)
        await troupe.settle()
        assert troupe.fleet.restarts == {}
        assert [load.version for load in troupe.fleet.loads] == [2]

    stage(piece, **TWO)


def test_a_reload_that_fails_leaves_the_old_version_serving(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        (old,) = troupe.workers()
        change = troupe.fleet.load(troupe.settings)
        await troupe.imported()
        troupe.fails(troupe.workers()[-1], "no table")
        assert isinstance(change.done.exception(), StartupFailedError)
        await troupe.settle()
        assert troupe.names() == ["web/1"]
        assert old.told(Drain) == []
        assert not troupe.fleet.fatal.done()

    stage(piece)


def test_a_reload_that_fails_leaves_the_old_settings_and_its_number_behind(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        troupe.fleet.load(replace(troupe.settings, drain_seconds=1.0))
        troupe.fails(troupe.nursery, "no")
        await troupe.settle()
        assert troupe.fleet.settings == troupe.settings
        assert troupe.fleet.load(troupe.settings).target.load.version == 3

    stage(piece)


def test_stopping_does_not_wait_for_a_worker_that_imports(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.load("thread `metrics`")
        troupe.fleet.stop()
        assert [w.killed_at > 0 for w in troupe.fleet.workers.values()] == [True]

    stage(piece)


def test_a_second_reload_replaces_one_that_is_under_way(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        first = troupe.fleet.load(troupe.settings)
        second = troupe.fleet.load(troupe.settings)
        assert isinstance(first.done.exception(), WorkerDiedError)
        await troupe.imported()
        await troupe.all_ready()
        assert second.done.result() is None
        assert troupe.fleet.in_service is second.target

    stage(piece)


def test_an_old_worker_that_dies_in_a_reload_is_replaced_for_as_long(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        troupe.fleet.load(troupe.settings)
        troupe.workers("web/1")[0].dies()
        await troupe.settle()
        # Only the nursery of the old version can fork: the new one still imports.
        assert len(troupe.workers("web/1")) == 1

    stage(piece, **TWO)


def test_more_workers_are_started_and_surplus_ones_leave(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        troupe.fleet.resize("web", Replicas(3, 3))
        await troupe.settle()
        await troupe.all_ready()
        await asyncio.wait_for(troupe.fleet.settled(), 5)
        assert troupe.names() == ["web/1", "web/2", "web/3"]
        troupe.fleet.resize("web", Replicas(1, 1))
        await troupe.settle()
        assert troupe.names() == ["web/1"]
        left = [actor for actor in troupe.workers() if actor.told(Drain)]
        assert [actor.name for actor in left] == ["web/2", "web/3"]

    stage(piece)


def test_busy_workers_get_another_after_some_seconds(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        (actor,) = troupe.workers()
        for _ in range(8):
            actor.say(actor.beat(busy_percent=95))
            await troupe.settle(1.0, beats=False)
        assert troupe.fleet.sizes["web"].wanted == 2
        assert [actor.name for actor in troupe.workers()] == ["web/1", "web/2"]

    troupe = stage(piece, workers=Replicas(1, 4))
    assert any("workers 1 -> 2: they are 95 % busy" in line for line in troupe.said)


def test_a_worn_worker_leaves_once_its_successor_is_ready(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        (old,) = troupe.workers()
        old.say(Worn())
        await troupe.settle()
        old, new = troupe.workers()
        assert new.name == old.name
        assert old.told(Drain) == []
        new.is_ready()
        await troupe.settle()
        assert len(old.told(Drain)) == 1
        old.dies(0)
        assert troupe.fleet.restarts == {}

    stage(piece)


def test_a_silent_worker_keeps_no_sockets_while_another_serves(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        one, two = troupe.workers()
        for _ in range(3):
            two.say(two.beat())
            await troupe.settle(0.6, beats=False)
        assert one.told(Release) == [Release([1]), Release([0])]
        one.say(one.beat())
        two.say(two.beat())
        await troupe.settle(beats=False)
        assert len(one.told(Listen)) == 2

    stage(piece, **TWO)


def test_a_worker_that_stands_still_is_told_to_show_where_and_then_killed(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        (actor,) = troupe.workers()
        actor.say(actor.beat(age_seconds=31))
        await troupe.settle(0.1, beats=False)
        assert actor.told(Dump) == [Dump()]
        actor.say(actor.beat(age_seconds=33))
        await troupe.settle(1.5, beats=False)
        (worker,) = troupe.fleet.workers.values()
        assert worker.killed_at
        actor.dies()
        await troupe.settle()
        assert len(troupe.workers()) == 1

    troupe = stage(piece)
    assert any("has not turned its event loop" in line for line in troupe.said)


def test_a_start_that_takes_too_long_is_given_up(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.load()
        (actor,) = troupe.workers()
        beat = actor.beat()
        beat.waits_for = "main.py:7 in connect"
        actor.say(Started(actor.pid), beat)
        await troupe.settle(beats=False)
        await troupe.settle(61.0, beats=False)
        actor.dies()
        problem = troupe.fleet.fatal.result()
        assert isinstance(problem, StartupTimeoutError)
        assert "main.py:7 in connect" in problem.text

    troupe = stage(piece)
    assert any(line.startswith("waiting for web/1") for line in troupe.said)


def test_a_nursery_that_dies_is_replaced_and_workers_serve_on(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        before = troupe.nursery
        before.dies()
        await troupe.settle()
        assert troupe.nursery is not before
        assert troupe.names() == ["web/1"]
        troupe.workers()[0].dies()
        await troupe.imported()
        await troupe.all_ready()
        assert troupe.names() == ["web/1"]

    stage(piece)


def test_a_nursery_that_cannot_import_again_does_not_end_the_replacing_of_workers(
    stage: Stage,
) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        troupe.nursery.dies()
        troupe.fails(troupe.nursery, "half-written file")
        await troupe.settle()
        troupe.workers()[0].dies()
        for _ in range(10):
            await troupe.settle(30.0)
        assert not troupe.nursery.is_gone or troupe.workers()

    stage(piece)


def test_stopping_drains_all_and_starts_nothing(stage: Stage) -> None:
    async def piece(troupe: Troupe) -> None:
        await troupe.serve()
        one, two = troupe.workers()
        troupe.fleet.stop()
        assert [d.closes_idle for actor in (one, two) for d in actor.told(Drain)] == [True, True]
        one.dies(0)
        two.dies()
        await troupe.settle(5)
        assert troupe.fleet.workers == {}
        assert troupe.fleet.restarts == {}
        await asyncio.wait_for(troupe.fleet.settled(), 5)

    stage(piece, **TWO)
