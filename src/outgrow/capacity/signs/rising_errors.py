"""W26: errors rise faster than traffic, by deploy or with load.

Formula: share of calls that fail after a deploy over that before it; without one, in the windows
with more than the median of calls over those with fewer, where they differ by a fifth or more. By
the lower end of what chance makes of so few (90 % interval): 1.5 times, severe from 3, of ten
errors or more.

Source:
    Interval of a ratio of two rates: D. Katz and others, Biometrics 34(3), 1978, half an error
    added to each.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from outgrow.capacity.signs.sign import CALLS_MIN, Finding, Missing, Seen, severity_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from outgrow.capacity.evidence import OperationWindow

NAME = "rising errors"
WARN, SEVERE = 1.5, 3.0
ERRORS_MIN = 10
BUSIER_RATIO_MIN = 1.2
_Z90 = 1.645


@dataclass(frozen=True, kw_only=True)
class _Count:
    calls: int
    errors: int

    @property
    def ratio(self) -> float:
        return self.errors / self.calls if self.calls else 0.0


def look(seen: Seen) -> list[Finding] | Missing:
    """Each operation that fails more often since a deploy, or the more often the more it does."""
    if not seen.enough():
        return Missing(f"{CALLS_MIN} calls")
    begins = [one.at_seconds for one in seen.releases]
    spans: dict[str, dict[int, list[OperationWindow]]] = defaultdict(lambda: defaultdict(list))
    for window in seen.windows:
        # A window in which a deploy lies has calls of both: it belongs to neither.
        span = bisect_right(begins, window.at_seconds)
        if span == bisect_right(begins, window.at_seconds + window.seconds):
            for one in window.operations:
                spans[one.name][span].append(one)
    found: list[Finding] = []
    for name, by_span in sorted(spans.items()):
        by_deploy = [
            _by_deploy(name, seen.releases[span - 1].text, by_span[span - 1], by_span[span])
            for span in sorted(by_span)
            if span - 1 in by_span
        ]
        risen = [one for one in by_deploy if one] or [_with_load(name, by_span[max(by_span)])]
        found += [one for one in risen[-1:] if one]
    return found


def _by_deploy(
    name: str, text: str, before: Iterable[OperationWindow], after: Iterable[OperationWindow]
) -> Finding | None:
    earlier, later = _sum(before), _sum(after)
    told = f"{later.ratio:.2%} of calls fail since {text}, {earlier.ratio:.2%} before it"
    return _finding(name, earlier, later, told)


def _with_load(name: str, windows: Sequence[OperationWindow]) -> Finding | None:
    middle = median(one.calls for one in windows)
    quiet = [one for one in windows if one.calls <= middle]
    busy = [one for one in windows if one.calls > middle]
    few, many = _sum(quiet), _sum(busy)
    if not busy or many.calls / len(busy) < BUSIER_RATIO_MIN * few.calls / len(quiet):
        return None
    told = (
        f"{many.ratio:.2%} of calls fail in windows of {many.calls / len(busy):.0f} calls, "
        f"{few.ratio:.2%} in those of {few.calls / len(quiet):.0f}"
    )
    return _finding(name, few, many, told)


def _sum(windows: Iterable[OperationWindow]) -> _Count:
    several = list(windows)
    return _Count(
        calls=sum(one.calls for one in several), errors=sum(one.errors for one in several)
    )


def _finding(name: str, before: _Count, after: _Count, text: str) -> Finding | None:
    if min(before.calls, after.calls) < CALLS_MIN or after.errors < ERRORS_MIN:
        return None
    low, best = _times_at_least(before, after)
    severity = severity_of(low, WARN, SEVERE)
    if severity is None:
        return None
    return Finding(
        sign=NAME,
        severity=severity,
        subject=name,
        value=best,
        threshold=WARN,
        text=f"{text}: {best:.1f} times as many, {low:.1f} at least",
        share_ratio=after.ratio,
        numbers={"before_ratio": before.ratio, "after_ratio": after.ratio, "times_low": low},
    )


def _times_at_least(before: _Count, after: _Count) -> tuple[float, float]:
    """By how many times a share of errors has surely risen, and by how many most likely."""
    one = (before.errors + 0.5) / (before.calls + 0.5)
    other = (after.errors + 0.5) / (after.calls + 0.5)
    spread = math.sqrt(
        1 / (before.errors + 0.5)
        - 1 / (before.calls + 0.5)
        + 1 / (after.errors + 0.5)
        - 1 / (after.calls + 0.5)
    )
    best = other / one
    return best * math.exp(-_Z90 * spread), best
