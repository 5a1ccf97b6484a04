"""W25: jobs or events use up their attempts.

Formula: dead letters that came over all that ended, by the lower end of what chance makes of so few
(a Poisson count, 95 %): 1 in 1000, severe from 1 in 100, of three or more.

Source:
    Bound of a Poisson count: E. B. Wilson and M. M. Hilferty, PNAS 17(12), 1931.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

from outgrow.capacity.signs.sign import Finding, Missing, Seen, severity_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.capacity.evidence import QueueWindow

NAME = "dead letters grow"
WARN, SEVERE = 0.001, 0.01
LETTERS_MIN = 3
_Z95 = 1.645


def look(seen: Seen) -> list[Finding] | Missing:
    """Each queue and subscription whose work dies."""
    rows: dict[str, list[QueueWindow]] = {}
    for one in (one for window in seen.windows for one in window.queues):
        rows.setdefault(one.name, []).append(one)
    if not any(one.is_sounded for several in rows.values() for one in several):
        return Missing("dead letters of queues or subscriptions, asked of their store")
    found = [_finding(name, several) for name, several in sorted(rows.items())]
    return [one for one in found if one is not None]


def _finding(name: str, rows: Sequence[QueueWindow]) -> Finding | None:
    counts = [one.dead for one in rows if one.is_sounded]
    # Those that were discarded, or are tried again, make no others unsaid.
    died = sum(max(0, later - earlier) for earlier, later in pairwise(counts))
    if died < LETTERS_MIN:
        return None
    ended = died + sum(one.ended for one in rows)
    severity = severity_of(at_least(died) / ended, WARN, SEVERE)
    if severity is None:
        return None
    share = died / ended
    return Finding(
        sign=NAME,
        severity=severity,
        subject=name,
        value=share,
        threshold=WARN,
        text=f"{died} of {ended} in `{name}` used up their attempts ({share:.1%});"
        f" {counts[-1]} dead letters wait there",
        share_ratio=share,
        numbers={"died_count": died, "waiting_count": counts[-1]},
    )


def at_least(count: int) -> float:
    """What a rate that made so many makes at least, in 95 of 100 cases."""
    return count * max(0.0, 1 - 1 / (9 * count) - _Z95 / (3 * math.sqrt(count))) ** 3
