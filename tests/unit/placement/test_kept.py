"""The plan outlives the supervisor, and what was applied can be taken back."""

from __future__ import annotations

from pathlib import Path

import pytest

from outgrow.errors import OutgrowError, RefusedError
from outgrow.model import Replicas
from outgrow.placement.changes import Wish, wish_of
from outgrow.placement.kept import UNDO_MAX, KeptPlan, kept_plan
from outgrow.placement.machine import Machine
from outgrow.placement.plan import whole_plan

WHOLE = whole_plan(Replicas(1, 1), 60.0).completed(["mail", "stock"])
SPLIT = WHOLE.moved("mail", "work")
MACHINE = Machine(cpus=4.0, memory_bytes=1000, is_container=False)


def test_a_plan_that_was_applied_is_found_again(tmp_path: Path) -> None:
    kept, told = kept_plan(tmp_path / "plan.json", WHOLE)
    assert told == ""
    kept.changed(SPLIT)
    kept.write(tmp_path / "plan.json")
    again, told = kept_plan(tmp_path / "plan.json", WHOLE)
    assert again == kept
    assert again.current == SPLIT
    assert "as applied, not as set" in told


def test_a_change_of_outgrow_toml_drops_what_was_applied(tmp_path: Path) -> None:
    kept = KeptPlan(WHOLE, SPLIT, [WHOLE])
    kept.write(tmp_path / "plan.json")
    other = WHOLE.moved("stock", "store")
    again, told = kept_plan(tmp_path / "plan.json", other)
    assert again == KeptPlan(other, other)
    assert "dropped" in told


def test_what_is_typed_now_counts_more_than_what_was_applied_and_can_be_taken_back() -> None:
    applied = SPLIT.resized("web", Replicas(3, 3))
    kept = KeptPlan(WHOLE, applied, [WHOLE])
    told = kept.take_typed(Replicas(1, 1))
    assert told.startswith("`--workers 1` counts, not `3`, which was applied before")
    assert kept.current == SPLIT
    assert kept.undone() == applied


def test_what_is_typed_as_it_was_applied_changes_and_tells_nothing() -> None:
    kept = KeptPlan(WHOLE, SPLIT, [WHOLE])
    assert kept.take_typed(Replicas(1, 1)) == ""
    assert kept == KeptPlan(WHOLE, SPLIT, [WHOLE])


@pytest.mark.parametrize("content", [b"", b"{", b'{"written": 1}', b"\xff"])
def test_a_file_that_cannot_be_read_is_told_and_not_used(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "plan.json").write_bytes(content)
    kept, told = kept_plan(tmp_path / "plan.json", WHOLE)
    assert kept == KeptPlan(WHOLE, WHOLE)
    assert "cannot be read" in told


def test_changes_are_taken_back_one_by_one() -> None:
    kept = KeptPlan(WHOLE, WHOLE)
    kept.changed(SPLIT)
    kept.changed(SPLIT)
    kept.changed(SPLIT.moved("stock", "work"))
    assert kept.undone() == SPLIT
    kept.took_back(kept.undone())
    assert kept.undone() == WHOLE
    kept.took_back(kept.undone())
    with pytest.raises(RefusedError, match="nothing to undo"):
        kept.undone()


def test_only_so_many_changes_are_remembered() -> None:
    kept = KeptPlan(WHOLE, WHOLE)
    for count in range(2, UNDO_MAX + 10):
        kept.changed(WHOLE.resized("web", Replicas(count, count)))
    assert len(kept.before) == UNDO_MAX


def test_a_wish_becomes_a_plan() -> None:
    kept = KeptPlan(WHOLE, SPLIT, [WHOLE])
    wish = Wish(moves=["stock=work", "mail=post"], merges=["post=work"], workers="work=2:3")
    plan = wish.plan_after(kept, SPLIT, MACHINE)
    group = plan.group("work")
    assert group is not None
    assert (group.runs, group.replicas) == (("mail", "stock"), Replicas(2, 3))
    assert Wish(workers="2").plan_after(kept, SPLIT, MACHINE).edge.replicas == Replicas(2, 2)
    assert Wish(undo=True).plan_after(kept, SPLIT, MACHINE) == WHOLE


def test_a_group_that_a_wish_makes_is_resized_by_it() -> None:
    wish = Wish(moves=["stock=shelf"], sizes=["web=3", "shelf=2:4"])
    plan = wish.plan_after(KeptPlan(WHOLE, SPLIT), SPLIT, MACHINE)
    assert {one.name: str(one.replicas) for one in plan.groups} == {
        "web": "3",
        "work": "1",
        "shelf": "2:4",
    }


@pytest.mark.parametrize(
    "wish",
    [
        Wish(moves=["stock"]),
        Wish(moves=["=work"]),
        Wish(merges=["work="]),
        Wish(workers="work=none"),
        Wish(workers="store=2"),
        Wish(undo=True, moves=["stock=work"]),
        Wish(undo=True, sizes=["web=2"]),
    ],
    ids=[
        "no group",
        "no service",
        "into nothing",
        "no number",
        "no such group",
        "undo and more",
        "undo and size",
    ],
)
def test_a_wish_without_sense_is_refused(wish: Wish) -> None:
    with pytest.raises(OutgrowError):
        wish.plan_after(KeptPlan(WHOLE, SPLIT, [WHOLE]), SPLIT, MACHINE)


def test_what_is_asked_for_over_the_socket_is_read() -> None:
    assert wish_of(b'{"moves": ["a=b"], "reload": true}') == Wish(moves=["a=b"], reload=True)
    with pytest.raises(RefusedError, match="nothing to change"):
        wish_of(b'{"is_only_shown": true}')


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish(moves=["stock=desk"], workers="web=2"), "move stock to desk, workers web=2"),
        (Wish(merges=["desk=web"], reload=True), "merge desk into web, reload"),
        (Wish(undo=True), "undo the last change"),
    ],
    ids=["move and size", "merge and reload", "undo"],
)
def test_a_change_is_told_in_words_with_who_asked_and_what_came_of_it(
    wish: Wish, words: str
) -> None:
    assert wish.entry("anna (uid 1000)", None) == f"anna (uid 1000): {words}: done"
    assert wish.entry("bob", "no room") == f"bob: {words}: refused, no room"


def test_what_is_expected_of_a_change_is_written_down_with_it() -> None:
    wish = Wish(
        sizes=["web=2"], why="foretold: 1.9 times (1.7 to 2.1), 250 (240 to 260) requests/s"
    )
    assert wish.entry("anna", None) == (
        "anna: workers web=2 (foretold: 1.9 times (1.7 to 2.1), 250 (240 to 260) requests/s): done"
    )
