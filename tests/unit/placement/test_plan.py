"""A plan says who runs what, and every change of it is another plan."""

from __future__ import annotations

import pytest

from outgrow.errors import RefusedError
from outgrow.model import Replicas
from outgrow.placement.plan import Group, Plan, whole_plan

SERVICES = ("mail", "orders", "stock")
WHOLE = whole_plan(Replicas(1, 2), 60.0).completed(SERVICES)
SPLIT = WHOLE.moved("mail", "work")


def runs(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {group.name: group.runs for group in plan.groups}


def test_what_no_group_names_runs_with_the_edge() -> None:
    plan = Plan((Group(name="web", runs=("web",)), Group(name="work", runs=("mail",))))
    assert runs(plan.completed(SERVICES)) == {"web": ("orders", "stock", "web"), "work": ("mail",)}
    assert not WHOLE.is_split
    assert plan.is_split


def test_a_service_that_the_app_does_not_have_is_refused_by_name() -> None:
    plan = Plan((Group(name="web", runs=("web",)), Group(name="work", runs=("male",))))
    with pytest.raises(RefusedError, match="`work` runs `male`") as refused:
        plan.completed(SERVICES)
    assert "mail, orders, stock" in str(refused.value)


def test_a_service_moves_to_a_new_group_and_back() -> None:
    assert runs(SPLIT) == {"web": ("orders", "stock", "web"), "work": ("mail",)}
    assert SPLIT.moved("mail", "web") == WHOLE
    assert SPLIT.moved("mail", "work") is SPLIT
    assert WHOLE.edge.name == SPLIT.edge.name == "web"


def test_groups_merge_and_the_emptied_one_is_gone() -> None:
    three = SPLIT.moved("stock", "store")
    assert runs(three.merged("store", "work"))["work"] == ("mail", "stock")
    assert three.merged("store", "web").merged("work", "web") == WHOLE


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda: SPLIT.moved("male", "work"), "no service `male`"),
        (lambda: SPLIT.moved("web", "work"), "no service `web`"),
        (lambda: SPLIT.merged("web", "work"), "`web` has the edge"),
        (lambda: SPLIT.merged("work", "work"), "into itself"),
        (lambda: SPLIT.merged("wrk", "web"), "no group `wrk`"),
        (lambda: SPLIT.resized("wrk", Replicas(1, 1)), "no group `wrk`"),
    ],
    ids=["unknown service", "the edge", "merging the edge", "itself", "unknown group", "resizing"],
)
def test_a_change_that_makes_no_sense_is_refused(change: object, text: str) -> None:
    with pytest.raises(RefusedError, match=text):
        change()  # type: ignore[operator]


def test_the_steps_of_a_change_are_told_in_words() -> None:
    assert WHOLE.steps_to(SPLIT) == [
        "start group `work` with 1 worker",
        "move `mail` from `web` to `work`",
    ]
    assert SPLIT.steps_to(WHOLE) == ["move `mail` from `work` to `web`", "stop group `work`"]
    assert SPLIT.steps_to(SPLIT.resized("work", Replicas(1, 4))) == [
        "group `work`, workers: 1 -> 1:4"
    ]
    assert WHOLE.steps_to(WHOLE.resized("web", Replicas(3, 3))) == ["workers: 1:2 -> 3"]
    assert SPLIT.steps_to(SPLIT) == []
