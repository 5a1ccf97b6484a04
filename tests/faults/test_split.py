"""Services in several groups: called across processes, moved, killed and reloaded under load."""

from __future__ import annotations

import os
import random
import signal
from typing import TYPE_CHECKING

import msgspec
import pytest

from outgrow.placement import PlannedChange, PlannedGroup, write_plan

from .harness import LONG, wait_until
from .ledger import Load, assert_ledgers_agree, handled_ids
from .split_app import DID_NOT_RUN, MAY_HAVE_RUN

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Record, Start
    from .harness import Supervised

pytestmark = pytest.mark.timeout(3600 if LONG else 60)  # several starts each, on a busy machine

THREE_GROUPS = """
[size.machine.groups.desk]
runs = ["orders"]
[size.machine.groups.store]
runs = ["stock"]
replicas = 2
"""
CHANGES = 500 if LONG else 8
KILLS = 40 if LONG else 3
OLD_SECONDS = 1.5


@pytest.fixture
def split(start: Start, tmp_path: Path) -> Supervised:
    """The app in three groups: the edge with Letters, Orders, and twice Stock."""
    (tmp_path / "outgrow.toml").write_text(THREE_GROUPS)
    options = ("--no-access-log", "--drain-seconds", "5")
    return start(*options, app="split_app:app").until_ready(4)


def places(server: Supervised) -> dict[str, int]:
    return server.get("/where")


def _are_together(server: Supervised, *parts: str) -> bool:
    """Whether one worker runs these, as whichever edge answers sees it."""
    found = places(server)
    return len({found[part] for part in parts}) == 1


def answered_by(server: Supervised, count: int) -> set[int]:
    """The replicas of Stock that answered so many requests; 0 for one that got no answer."""
    found: set[int] = set()
    for _ in range(count):
        try:
            found.add(places(server)["stock"])
        except AssertionError:
            found.add(0)
    return found


def names(server: Supervised) -> dict[int, str]:
    """The name of each worker that stays, by process id."""
    return {w["pid"]: w["name"] for w in server.status()["workers"] if w["state"] == "ready"}


def old_stores(server: Supervised) -> list[int]:
    """The replicas of Stock that nobody would take for broken."""
    return [
        worker["pid"]
        for worker in server.status()["workers"]
        if worker["group"] == "store"
        and worker["state"] == "ready"
        and worker["up_seconds"] > OLD_SECONDS
    ]


def test_each_service_runs_in_its_group(split: Supervised) -> None:
    found, workers = places(split), names(split)
    assert {place: workers[pid].split("/")[0] for place, pid in found.items()} == {
        "edge": "web",
        "letters": "web",
        "orders": "desk",
        "stock": "store",
    }
    assert found["edge"] == found["letters"]
    stores = {pid for pid, name in workers.items() if name.startswith("store/")}
    wait_until(lambda: stores.discard(places(split)["stock"]) or not stores, 10, "both replicas")
    assert split.get("/count") == {"sum": 4999 * 2500}
    assert split.stop() == 0
    assert (split.workspace / "stops.log").read_text().count("stock") == 2


def test_moves_scalings_and_reloads_under_load_lose_nothing(
    split: Supervised, record: Record, tmp_path: Path
) -> None:
    changes = (
        {"moves": ["stock=web"]},
        {"reload": True},
        {"moves": ["stock=store", "letters=post"]},
        {"reload_all": True},
        {"workers": "store=1"},
        {"merges": ["post=desk"]},
        {"undo": True},
        {"workers": "web=2"},
        {"moves": ["letters=web"], "workers": "web=1"},
    )
    with Load(split.port) as load:
        wait_until(lambda: load.count > 50, 10, "the first 50 answers")
        for number in range(CHANGES):
            status, lines = split.apply(**changes[number % len(changes)])
            assert (status, '"done"' in lines) == (200, True), lines
        seen = load.count
        wait_until(lambda: load.count > seen + 50, 10, "50 more answers")
    outcome = load.outcome
    fault = f"{CHANGES} moves, merges, scalings and reloads"
    record(fault=fault, metric="requests", value=len(outcome.entries))
    record(fault=fault, metric="failed requests", value=len(outcome.failed), target="0")
    lost = [entry for entry in outcome.answered if (entry.pid or 0) < 0]
    record(fault=fault, metric="lost calls", value=len(lost), target="0")
    assert not outcome.failed, outcome.explain()
    assert not lost, f"{len(lost)} calls were lost:\n{(tmp_path / 'lost.log').read_text()}"
    assert_ledgers_agree(outcome, tmp_path)


def test_only_calls_inside_killed_workers_fail_and_they_tell_the_truth(
    split: Supervised, record: Record, tmp_path: Path
) -> None:
    drawn = random.Random(3)
    with Load(split.port) as load:
        for _ in range(KILLS):
            seen = load.count
            wait_until(lambda seen=seen: load.count > seen + 100, 10, "100 more answers")
            # One that dies soon after its start is thought broken, and started later each time.
            wait_until(lambda: old_stores(split), 30, "a replica that has run for a while")
            victim = drawn.choice(old_stores(split))
            os.kill(victim, signal.SIGKILL)
            split.until_whole(4, without=(victim,), seconds=20)
    outcome = load.outcome
    assert not outcome.failed, outcome.explain()
    handled = handled_ids(tmp_path)
    did_not = [entry for entry in outcome.answered if entry.pid == DID_NOT_RUN]
    may_have = [entry for entry in outcome.answered if entry.pid == MAY_HAVE_RUN]
    fault = f"kill -9 of {KILLS} workers that answer calls"
    record(fault=fault, metric="requests", value=len(outcome.entries))
    record(fault=fault, metric="calls that may have run", value=len(may_have))
    record(fault=fault, metric="calls that did not run", value=len(did_not))
    assert not [entry for entry in did_not if entry.id in handled]
    assert len(may_have) <= KILLS * 32, "more were lost than one worker can have at once"
    twice = {id: pids for id, pids in handled.items() if len(pids) > 1}
    assert not twice, f"calls that are not idempotent ran twice: {twice}"


@pytest.mark.slow
def test_a_plan_outlives_the_supervisor_and_can_be_undone(
    split: Supervised, start: Start, tmp_path: Path
) -> None:
    done = split.command("apply", "--move", "orders=web")
    assert (done.returncode, "move `orders` from `desk` to `web`" in done.stdout) == (0, True)
    assert "stop group `desk`" in done.stdout
    wait_until(lambda: _are_together(split, "orders", "edge"), 5, "the edge that runs both")
    assert split.stop() == 0
    again = start("--no-access-log", app="split_app:app").until_ready(3)
    assert places(again)["orders"] == places(again)["edge"]
    assert again.command("apply", "--undo").returncode == 0
    assert places(again)["orders"] != places(again)["edge"]
    shown = again.command("apply", "--undo")
    assert (shown.returncode, "nothing to undo" in shown.stderr) == (1, True)


def test_a_dry_run_tells_the_plan_and_changes_nothing(split: Supervised) -> None:
    before = names(split)
    told = split.command("apply", "--merge", "store=desk", "--dry-run")
    assert told.returncode == 0
    assert "move `stock` from `store` to `desk`" in told.stdout
    assert names(split) == before


def test_a_plan_of_growth_is_carried_out_at_once_and_on_its_own_placement_alone(
    split: Supervised, tmp_path: Path
) -> None:
    groups = [
        PlannedGroup(name=one["name"], runs=one["runs"], replicas=f"{one['min']}:{one['max']}")
        for one in split.status()["groups"]
    ]
    change = PlannedChange(moves=["letters=post"], sizes=["web=2", "post=1"], groups=groups)
    told = {"times": 10.0, "change": msgspec.to_builtins(change), "steps": []}
    write_plan(tmp_path / "plan.json", told)
    shown = split.command("apply", "plan.json", "--dry-run")
    assert (shown.returncode, "move `letters` from `web` to `post`" in shown.stdout) == (0, True)
    assert len(names(split)) == 4
    assert split.command("apply", "plan.json").returncode == 0
    assert {name.split("/")[0] for name in names(split).values()} == {
        *("web", "desk", "store", "post")
    }
    assert len(names(split)) == 6
    wait_until(lambda: not _are_together(split, "letters", "edge"), 5, "the new edge to answer")
    again = split.command("apply", "plan.json")
    assert (again.returncode, "is no longer what it was" in again.stderr) == (1, True)


@pytest.mark.slow
def test_a_stopped_replica_is_left_out_until_it_goes_on(split: Supervised) -> None:
    stores = [pid for pid, name in names(split).items() if name.startswith("store/")]
    os.kill(stores[0], signal.SIGSTOP)
    try:
        wait_until(lambda: split.workers("silent") == [stores[0]], 10, "its silence to be seen")
        wait_until(lambda: answered_by(split, 20) == {stores[1]}, 20, "it to be left out")
        assert answered_by(split, 100) == {stores[1]}
    finally:
        os.kill(stores[0], signal.SIGCONT)
    wait_until(lambda: places(split)["stock"] == stores[0], 20, "it to be called again")


def test_a_service_that_cannot_start_in_its_new_group_leaves_all_as_it_was(
    split: Supervised,
) -> None:
    before = names(split)
    status, lines = split.apply(moves=["stock=web", "nobody=web"])
    assert (status, "no service `nobody`" in lines) == (200, True)
    assert names(split) == before
