"""W6: threads wait for the GIL, or for a core.

Formulas: median wait of the GIL probe, less that for a core: 2 ms, severe from 10 ms; time that
threads were ready without a core over time: 5 %, severe from 20 %.
"""

from __future__ import annotations

import statistics

from outgrow.capacity.signs.sign import Finding, Missing, Seen, severity_of

NAME = "contended GIL or cores"
GIL_WARN_SECONDS, GIL_SEVERE_SECONDS = 0.002, 0.010
QUEUE_WARN, QUEUE_SEVERE = 0.05, 0.20


def look(seen: Seen) -> list[Finding] | Missing:
    """Each group whose threads wait."""
    if not seen.enough():
        return Missing("200 calls, or five minutes")
    probes: dict[str, list[float]] = {}
    queued: dict[str, float] = {}
    seconds: dict[str, float] = {}
    for window in seen.windows:
        for one in window.processes:
            if one.gil_wait_p50_seconds is not None:
                probes.setdefault(one.group, []).append(one.gil_wait_p50_seconds)
            queued[one.group] = queued.get(one.group, 0.0) + one.run_queue_seconds
            seconds[one.group] = seconds.get(one.group, 0.0) + window.seconds * one.workers
    if not queued:
        return Missing("what processes used")
    found: list[Finding] = []
    for group, waits in probes.items():
        wait = statistics.median(waits)
        if severity := severity_of(wait, GIL_WARN_SECONDS, GIL_SEVERE_SECONDS):
            text = f"Threads of `{group}` wait {wait * 1e3:.1f} ms for the GIL"
            found.append(_finding(severity, group, wait, GIL_WARN_SECONDS, text))
    for group, waited in queued.items():
        share = waited / max(seconds[group], 1e-12)
        if severity := severity_of(share, QUEUE_WARN, QUEUE_SEVERE):
            text = f"Threads of `{group}` were ready without a core {share:.0%} of the time"
            found.append(_finding(severity, group, share, QUEUE_WARN, text))
    return found


def _finding(severity: str, group: str, value: float, threshold: float, text: str) -> Finding:
    return Finding(
        sign=NAME,
        severity="severe" if severity == "severe" else "warn",
        subject=group,
        value=value,
        threshold=threshold,
        text=text,
    )
