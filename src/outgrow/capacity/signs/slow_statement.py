"""W8: a statement is slow, or takes much of its database's time.

Formula: p95 of 100 ms, severe from 500 ms; or, from a p95 of 10 ms on, 20 % of the database's time;
or 100 rows looked at for each that came back. A quick one that takes much of the time of a database
with little to do is how it should be.
"""

from __future__ import annotations

from outgrow.capacity.signs.adding import gain_of_database, quantile_seconds
from outgrow.capacity.signs.examples import traces_running
from outgrow.capacity.signs.sign import Finding, Missing, Seen, severity_of

NAME = "slow statement"
WARN_SECONDS, SEVERE_SECONDS = 0.1, 0.5
SHARING_SECONDS = 0.01
SHARE, EXAMINED = 0.2, 100.0
CALLS_MIN = 20


def look(seen: Seen) -> list[Finding] | Missing:
    """Each statement that is slow."""
    if not seen.statements:
        return Missing("statements")
    total: dict[str, float] = {}
    for one in seen.statements:
        total[one.database] = total.get(one.database, 0.0) + one.duration_seconds
    several = len({one.fingerprint for one in seen.statements}) > 4
    found: list[Finding] = []
    for one in (one for one in seen.statements if one.calls >= CALLS_MIN):
        p95 = quantile_seconds(one.buckets, 0.95)
        share = one.duration_seconds / max(total[one.database], 1e-12)
        examined = one.rows_examined / max(one.rows, 1)
        severity = severity_of(p95, WARN_SECONDS, SEVERE_SECONDS)
        takes_much = several and share >= SHARE and p95 >= SHARING_SECONDS
        if not severity and not takes_much and examined < EXAMINED:
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
                gain_ratio=gain_of_database(seen.told, one.database, share),
                numbers={
                    "runs_count": one.calls,
                    "mean_ms": 1e3 * one.duration_seconds / one.calls,
                    **({"rows_per_run": one.rows / one.calls} if one.rows else {}),
                    **({"rows_examined_per_row": examined} if one.rows_examined else {}),
                },
                traces=traces_running(seen, one),
            )
        )
    return found
