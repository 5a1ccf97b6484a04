"""W23: one key or partition gets most of the work.

Formula: share of the most frequent key: 10 %, severe from 30 %, and twice the mean of the known
ones, severe from four times, among ten or more.
"""

from __future__ import annotations

from outgrow.capacity.signs.sign import CALLS_MIN, Finding, Missing, Seen, severity_of

NAME = "hot key"
WARN, SEVERE = 0.10, 0.30
WARN_SKEW, SEVERE_SKEW = 2.0, 4.0
KEYS_MIN = 10


def look(seen: Seen) -> list[Finding] | Missing:
    """Each queue whose work falls on one key."""
    counts: dict[str, dict[str, int]] = {}
    totals: dict[str, int] = {}
    for one in (one for window in seen.windows for one in window.queues):
        totals[one.name] = totals.get(one.name, 0) + one.enqueued
        for key, count in one.by_key.items():
            by_key = counts.setdefault(one.name, {})
            by_key[key] = by_key.get(key, 0) + count
    if not counts:
        return Missing("queues counted by key")
    found: list[Finding] = []
    for name, by_key in counts.items():
        total = max(totals[name], sum(by_key.values()))
        hottest = max(by_key, key=lambda key: by_key[key])
        share = by_key[hottest] / total
        skew = by_key[hottest] / (sum(by_key.values()) / len(by_key))
        if total < CALLS_MIN or len(by_key) < KEYS_MIN:
            continue
        by_skew = severity_of(skew, WARN_SKEW, SEVERE_SKEW)
        severity = severity_of(share, WARN, SEVERE)
        if severity and by_skew:
            found.append(
                Finding(
                    sign=NAME,
                    severity="severe" if by_skew == "severe" else severity,
                    subject=name,
                    value=share,
                    threshold=WARN,
                    text=f"`{hottest}` is {share:.0%} of the work in `{name}`,"
                    f" {skew:.1f} times the mean of its keys",
                    share_ratio=share,
                )
            )
    return found
