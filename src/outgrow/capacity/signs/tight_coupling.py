"""W16: services that cannot change without one another.

Formula: of three, two (severe: all): they import each other in a circle; one calls the other as the
program runs; 30 % or more of the commits that touch the rarer one touch both, in 5 or more.
"""

from __future__ import annotations

from itertools import combinations

from outgrow.capacity.signs.adding import links_of
from outgrow.capacity.signs.sign import Finding, Missing, Seen
from outgrow.host import reached, shared_of

NAME = "tight coupling"


def look(seen: Seen) -> list[Finding] | Missing:
    """Each pair of services that are coupled in two ways or more."""
    if not seen.imports or not seen.commits:
        return Missing("imports and commits, of which `outgrow check --coupling` tells from source")
    calls = {
        frozenset((seen.service_of.get(one.caller, ""), seen.service_of.get(one.callee, "")))
        for one in links_of(seen.windows).values()
    }
    reach = {name: reached(seen.imports, name) for name in seen.imports}
    found: list[Finding] = []
    for one, other in combinations(sorted(seen.imports), 2):
        shared = shared_of(one, other, seen.commits)
        ways = {
            "imports in a circle": other in reach[one] and one in reach[other],
            "calls": frozenset((one, other)) in calls,
            "shared commits": shared.is_coupled,
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
                    text=f"Coupled by {named}; {shared.both} commits touch both "
                    f"({shared.ratio:.0%})",
                    numbers={
                        "shared_commits_count": shared.both,
                        "shared_percent": 100 * shared.ratio,
                    },
                )
            )
    return found
