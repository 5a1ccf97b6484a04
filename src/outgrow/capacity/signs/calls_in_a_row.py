"""W10: calls that do not need one another are made one after another.

Formula: within one parent, siblings that do not overlap: the sum of their times less the longest
of them is what doing them at once would save. Thresholds: 20 % of the call and 20 ms, severe from
50 %. That they need one another's results cannot be seen in a trace; writes are left out.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import TYPE_CHECKING

from outgrow.capacity.signs.sign import Finding, Missing, Seen

if TYPE_CHECKING:
    from outgrow.capacity.signs.sign import Step, Trace

NAME = "calls in a row"
WARN, SEVERE = 0.2, 0.5
SAVED_SECONDS = 0.02
TRACES_MIN = 5


def look(seen: Seen) -> list[Finding] | Missing:
    """Each operation whose calls could be made at once."""
    if len(seen.traces) < TRACES_MIN:
        return Missing(f"{TRACES_MIN} kept traces")
    saved: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for trace in seen.traces:
        could = _could_save(trace)
        saved[trace.operation].append((could, could / max(trace.seconds, 1e-12)))
    found: list[Finding] = []
    for name, pairs in saved.items():
        seconds = statistics.median(one for one, _ in pairs)
        share = statistics.median(one for _, one in pairs)
        if share >= WARN and seconds >= SAVED_SECONDS:
            found.append(
                Finding(
                    sign=NAME,
                    severity="severe" if share >= SEVERE else "warn",
                    subject=name,
                    value=share,
                    threshold=WARN,
                    text=f"`{name}` would take {seconds * 1e3:.0f} ms less ({share:.0%})"
                    " if its calls were made at once",
                    share_ratio=share,
                )
            )
    return found


def _could_save(trace: Trace) -> float:
    groups: dict[int, list[Step]] = defaultdict(list)
    for step in trace.steps:
        groups[step.parent].append(step)
    best = 0.0
    for steps in groups.values():
        row: list[Step] = []
        for step in sorted(steps, key=lambda one: one.begins_seconds):
            ends = row[-1].begins_seconds + row[-1].seconds if row else 0.0
            if step.kind == "other" or step.writes or (row and step.begins_seconds < ends):
                row = []
            else:
                row.append(step)
            times = [one.seconds for one in row]
            best = max(best, sum(times) - max(times, default=0.0))
    return best
