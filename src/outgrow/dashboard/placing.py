"""Who runs where, as the supervisor says, and changes of it on behalf of who asks here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from outgrow.dashboard.shapes import Group, Outcome, Placement, Problem
from outgrow.errors import NotRunningError, OutgrowError
from outgrow.placement import ControlClient

if TYPE_CHECKING:
    from pathlib import Path

    from outgrow.placement import Wish

STEPS_MAX = 1000


class Supervision:
    """Speaks to the supervisor of a folder.

    Args:
        folder: Such as `.outgrow`.
    """

    def __init__(self, folder: Path) -> None:
        self._client = ControlClient(folder)

    def placement(self, *, may_change: bool) -> Placement:
        """Who runs where; state `none` where no supervisor answers."""
        try:
            status = self._client.status()
        except NotRunningError:
            return Placement(state="none", may_change=False)
        return Placement(
            state=status["state"],
            may_change=may_change,
            version=status["version"],
            groups=[_group(group) for group in status["groups"]],
            restarts=status["restarts"],
        )

    def is_durable(self) -> bool | None:
        """Whether the app has events or jobs; None where no supervisor answers."""
        try:
            return self._client.status()["is_durable"]
        except NotRunningError:
            return None

    def change(self, wish: Wish) -> Outcome:
        """Carry a change out. It may take as long as the app takes to start."""
        steps: list[str] = []
        try:
            for step in self._client.apply(wish):
                # How to have a plan carried out on the command line is of no use here.
                if len(steps) < STEPS_MAX and "--dry-run" not in step:
                    steps.append(step)
        except OutgrowError as problem:
            refusal = Problem(text=problem.text, hint=problem.hint)
            return Outcome(is_done=False, steps=steps, problem=refusal)
        return Outcome(is_done=True, steps=steps)


def _group(group: dict[str, Any]) -> Group:
    return Group(
        name=group["name"],
        runs=group["runs"],
        replicas_min=group["min"],
        replicas_max=group["max"],
        ready=group["ready"],
        busy_percent=group["busy_percent"],
    )
