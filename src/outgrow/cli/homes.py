"""Which group each service is in: as outgrow.toml says, or as it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outgrow.cli.show import table
from outgrow.errors import NotRunningError, RefusedError, SettingError
from outgrow.placement import ControlClient, resolve, this_machine

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

EDGE = "web"
_USUAL_FOLDER = ".outgrow"
_FILES = ("outgrow.toml", "pyproject.toml")


@dataclass(frozen=True, kw_only=True)
class GroupEntry:
    """A group; how many workers it has at the moment is None where it is only planned.

    Attributes:
        name: Of the group.
        runs: Services, and `web` for the edge.
        min: Of its workers.
        max: Of its workers.
        busy_percent: The share that scaling aims at.
        ready: Workers that serve.
        wanted: Workers that there should be.
    """

    name: str
    runs: tuple[str, ...]
    min: int
    max: int
    busy_percent: float
    ready: int | None = None
    wanted: int | None = None


@dataclass(frozen=True)
class Homes:
    """The groups of an app.

    Attributes:
        groups: That with the edge first; empty where all of it is one.
        source: The settings file or the supervisor's folder.
        is_running: Whether a supervisor said so.
        problem: Why they are left out; empty where they are not.
    """

    groups: tuple[GroupEntry, ...] = ()
    source: str = ""
    is_running: bool = False
    problem: str = ""

    def of(self, name: str) -> str | None:
        """The group that runs a service, or `web` for the edge."""
        return next((each.name for each in self.groups if name in each.runs), None)


def homes_of(services: Collection[str], folder: str | None = None) -> Homes:
    """The groups of the supervisor that runs, else those that the settings file names.

    Args:
        services: Of the app that is looked at; groups that run others are left out with a reason.
        folder: The supervisor's; without it that of the current folder, if one runs there.

    Raises:
        NotRunningError: None answers in the folder that was named.
    """
    running = _running(folder)
    if running is None:
        return _planned(services)
    source = folder or _USUAL_FOLDER
    for group in running:
        strange = [name for name in group.runs if name not in (EDGE, *services)]
        if strange:
            text = f"the group `{group.name}` runs `{strange[0]}`, which is not in this map"
            return Homes(problem=f"groups that run in {source} are left out: {text}")
    return Homes(running, source, is_running=True)


def _running(folder: str | None) -> tuple[GroupEntry, ...] | None:
    try:
        groups = ControlClient(folder or _USUAL_FOLDER).status()["groups"]
    except NotRunningError:
        if folder is not None:
            raise
        return None
    return tuple(map(_running_group, groups))


def _running_group(group: dict[str, Any]) -> GroupEntry:
    return GroupEntry(
        name=group["name"],
        runs=tuple(group["runs"]),
        min=group["min"],
        max=group["max"],
        busy_percent=group["busy_percent_aim"],
        ready=group["ready"],
        wanted=group["wanted"],
    )


def _planned(services: Collection[str]) -> Homes:
    try:
        plan = resolve({}, this_machine()).plan
        if not plan.is_split and (plan.edge.name, plan.edge.runs) == (EDGE, (EDGE,)):
            return Homes()  # no group is named
        groups = plan.completed(services).groups
    except (SettingError, RefusedError) as problem:  # of the map, only the groups hang on it
        return Homes(problem=f"groups are left out: {problem.text}")
    found = [
        GroupEntry(
            name=group.name,
            runs=group.runs,
            min=group.replicas.min,
            max=group.replicas.max,
            busy_percent=group.busy_percent,
        )
        for group in groups
    ]
    return Homes(tuple(found), next(name for name in _FILES if Path(name).is_file()))


def lines_of(homes: Homes) -> list[str]:
    """The groups as lines of text, under a heading that says where they come from."""
    if not homes.groups:
        return []
    said = f"running in {homes.source}" if homes.is_running else f"as {homes.source} says"
    return ["", f"groups, {said}", *_indented(table([_row(each) for each in homes.groups], set()))]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _row(group: GroupEntry) -> dict[str, str]:
    bounds = str(group.min) if group.min == group.max else f"{group.min} to {group.max}"
    if group.ready is not None:
        bounds = f"{group.ready} of {bounds}"
    elif group.min != group.max:
        bounds += f", by {group.busy_percent:g} % busy"
    return {"group": group.name, "runs": ", ".join(group.runs), "replicas": bounds}
