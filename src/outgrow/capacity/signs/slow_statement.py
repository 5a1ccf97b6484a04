"""W8: a statement is slow, or takes much of its database's time.

Formula: p95 of 100 ms, severe from 500 ms; or 20 % of the database's time; or 100 rows looked at
for each that came back.
"""

from __future__ import annotations

from outgrow.capacity.signs.adding import quantile_seconds, statements_of
from outgrow.capacity.signs.sign import Finding, Missing, Seen, severity_of

NAME = "slow statement"
WARN_SECONDS, SEVERE_SECONDS = 0.1, 0.5
SHARE, EXAMINED = 0.2, 100.0
CALLS_MIN = 20


def look(seen: Seen) -> list[Finding] | Missing:
    """Each statement that is slow."""
    statements = statements_of(seen.windows)
    if not statements:
        return Missing("statements")
    total: dict[str, float] = {}
    for one in statements.values():
        total[one.database] = total.get(one.database, 0.0) + one.duration_seconds
    several = len({one.fingerprint for one in statements.values()}) > 4
    found: list[Finding] = []
    for one in (one for one in statements.values() if one.calls >= CALLS_MIN):
        p95 = quantile_seconds(one.buckets, 0.95)
        share = one.duration_seconds / max(total[one.database], 1e-12)
        examined = one.rows_examined / max(one.rows, 1)
        severity = severity_of(p95, WARN_SECONDS, SEVERE_SECONDS)
        if not severity and not (several and share >= SHARE) and examined < EXAMINED:
            continue
        found.append(
            Finding(
                sign=NAME,
                severity=severity or "warn",
                subject=one.text[:80],
                value=p95,
                threshold=WARN_SECONDS,
                text=f"p95 is {p95 * 1e3:.0f} ms, and it takes {share:.0%} of the time of"
                f" {one.database}; `{one.caller}` runs it",
                share_ratio=share,
                numbers={"rows_examined_per_row": examined},
            )
        )
    return found
