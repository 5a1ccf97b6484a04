"""W19: calls are tried again so often that retries are load of their own.

Formula: attempts over calls: 1.05, severe from 1.2, or where the first limit would not bear the
load if half of all calls were tried once more. Of a queue the attempts are those that ended, and
the calls the jobs that are over. Of what an app tries again itself, failures are counted, and kept
traces tell how many of them are followed by the same call.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outgrow.capacity.signs.adding import links_of
from outgrow.capacity.signs.examples import EXAMPLES_MAX
from outgrow.capacity.signs.sign import CALLS_MIN, Finding, Missing, Seen, severity_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from outgrow.capacity.evidence import LinkWindow
    from outgrow.capacity.signs.sign import Step, Trace

NAME = "retries"
WARN, SEVERE = 1.05, 1.2
STORM_RATIO = 1.5
FAILURES_MIN = 5


@dataclass
class _Tried:
    attempts: int = 0
    calls: int = 0
    traces: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        return self.attempts / max(self.calls, 1)


def look(seen: Seen) -> list[Finding] | Missing:
    """Each link and queue that is retried."""
    links = links_of(seen.windows)
    found = {
        f"{one.caller} -> {one.callee}": _Tried(one.attempts, one.calls)
        for one in links.values()
        if one.attempts and one.calls >= CALLS_MIN
    }
    for name, tried in _in_traces(seen, links.values()).items():
        if name not in found or tried.ratio > found[name].ratio:
            found[name] = tried
    found |= _in_queues(seen)
    if not found and not any(one.attempts for one in links.values()):
        return Missing("attempts of calls")
    storms = seen.told is not None and seen.told.headroom.low < STORM_RATIO
    return [
        _finding(name, tried, may_storm=storms)
        for name, tried in found.items()
        if tried.ratio >= WARN
    ]


def _finding(name: str, tried: _Tried, *, may_storm: bool) -> Finding:
    more = "; a storm of retries would pass the first limit" if may_storm else ""
    severity = severity_of(tried.ratio, WARN, SEVERE) or "warn"
    return Finding(
        sign=NAME,
        severity="severe" if may_storm else severity,
        subject=name,
        value=tried.ratio,
        threshold=WARN,
        text=f"{tried.ratio:.2f} attempts for each call{more}",
        share_ratio=1 - 1 / tried.ratio,
        numbers={"attempts_count": tried.attempts, "calls_count": tried.calls},
        traces=tried.traces,
    )


def _in_queues(seen: Seen) -> dict[str, _Tried]:
    found: dict[str, _Tried] = defaultdict(_Tried)
    letters: dict[str, list[int]] = defaultdict(list)
    for one in (one for window in seen.windows for one in window.queues):
        found[one.name].attempts += one.started
        found[one.name].calls += one.ended
        if one.is_sounded:
            letters[one.name].append(one.dead)
    for name, counts in letters.items():
        found[name].calls += max(0, counts[-1] - counts[0])
    return {name: one for name, one in found.items() if one.calls >= CALLS_MIN}


def _in_traces(seen: Seen, links: Iterable[LinkWindow]) -> dict[str, _Tried]:
    """What apps try again themselves: of the failures that are counted, as many as in traces."""
    failures: dict[str, int] = defaultdict(int)
    again: dict[str, list[str]] = defaultdict(list)
    for trace in seen.traces:
        for name, is_again in _failures(trace):
            failures[name] += 1
            if is_again:
                again[name].append(trace.trace_id)
    found: dict[str, _Tried] = {}
    for one in links:
        name = f"{one.caller} -> {one.callee}"
        if one.calls >= CALLS_MIN and failures[name] >= FAILURES_MIN:
            retried = one.errors * len(again[name]) / failures[name]
            examples = tuple(dict.fromkeys(again[name]))[:EXAMPLES_MAX]
            found[name] = _Tried(one.calls, one.calls - round(retried), examples)
    return found


def _failures(trace: Trace) -> Iterator[tuple[str, bool]]:
    """Each call in a trace that failed, and whether its caller made the same one once more."""
    tries: dict[tuple[int, str], list[Step]] = defaultdict(list)
    for step in trace.steps:
        if step.parent >= 0 and step.kind in ("call", "http"):
            tries[step.parent, step.name].append(step)
    for (parent, name), several in tries.items():
        ordered = sorted(several, key=lambda one: one.begins_seconds)
        callee = f"http {name.split(' ')[-1]}" if ordered[0].kind == "http" else name
        for place, step in enumerate(ordered):
            if step.has_failed:
                is_again = any(
                    later.begins_seconds >= step.begins_seconds + step.seconds
                    for later in ordered[place + 1 : place + 2]
                )
                yield f"{trace.steps[parent].name} -> {callee}", is_again
