"""Which groups a reload can leave alone: those whose code, and all that they call, is the same.

The group with the edge is always started anew, since files that are no code, such as templates and
certificates, are mostly read there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outgrow.host import Makeup
    from outgrow.placement.groups import Deployment
    from outgrow.placement.plan import Group

_NAMED_MAX = 3


def reasons_to_restart(before: Deployment, after: Deployment) -> dict[str, str]:
    """Why each group of a new version is started anew; empty for one that keeps its workers.

    Args:
        before: What serves.
        after: What is to come; its app is imported.
    """
    whole = _reason_for_all(before, after)
    reasons = {
        group.name: whole or _reason(group, before, after.load.makeup, before.load.makeup)
        for group in after.plan.groups
    }
    # Who keeps its workers calls only those who do: a request that one version has begun stays
    # in it.
    while more := _reasons_by_need(reasons, after):
        reasons |= more
    return reasons


def _reason_for_all(before: Deployment, after: Deployment) -> str:
    old, new = before.load, after.load
    if not (old.forks and new.forks):
        return "each worker imports the app for itself"
    if old.begin.settings != new.begin.settings:
        return "a setting has changed"
    if old.makeup is None or new.makeup is None:
        return "it is not known what has changed"
    if old.makeup.packages != new.makeup.packages:
        return _changed(set(old.makeup.packages) ^ set(new.makeup.packages))
    return ""


def _reason(group: Group, before: Deployment, new: Makeup | None, old: Makeup | None) -> str:
    there = before.plan.group(group.name)
    if there is None or there.runs != group.runs:
        return "it runs something else"
    if group.has_edge:
        return "it has the edge"
    changed: set[str] = set()
    for service in group.services:
        if old is None or new is None or service not in old.parts:
            return f"`{service}` is new"
        entries = set(old.code_of(service).items()) ^ set(new.code_of(service).items())
        changed |= {file for file, _ in entries}
    return _changed(changed) if changed else ""


def _reasons_by_need(reasons: dict[str, str], after: Deployment) -> dict[str, str]:
    makeup = after.load.makeup
    found: dict[str, str] = {}
    for group in after.plan.groups:
        if reasons[group.name] or makeup is None:
            continue
        needed = {each for service in group.services for each in makeup.needs[service]}
        homes = {home.name for each in needed if (home := after.plan.home_of(each)) is not None}
        for home in sorted(homes - {group.name}):
            if reasons[home]:
                found[group.name] = f"it calls group `{home}`"
    return found


def _changed(things: set[str]) -> str:
    some = sorted(things)[:_NAMED_MAX]
    more = len(things) - len(some)
    named = ", ".join([*some, *([f"{more} more"] if more else [])])
    return f"{named} {'has' if len(things) == 1 else 'have'} changed"
