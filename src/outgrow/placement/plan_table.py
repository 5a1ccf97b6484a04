"""The plan as outgrow.toml writes it: `[size.machine.groups.NAME]`.

```toml
[size.machine.groups.web]
runs = ["web", "orders"]
replicas = { min = 1, max = 4, busy_percent = 60 }
```
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from outgrow.errors import SettingValueError, UnknownSettingError
from outgrow.placement.plan import (
    EDGE,
    GROUP_NAME,
    GROUP_NAME_HINT,
    GROUPS_MAX,
    Group,
    Plan,
    whole_plan,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from outgrow.model import Replicas, Settings

_KEYS = ("runs", "replicas")
_REPLICAS_KEYS = ("min", "max", "busy_percent")


def plan_in(
    content: Mapping[str, object],
    file_name: str,
    settings: Settings,
    parse_replicas: Callable[[object], Replicas],
) -> Plan:
    """The plan that a settings file holds; everything in one group where it has none.

    Args:
        content: The file, or its table `tool.outgrow`.
        file_name: For messages.
        settings: How many workers the group with the edge has, and the busy share that all are
            scaled to, where they do not say.
        parse_replicas: Reads `N`, `MIN:MAX` and `auto`.

    Raises:
        SettingError: It makes no sense; says where.
    """
    whole = whole_plan(settings.workers, settings.busy_percent)
    tables, path = content, ""
    for name in ("size", "machine", "groups"):
        path = f"{path}.{name}".lstrip(".")
        tables = _table(tables.get(name, {}), f"`{path}`", file_name)
        if name != "groups":
            _only(tables, ({"size": "machine", "machine": "groups"}[name],), f"[{path}]")
    if len(tables) > GROUPS_MAX:
        raise SettingValueError(f"{file_name} has over {GROUPS_MAX} groups")
    groups = [
        _group(name, _table(table, f"the group `{name}`", file_name), file_name, parse_replicas)
        for name, table in tables.items()
    ]
    homes: dict[str, str] = {}
    for group in groups:
        for each in group.runs:
            if homes.setdefault(each, group.name) != group.name:
                raise SettingValueError(
                    f"`{each}` runs in two groups of {file_name}: {homes[each]} and {group.name}",
                    hint="A service runs in one group; more workers: `replicas`",
                )
    defaulted = [_defaulted(group, tables, whole.edge) for group in groups]
    if EDGE not in homes:
        own = next((group for group in defaulted if group.name == EDGE), None)
        if own is not None:
            raise SettingValueError(
                f"the group `{EDGE}` of {file_name} does not run `{EDGE}`, and no other does",
                hint=f'Write `runs = ["{EDGE}", ...]`, or give the group another name',
            )
        defaulted.insert(0, whole.edge)
    return Plan(tuple(sorted(defaulted, key=lambda each: not each.has_edge)))


def _defaulted(group: Group, tables: Mapping[str, object], edge: Group) -> Group:
    """A group with what it does not say itself."""
    said = cast("dict[str, object]", tables[group.name]).get("replicas")
    if said is None:
        replicas = edge.replicas if group.has_edge else group.replicas
        return replace(group, replicas=replicas, busy_percent=edge.busy_percent)
    if not (isinstance(said, dict) and "busy_percent" in said):
        return replace(group, busy_percent=edge.busy_percent)
    return group


def _group(
    name: str,
    table: Mapping[str, object],
    file_name: str,
    parse_replicas: Callable[[object], Replicas],
) -> Group:
    if not GROUP_NAME.fullmatch(name):
        raise SettingValueError(
            f"`{name}` in {file_name} is no name for a group",
            hint=GROUP_NAME_HINT,
        )
    _only(table, _KEYS, f"the group `{name}` of {file_name}")
    runs = table.get("runs")
    is_list = isinstance(runs, list) and bool(cast("list[object]", runs))
    if not is_list or not all(isinstance(each, str) for each in cast("list[object]", runs)):
        raise SettingValueError(
            f"the group `{name}` of {file_name} does not say what it runs",
            hint='Write `runs = ["SERVICE", ...]`',
        )
    names = tuple(sorted(set(cast("list[str]", runs))))
    replicas = table.get("replicas", 1)
    busy_percent: Any = 60.0
    if isinstance(replicas, dict):
        bounds = cast("dict[str, Any]", replicas)
        _only(bounds, _REPLICAS_KEYS, f"`replicas` of the group `{name}` of {file_name}")
        busy_percent = bounds.get("busy_percent", busy_percent)
        low = bounds.get("min", 1)
        replicas = f"{low}:{bounds.get('max', low)}"
    if isinstance(busy_percent, bool) or not isinstance(busy_percent, int | float):
        busy_percent = 0
    if not 1 <= busy_percent <= 100:
        raise SettingValueError(f"`busy_percent` of the group `{name}` is not from 1 to 100")
    counted = parse_replicas(replicas)
    return Group(name=name, runs=names, replicas=counted, busy_percent=float(busy_percent))


def _table(value: object, what: str, file_name: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise SettingValueError(f"{what} in {file_name} is no table")
    return cast("dict[str, object]", value)


def _only(table: Mapping[str, object], known: tuple[str, ...], what: str) -> None:
    for key in table:
        if key not in known:
            raise UnknownSettingError(
                f"`{key}` in {what} is no setting", hint=f"Known: {', '.join(known)}"
            )
