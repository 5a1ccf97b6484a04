"""W15: two services talk much with one another, or one with what lies outside.

Formula: calls in one run of the caller: 10, severe from 50; or bytes of one call, where they are
known: 64 kB, severe from 300 kB. What it would cost to part two services is told beside it.
Statements are no link here: those that repeat have a sign of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.capacity.patterns.moving import CROSSING_SECONDS
from outgrow.capacity.signs.adding import links_of, times_quantile
from outgrow.capacity.signs.examples import traces_calling
from outgrow.capacity.signs.sign import Finding, Missing, Seen, severity_of

if TYPE_CHECKING:
    from outgrow.capacity.evidence import LinkWindow

NAME = "chatty link"
WARN_CALLS, SEVERE_CALLS = 10.0, 50.0
WARN_BYTES, SEVERE_BYTES = 64_000.0, 300_000.0


def look(seen: Seen) -> list[Finding] | Missing:
    """Each link with many or large calls."""
    links = [one for one in links_of(seen.windows).values() if _talks(one)]
    if not links:
        return Missing("links")
    runs: dict[str, int] = {}
    for one in (one for window in seen.windows for one in window.operations):
        runs[one.name] = runs.get(one.name, 0) + one.calls
    found: list[Finding] = []
    for one in links:
        mean = one.calls / runs[one.caller] if runs.get(one.caller) else 0.0
        times = max(mean, times_quantile(one.per_parent, 0.95))
        size = one.bytes / max(one.calls, 1)
        by_calls = severity_of(times, WARN_CALLS, SEVERE_CALLS)
        severity = severity_of(size, WARN_BYTES, SEVERE_BYTES) or by_calls
        if severity:
            cost = times * 2 * CROSSING_SECONDS
            found.append(
                Finding(
                    sign=NAME,
                    severity=severity,
                    subject=f"{one.caller} -> {one.callee}",
                    value=times if by_calls else size,
                    threshold=WARN_CALLS if by_calls else WARN_BYTES,
                    text=_said(one, times, size, cost),
                    numbers={
                        "calls_count": one.calls,
                        **({"bytes_per_call": size} if one.bytes else {}),
                        **({} if _is_outside(one) else {"cpu_ms_if_split": 1e3 * cost}),
                    },
                    traces=traces_calling(seen, one),
                )
            )
    return found


def _is_outside(one: LinkWindow) -> bool:
    return one.callee.startswith("http ")


def _talks(one: LinkWindow) -> bool:
    return _is_outside(one) or " " not in one.callee


def _said(one: LinkWindow, times: float, size: float, cost: float) -> str:
    of_bytes = f" of {size:.0f} bytes" if one.bytes else ""
    said = f"{times:.0f} calls{of_bytes} in one run of `{one.caller}`"
    apart = f"; apart, they would cost {cost * 1e3:.1f} ms of CPU"
    return said if _is_outside(one) else said + apart
