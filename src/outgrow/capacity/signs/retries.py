"""W19: calls are tried again so often that retries are load of their own.

Formula: attempts over calls: 1.05, severe from 1.2, or where the first limit would not bear the
load if half of all calls were tried once more.
"""

from __future__ import annotations

from outgrow.capacity.signs.adding import links_of
from outgrow.capacity.signs.sign import CALLS_MIN, Finding, Missing, Seen, severity_of

NAME = "retries"
WARN, SEVERE = 1.05, 1.2
STORM_RATIO = 1.5


def look(seen: Seen) -> list[Finding] | Missing:
    """Each link that is retried."""
    links = [one for one in links_of(seen.windows).values() if one.attempts]
    if not links:
        return Missing("attempts of calls")
    found: list[Finding] = []
    for one in (one for one in links if one.calls >= CALLS_MIN):
        ratio = one.attempts / one.calls
        severity = severity_of(ratio, WARN, SEVERE)
        if severity is None:
            continue
        headroom = seen.told.headroom.low if seen.told else None
        storm = headroom is not None and headroom < STORM_RATIO
        more = "; a storm of retries would pass the first limit" if storm else ""
        found.append(
            Finding(
                sign=NAME,
                severity="severe" if storm else severity,
                subject=f"{one.caller} -> {one.callee}",
                value=ratio,
                threshold=WARN,
                text=f"{ratio:.2f} attempts for each call{more}",
                share_ratio=1 - 1 / ratio,
            )
        )
    return found
