"""W24: services are restarted for changes of others.

Formula: share of deploys that restarted a service whose code had not changed: 50 %, severe from
80 %, of ten or more.
"""

from __future__ import annotations

from outgrow.capacity.signs.sign import Finding, Missing, Seen, severity_of

NAME = "deployed together"
WARN, SEVERE = 0.5, 0.8
DEPLOYS_MIN = 10


def look(seen: Seen) -> list[Finding] | Missing:
    """The whole, where deploys couple its services."""
    if len(seen.deploys) < DEPLOYS_MIN:
        return Missing(f"{DEPLOYS_MIN} deploys with what changed in them")
    needless = [one for one in seen.deploys if one.restarted - one.changed]
    share = len(needless) / len(seen.deploys)
    severity = severity_of(share, WARN, SEVERE)
    if severity is None:
        return []
    dragged: dict[str, int] = {}
    for one in needless:
        for name in one.restarted - one.changed:
            dragged[name] = dragged.get(name, 0) + 1
    worst = max(dragged, key=lambda name: dragged[name])
    return [
        Finding(
            sign=NAME,
            severity=severity,
            subject=worst,
            value=share,
            threshold=WARN,
            text=f"{share:.0%} of deploys restart services that did not change;"
            f" `{worst}` in {dragged[worst]} of {len(seen.deploys)}",
        )
    ]
