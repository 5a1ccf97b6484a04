"""W16: services that cannot change without one another.

Formula: of three, two (severe: all): they import each other in a circle; one calls the other as the
program runs; 30 % or more of the commits that touch the rarer one touch both, in 5 or more.
"""

from __future__ import annotations

from itertools import combinations

from outgrow.capacity.signs.adding import links_of
from outgrow.capacity.signs.sign import Finding, Missing, Seen

NAME = "tight coupling"
COMMITS_MIN = 5
SHARED = 0.30


def look(seen: Seen) -> list[Finding] | Missing:
    """Each pair of services that are coupled in two ways or more."""
    if not seen.imports or not seen.commits:
        return Missing("imports and commits, which are not read yet")
    calls = {
        frozenset((seen.service_of.get(one.caller, ""), seen.service_of.get(one.callee, "")))
        for one in links_of(seen.windows).values()
    }
    touched = {name: sum(name in one for one in seen.commits) for name in seen.imports}
    found: list[Finding] = []
    for one, other in combinations(sorted(seen.imports), 2):
        both = sum(one in commit and other in commit for commit in seen.commits)
        rarer = min(touched[one], touched[other])
        share = both / rarer if rarer else 0.0
        ways = {
            "imports in a circle": _reaches(seen, one, other) and _reaches(seen, other, one),
            "calls": frozenset((one, other)) in calls,
            "shared commits": both >= COMMITS_MIN and share >= SHARED,
        }
        count = sum(ways.values())
        if count >= 2:
            named = ", ".join(name for name, holds in ways.items() if holds)
            found.append(
                Finding(
                    sign=NAME,
                    severity="severe" if count == 3 else "warn",
                    subject=f"{one}, {other}",
                    value=count,
                    threshold=2,
                    text=f"Coupled by {named}; {both} commits touch both ({share:.0%})",
                    numbers={"shared_commits": both, "shared_ratio": share},
                )
            )
    return found


def _reaches(seen: Seen, start: str, goal: str) -> bool:
    known, ahead = {start}, [start]
    while ahead:
        for name in seen.imports.get(ahead.pop(), frozenset()):
            if name == goal:
                return True
            if name not in known:
                known.add(name)
                ahead.append(name)
    return False
