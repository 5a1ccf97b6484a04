"""What somebody asks a supervisor to change, and the plan that comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from outgrow.errors import RefusedError
from outgrow.placement.sources import parse_replicas

if TYPE_CHECKING:
    from outgrow.placement.kept import KeptPlan
    from outgrow.placement.machine import Machine
    from outgrow.placement.plan import Plan

WHY_CHARACTERS_MAX = 200
_FORM = "Say `--workers N`, `--move SERVICE=GROUP`, `--merge GROUP=INTO`, `--undo` or `--reload`"


class Wish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change as it is asked for.

    Attributes:
        workers: How many workers: `N`, `MIN:MAX` or `auto`, with `GROUP=` before it for a group
            other than the one with the edge.
        sizes: `GROUP=N` each, for several groups at once.
        moves: `SERVICE=GROUP` each.
        merges: `GROUP=INTO` each.
        undo: Go back to the plan before.
        reload: Load the app and its settings anew; groups whose code is the same stay.
        reload_all: The same, but no group stays.
        is_only_shown: Say what would change, and change nothing.
        why: What is expected of it, which is written down with it.
    """

    workers: str | None = None
    sizes: list[str] = []
    moves: list[str] = []
    merges: list[str] = []
    undo: bool = False
    reload: bool = False
    reload_all: bool = False
    is_only_shown: bool = False
    why: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked for."""
        return not (self._changes_plan or self.undo or self.reloads)

    @property
    def _changes_plan(self) -> bool:
        return bool(self.workers or self.sizes or self.moves or self.merges)

    @property
    def reloads(self) -> bool:
        """Whether the app is to be loaded anew."""
        return self.reload or self.reload_all

    @property
    def in_words(self) -> str:
        """What is asked for, as people say it."""
        said = [f"move {move.replace('=', ' to ')}" for move in self.moves]
        said += [f"merge {merge.replace('=', ' into ')}" for merge in self.merges]
        said += [f"workers {size}" for size in self.sizes]
        if self.workers:
            said.append(f"workers {self.workers}")
        if self.undo:
            said.append("undo the last change")
        if self.reloads:
            said.append("reload all" if self.reload_all else "reload")
        return ", ".join(said)

    def entry(self, who: str, problem: str | None) -> str:
        """What is written down of it: who asked, for what, and what came of it.

        Args:
            who: Who asked.
            problem: Why it was not done; None where it was.
        """
        end = "done" if problem is None else f"refused, {problem}"
        why = f" ({self.why[:WHY_CHARACTERS_MAX]})" if self.why else ""
        return f"{who}: {self.in_words}{why}: {end}"

    def plan_after(self, kept: KeptPlan, plan: Plan, machine: Machine) -> Plan:
        """The plan that is wanted.

        Args:
            kept: What was in force before.
            plan: What is in force.
            machine: For `auto`.

        Raises:
            OutgrowError: It makes no sense.
        """
        if self.undo:
            if self._changes_plan:
                raise RefusedError("`--undo` goes alone", hint="Undo first, then change")
            return kept.undone()
        for move in self.moves:
            plan = plan.moved(*_pair(move, "--move SERVICE=GROUP"))
        for merge in self.merges:
            plan = plan.merged(*_pair(merge, "--merge GROUP=INTO"))
        for size in [*self.sizes, *([self.workers] if self.workers else [])]:
            name, _, count = size.rpartition("=")
            plan = plan.resized(name or plan.edge.name, parse_replicas(count, machine))
        return plan


def wish_of(body: bytes) -> Wish:
    """What a request asks for.

    Raises:
        RefusedError: It makes no sense, or asks for nothing.
    """
    try:
        wish: Any = msgspec.json.decode(body or b"{}", type=Wish)
    except msgspec.MsgspecError as problem:
        raise RefusedError(f"the request is not understood: {problem}", hint=_FORM) from None
    if wish.is_empty:
        raise nothing_asked_for()
    return wish


def nothing_asked_for() -> RefusedError:
    """The error for a wish that is empty."""
    return RefusedError("nothing to change", hint=_FORM)


def _pair(text: str, form: str) -> tuple[str, str]:
    first, equals, second = text.partition("=")
    if not (first and equals and second):
        raise RefusedError(f"`{text}` is not understood", hint=f"Write it as `{form}`")
    return first, second
