"""A plan of growth in a file is carried out on the placement that it was made for, and no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from outgrow.errors import FolderError, RefusedError, SettingsFileError
from outgrow.placement import PlannedChange, PlannedGroup, Wish, read_plan, write_plan

WEB = PlannedGroup(name="web", runs=["stock", "web"], replicas="1:1")
TOLD: dict[str, Any] = {
    "times": 10.0,
    "sentence": "2 steps",
    "stuck": "writer a",
    "by_hand": "hold it for less",
    "steps": [
        {"by": "apply", "pattern": {"title": "run `web` 3 times", "how": "`outgrow apply`"}},
        {"by": "hand", "pattern": {"title": "give `pool a` 9 slots", "how": "write it"}},
        {"by": "itself", "pattern": {"title": "run `mail` 3 times", "how": "it grows"}},
    ],
    "change": {
        "moves": ["stock=shelf"],
        "sizes": ["web=3"],
        "groups": [{"name": "web", "runs": ["stock", "web"], "replicas": "1:1"}],
    },
}


def running(**more: Any) -> dict[str, Any]:
    return {"name": "web", "runs": ["web", "stock"], "min": 1, "max": 1} | more


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, TOLD)
    plan = read_plan(path)
    assert plan.change == PlannedChange(moves=["stock=shelf"], sizes=["web=3"], groups=[WEB])
    assert plan.left_to_people == [
        "give `pool a` 9 slots: write it",
        "`writer a` is in the way: hold it for less",
    ]
    assert plan.change.wish(is_only_shown=True) == Wish(
        moves=["stock=shelf"], sizes=["web=3"], is_only_shown=True
    )


def test_a_plan_is_carried_out_on_the_placement_that_it_was_made_for() -> None:
    change = PlannedChange(sizes=["web=3"], groups=[WEB])
    change.check([running()])


@pytest.mark.parametrize(
    ("groups", "name"),
    [
        pytest.param([running(max=2)], "web", id="other bounds"),
        pytest.param([running(runs=["web"])], "web", id="fewer services"),
        pytest.param([running(), running(name="mail")], "mail", id="a group more"),
        pytest.param([], "web", id="a group less"),
    ],
)
def test_a_plan_for_another_placement_is_refused(groups: list[dict[str, Any]], name: str) -> None:
    with pytest.raises(RefusedError, match=f"the group `{name}` is no longer"):
        PlannedChange(sizes=["web=3"], groups=[WEB]).check(groups)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="nothing"),
        pytest.param("{}", id="no format"),
        pytest.param('{"format": "outgrow plan 2", "times": 1, "change": {}}', id="a later one"),
        pytest.param(
            '{"format": "outgrow plan 1", "times": 1, "change": {"moves": "a=b"}}', id="no list"
        ),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(content)
    with pytest.raises(SettingsFileError, match="is no plan"):
        read_plan(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsFileError, match="cannot read the plan"):
        read_plan(tmp_path / "plan.json")
    with pytest.raises(FolderError, match="cannot write"):
        write_plan(tmp_path / "nowhere" / "plan.json", TOLD)
