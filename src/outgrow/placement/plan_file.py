"""A plan of growth in a file: what of it is a change of placement, and for which placement.

`outgrow plan N --out FILE` writes all that it tells as JSON, and first of all what it is; `outgrow
apply FILE` reads of it what it carries out, and what is left to people.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from outgrow.errors import FolderError, RefusedError, SettingsFileError
from outgrow.placement.changes import Wish

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FORMAT = "outgrow plan 1"
BYTES_MAX = 1024 * 1024
_HINT = "Write one: `outgrow plan 10 --out plan.json`"


class PlannedGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A group of the placement that a plan was made for.

    Attributes:
        replicas: `MIN:MAX`.
    """

    name: str
    runs: list[str]
    replicas: str


class PlannedChange(msgspec.Struct, frozen=True, kw_only=True):
    """What `outgrow apply` carries out of a plan.

    Attributes:
        moves: `SERVICE=GROUP` each.
        merges: `GROUP=INTO` each.
        sizes: `GROUP=N` or `GROUP=MIN:MAX` each.
        groups: The placement that it was made for.
    """

    moves: list[str] = []
    merges: list[str] = []
    sizes: list[str] = []
    groups: list[PlannedGroup] = []

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to carry out."""
        return not (self.moves or self.merges or self.sizes)

    def wish(self, *, is_only_shown: bool, why: str = "") -> Wish:
        """As a supervisor is asked for it.

        Args:
            is_only_shown: Have it shown, and not done.
            why: What is expected of it.
        """
        return Wish(
            moves=self.moves,
            merges=self.merges,
            sizes=self.sizes,
            is_only_shown=is_only_shown,
            why=why,
        )

    def check(self, groups: Sequence[Mapping[str, Any]]) -> None:
        """Refuse to change another placement than the one that the plan was made for.

        Args:
            groups: As the supervisor tells them now.

        Raises:
            RefusedError: It has changed; says where.
        """
        now = {one["name"]: (sorted(one["runs"]), f"{one['min']}:{one['max']}") for one in groups}
        then = {one.name: (sorted(one.runs), one.replicas) for one in self.groups}
        if now == then:
            return
        changed = sorted(name for name in now.keys() | then if now.get(name) != then.get(name))
        raise RefusedError(
            f"the group `{changed[0]}` is no longer what it was when the plan was made",
            hint="Make a new plan, of traffic after that change: `outgrow plan 10 --out plan.json`",
        )


class _Pattern(msgspec.Struct, frozen=True):
    title: str
    how: str


class _Step(msgspec.Struct, frozen=True):
    pattern: _Pattern
    by: Literal["apply", "hand", "itself"]
    first_after: str = ""


class _Bears(msgspec.Struct, frozen=True):
    best: float
    low: float
    high: float


class PlanFile(msgspec.Struct, frozen=True, kw_only=True):
    """What is read of the file; there is more in it, for people.

    Attributes:
        foretold: What the change of placement alone brings, as the API tells it.
    """

    format: Literal["outgrow plan 1"]
    times: float
    change: PlannedChange
    steps: list[_Step] = []
    target_per_second: float = 0.0
    bears: _Bears | None = None
    stuck: str = ""
    by_hand: str = ""
    foretold: dict[str, Any] | None = None

    @property
    def left_to_people(self) -> list[str]:
        """What is not carried out."""
        left = [f"{one.pattern.title}: {one.pattern.how}" for one in self.steps if one.by == "hand"]
        if self.stuck and self.by_hand:
            left.append(f"`{self.stuck}` is in the way: {self.by_hand}")
        return left

    @property
    def forecast(self) -> dict[str, Any]:
        """What is foreseen once the plan is carried out, as the API tells forecasts.

        Raises:
            RefusedError: The plan does not tell it, or has no step.
        """
        if self.bears is None or not self.steps:
            raise RefusedError(
                "the plan changes nothing that could be verified",
                hint="Leave out `--plan` to verify the forecast of now",
            )
        return {
            "saturation_per_second": msgspec.to_builtins(self.bears),
            "now_per_second": self.target_per_second / self.times,
            "first": [self.steps[-1].first_after],
            "ladder": [],
        }


def write_plan(path: Path, told: Mapping[str, Any]) -> None:
    """Write a plan as the API tells it.

    Raises:
        FolderError: There can be no such file.
    """
    try:
        path.write_text(json.dumps({"format": FORMAT, **told}, indent=2) + "\n", encoding="utf-8")
    except OSError as problem:
        raise FolderError(f"cannot write {path}: {problem.strerror}") from None


def read_plan(path: Path) -> PlanFile:
    """Read one.

    Raises:
        SettingsFileError: There is none, or it is no plan.
    """
    try:
        with path.open("rb") as file:
            content = file.read(BYTES_MAX)
    except OSError as problem:
        raise SettingsFileError(
            f"cannot read the plan {path}: {problem.strerror}", hint=_HINT
        ) from None
    try:
        return msgspec.json.decode(content, type=PlanFile)
    except msgspec.MsgspecError as problem:
        raise SettingsFileError(f"{path} is no plan: {problem}", hint=_HINT) from None
