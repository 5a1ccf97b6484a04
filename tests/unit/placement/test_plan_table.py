"""Groups as outgrow.toml writes them, with an answer to every way of writing them wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from outgrow.errors import OutgrowError
from outgrow.model import Replicas
from outgrow.placement import Machine, resolve
from outgrow.placement.plan import Plan

MACHINE = Machine(cpus=4.0, memory_bytes=1000, is_container=False)


def plan(folder: Path, text: str, **flags: object) -> Plan:
    (folder / "outgrow.toml").write_text(text)
    return resolve(flags, MACHINE, environment={}, folder=folder).plan


def test_without_groups_everything_is_in_one(tmp_path: Path) -> None:
    (group,) = plan(tmp_path, "[run]\nworkers = '2:3'\nbusy_percent = 50").groups
    assert (group.name, group.runs) == ("web", ("web",))
    assert (group.replicas, group.busy_percent) == (Replicas(2, 3), 50.0)


def test_groups_have_what_they_say_and_the_rest_from_the_settings(tmp_path: Path) -> None:
    text = """
    [run]
    workers = 2
    busy_percent = 50
    [size.machine.groups.work]
    runs = ["mail"]
    replicas = { min = 1, max = 4, busy_percent = 70 }
    [size.machine.groups.front]
    runs = ["web", "orders"]
    [size.machine.groups.store]
    runs = ["stock"]
    replicas = "1:2"
    """
    front, work, store = plan(tmp_path, text).groups
    assert (front.name, front.runs, front.replicas) == ("front", ("orders", "web"), Replicas(2, 2))
    assert (work.replicas, work.busy_percent) == (Replicas(1, 4), 70.0)
    assert (store.replicas, store.busy_percent) == (Replicas(1, 2), 50.0)


def test_the_edge_has_a_group_though_none_is_written(tmp_path: Path) -> None:
    web, work = plan(tmp_path, '[size.machine.groups.work]\nruns = ["mail"]').groups
    assert (web.name, web.runs) == ("web", ("web",))
    assert work.replicas == Replicas(1, 1)


def test_workers_of_the_command_line_count_more_than_those_of_the_file(tmp_path: Path) -> None:
    text = '[size.machine.groups.web]\nruns = ["web"]\nreplicas = 3'
    assert plan(tmp_path, text).edge.replicas == Replicas(3, 3)
    assert plan(tmp_path, text, workers="2").edge.replicas == Replicas(2, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[size.machine.groups.a]\nruns = ["x"]\n[size.machine.groups.b]\nruns = ["x"]', "two gro"),
        ('[size.machine.groups.Work]\nruns = ["x"]', "no name for a group"),
        ("[size.machine.groups.work]", "does not say what it runs"),
        ("[size.machine.groups.work]\nruns = []", "does not say what it runs"),
        ("[size.machine.groups.work]\nruns = [1]", "does not say what it runs"),
        ('[size.machine.groups.work]\nruns = ["x"]\nrun = 1', "`run` in the group `work`"),
        ('[size.machine.groups.work]\nruns = ["x"]\nreplicas = 0', "cannot be `0`"),
        ('[size.machine.groups.work]\nruns = ["x"]\nreplicas = {mx = 2}', "`mx` in `replicas`"),
        (
            '[size.machine.groups.work]\nruns = ["x"]\nreplicas = {busy_percent = 0}',
            "not from 1 to 100",
        ),
        ('[size.machine.groups.web]\nruns = ["x"]', "does not run `web`"),
        ('[size.machine]\ngroups = "x"', "is no table"),
        ('[size.machines.groups.work]\nruns = ["x"]', "`machines` in [size]"),
    ],
    ids=[
        *("two homes", "a wrong name", "nothing to run", "an empty list", "numbers"),
        *("an unknown key", "no workers", "an unknown bound", "no busy share", "web without web"),
        *("no table", "an unknown size"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(
    tmp_path: Path, text: str, said: str
) -> None:
    with pytest.raises(OutgrowError) as refused:
        plan(tmp_path, text)
    assert said in refused.value.text
