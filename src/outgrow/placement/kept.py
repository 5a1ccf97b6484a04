"""The plan as it was left: it outlives the supervisor, and what was done to it can be undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from outgrow.errors import RefusedError
from outgrow.placement.plan import Plan

if TYPE_CHECKING:
    from pathlib import Path

    from outgrow.model import Replicas

UNDO_MAX = 20


class KeptPlan(msgspec.Struct):
    """What a supervisor knows of its plan.

    Attributes:
        written: The plan of outgrow.toml.
        current: The plan in force: that one, and what was applied since.
        before: Plans that were in force before, the latest last.
    """

    written: Plan
    current: Plan
    before: list[Plan] = []

    @property
    def is_applied(self) -> bool:
        """Whether something was applied to the plan of outgrow.toml."""
        return self.current != self.written

    def take_written(self, written: Plan) -> bool:
        """Take over a plan from outgrow.toml if it has changed; whether it drops what was applied.

        What was applied stays as long as outgrow.toml says the same as when it was applied.
        """
        if written == self.written:
            return False
        drops = self.is_applied
        self.written, self.current, self.before = written, written, []
        return drops

    def take_typed(self, workers: Replicas) -> str:
        """Have as many workers at the edge as was typed just now, whatever was applied before.

        Returns:
            What to tell about it; empty where there were as many.
        """
        edge = self.current.edge
        if edge.replicas == workers:
            return ""
        self.changed(self.current.resized(edge.name, workers))
        return (
            f"`--workers {workers}` counts, not `{edge.replicas}`, which was applied before: "
            "`outgrow apply --undo` goes back"
        )

    def changed(self, plan: Plan) -> None:
        """Note that another plan is in force."""
        if plan != self.current:
            self.before = [*self.before, self.current][-UNDO_MAX:]
            self.current = plan

    def undone(self) -> Plan:
        """The plan before this one.

        Raises:
            RefusedError: There was none.
        """
        if not self.before:
            raise RefusedError("there is nothing to undo", hint="`outgrow status` shows the groups")
        return self.before[-1]

    def took_back(self, plan: Plan) -> None:
        """Note that the plan before this one is in force again.

        Args:
            plan: What is in force: that one, and what was changed while it was brought back.
        """
        before = self.before.pop() if self.before else plan
        is_same = before.completed(plan.services, drops_others=True) == plan
        self.current = before if is_same else plan

    def write(self, path: Path) -> None:
        """Keep it in a file, which is there whole or not at all.

        Raises:
            OSError: It cannot be written.
        """
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))
        fresh.replace(path)


def kept_plan(path: Path, written: Plan) -> tuple[KeptPlan, str]:
    """The plan that a supervisor left here, and what to tell about it.

    Args:
        path: Where it is kept.
        written: The plan of outgrow.toml, which counts where it has changed since.
    """
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=KeptPlan)
    except FileNotFoundError:
        return KeptPlan(written, written), ""
    except (OSError, msgspec.MsgspecError) as problem:
        return KeptPlan(written, written), f"the plan in {path} cannot be read: {problem}"
    if kept.take_written(written):
        return kept, "workers or groups are set otherwise than before: what was applied is dropped"
    return (
        kept,
        ""
        if kept.current == written
        else "workers and groups are as applied, not as set: `outgrow apply --undo` goes back",
    )
