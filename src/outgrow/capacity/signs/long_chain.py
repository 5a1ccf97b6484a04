"""W17: one request goes through many processes one after another, or writes in several services.

Formula: depth of remote calls within one another: 3, severe from 5; services that write in one
request: 2 is severe, as no transaction holds them together.
"""

from __future__ import annotations

from dataclasses import replace
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
    depths: dict[str, tuple[int, str]] = {}
    writers: dict[str, tuple[set[str], str]] = {}
    for trace in seen.traces:
        depth = _depth(trace)
        if depth > depths.get(trace.operation, (-1, ""))[0]:
            depths[trace.operation] = (depth, trace.trace_id)
        wrote = {one.service for one in trace.steps if one.writes and one.kind == "statement"}
        if len(wrote) > len(writers.get(trace.operation, (set(), ""))[0]):
            writers[trace.operation] = (wrote, trace.trace_id)
    found: list[Finding] = []
    for name, (depth, trace_id) in depths.items():
        severity = severity_of(depth, WARN, SEVERE)
        if severity:
            text = f"`{name}` waits for a chain of {depth} calls between processes"
            one = _finding(name, depth, WARN, text, trace_id)
            found.append(replace(one, severity=severity))
    for name, (services, trace_id) in writers.items():
        if len(services) >= WRITERS:
            text = f"`{name}` writes in {', '.join(sorted(services))}: an outbox would join them"
            found.append(_finding(name, len(services), WRITERS, text, trace_id))
    return found


def _finding(name: str, value: int, threshold: int, text: str, trace_id: str) -> Finding:
    return Finding(
        sign=NAME,
        severity="severe",
        subject=name,
        value=value,
        threshold=threshold,
        text=text,
        traces=(trace_id,) if trace_id else (),
    )


def _depth(trace: Trace) -> int:
    depths: list[int] = []
    for step in trace.steps:
        above = depths[step.parent] if 0 <= step.parent < len(depths) else 0
        depths.append(above + step.is_remote)
    return max(depths, default=0)
