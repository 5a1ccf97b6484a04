"""W10: calls that do not need one another are made one after another.

Formula: within one parent, siblings that do not overlap: the sum of their times less the longest
of them is what doing them at once would save. Thresholds: 20 % of the call and 20 ms, severe from
50 %. That they need one another's results cannot be seen in a trace; what writes ends a row, and
statements count from 30 ms on, as a connection runs them one after another.

Source:
    30 ms: the detector of consecutive database spans of Sentry.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from typing import TYPE_CHECKING

from outgrow.capacity.signs.examples import EXAMPLES_MAX
from outgrow.capacity.signs.sign import Finding, Missing, Seen

if TYPE_CHECKING:
    from outgrow.capacity.signs.sign import Step, Trace

NAME = "calls in a row"
WARN, SEVERE = 0.2, 0.5
SAVED_SECONDS, STATEMENT_SECONDS = 0.02, 0.03
TRACES_MIN = 5


def look(seen: Seen) -> list[Finding] | Missing:
    """Each operation whose calls could be made at once."""
    if len(seen.traces) < TRACES_MIN:
        return Missing(f"{TRACES_MIN} kept traces")
    saved: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for trace in seen.traces:
        could = _could_save(trace)
        share = could / max(trace.seconds, 1e-12)
        saved[trace.operation].append((could, share, trace.trace_id))
    found: list[Finding] = []
    for name, several in saved.items():
        seconds = statistics.median(one for one, _, _ in several)
        share = statistics.median(one for _, one, _ in several)
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
                    numbers={"saved_ms": 1e3 * seconds, "traces_count": len(several)},
                    traces=tuple(each for *_, each in sorted(several)[: -EXAMPLES_MAX - 1 : -1]),
                )
            )
    return found


def _could_save(trace: Trace) -> float:
    groups: dict[int, list[tuple[Step, bool]]] = defaultdict(list)
    for step, writes in zip(trace.steps, _writing(trace), strict=True):
        is_quick = step.kind == "statement" and step.seconds < STATEMENT_SECONDS
        if writes or not is_quick:
            groups[step.parent].append((step, writes))
    best = 0.0
    for steps in groups.values():
        row: list[Step] = []
        for step, writes in sorted(steps, key=lambda one: one[0].begins_seconds):
            ends = row[-1].begins_seconds + row[-1].seconds if row else 0.0
            if step.kind == "other" or writes or (row and step.begins_seconds < ends):
                row = []
            else:
                row.append(step)
            times = [one.seconds for one in row]
            best = max(best, sum(times) - max(times, default=0.0))
    return best


def _writing(trace: Trace) -> list[bool]:
    """Of each step, whether it writes, or what lies within it does."""
    writes = [step.writes for step in trace.steps]
    for place in range(len(trace.steps) - 1, 0, -1):
        parent = trace.steps[place].parent
        if 0 <= parent < place:
            writes[parent] = writes[parent] or writes[place]
    return writes
