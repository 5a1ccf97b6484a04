"""W17: one request goes through many processes one after another, or writes in several services.

Formula: depth of remote calls within one another: 3, severe from 5; services that write in one
request: 2 is severe, as no transaction holds them together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.capacity.signs.sign import Finding, Missing, Seen, severity_of

if TYPE_CHECKING:
    from outgrow.capacity.signs.sign import Trace

NAME = "long chain"
WARN, SEVERE = 3, 5
WRITERS = 2


def look(seen: Seen) -> list[Finding] | Missing:
    """Each operation with a long chain or with writes in several services."""
    if not seen.traces:
        return Missing("kept traces")
    depths: dict[str, int] = {}
    writers: dict[str, set[str]] = {}
    for trace in seen.traces:
        depths[trace.operation] = max(depths.get(trace.operation, 0), _depth(trace))
        wrote = {one.service for one in trace.steps if one.writes}
        if len(wrote) > len(writers.get(trace.operation, ())):
            writers[trace.operation] = wrote
    found: list[Finding] = []
    for name, depth in depths.items():
        severity = severity_of(depth, WARN, SEVERE)
        if severity:
            text = f"`{name}` waits for a chain of {depth} calls between processes"
            found.append(_finding(name, depth, WARN, text, is_severe=severity == "severe"))
    for name, services in writers.items():
        if len(services) >= WRITERS:
            text = f"`{name}` writes in {', '.join(sorted(services))}: an outbox would join them"
            found.append(_finding(name, len(services), WRITERS, text, is_severe=True))
    return found


def _finding(name: str, value: int, threshold: int, text: str, *, is_severe: bool) -> Finding:
    return Finding(
        sign=NAME,
        severity="severe" if is_severe else "warn",
        subject=name,
        value=value,
        threshold=threshold,
        text=text,
    )


def _depth(trace: Trace) -> int:
    depths: list[int] = []
    for step in trace.steps:
        above = depths[step.parent] if 0 <= step.parent < len(depths) else 0
        depths.append(above + step.is_remote)
    return max(depths, default=0)
