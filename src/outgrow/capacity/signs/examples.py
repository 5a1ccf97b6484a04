"""Kept traces that show what a sign says."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from outgrow.capacity.evidence import LinkWindow, StatementWindow
    from outgrow.capacity.signs.sign import Seen, Step, Trace

EXAMPLES_MAX = 3


def traces_running(seen: Seen, statement: StatementWindow) -> tuple[str, ...]:
    """Traces in which a caller runs a statement, those first in which it does so most often."""
    found = statement.fingerprint
    return _with_most(seen, statement.caller, lambda step: step.fingerprint == found)


def traces_calling(seen: Seen, link: LinkWindow) -> tuple[str, ...]:
    """Traces with calls over a link, those first with most of them."""
    # Of a request elsewhere the name begins with its method.
    goal = link.callee.removeprefix("http ")
    return _with_most(seen, link.caller, lambda step: step.name.split(" ")[-1] == goal)


def _with_most(seen: Seen, caller: str, holds: Callable[[Step], bool]) -> tuple[str, ...]:
    counts = [(_count(one, caller, holds), one.trace_id) for one in seen.traces if one.trace_id]
    found = sorted((one for one in counts if one[0]), key=lambda one: -one[0])
    return tuple(trace_id for _, trace_id in found[:EXAMPLES_MAX])


def _count(trace: Trace, caller: str, holds: Callable[[Step], bool]) -> int:
    """Steps of such a kind right within a caller."""
    return sum(
        step.parent >= 0 and trace.steps[step.parent].name == caller and holds(step)
        for step in trace.steps
    )


def traces_of_operation(seen: Seen, name: str) -> tuple[str, ...]:
    """The slowest traces that begin with an operation."""
    found = [one for one in seen.traces if one.operation == name and one.trace_id]
    found.sort(key=lambda one: -one.seconds)
    return tuple(one.trace_id for one in found[:EXAMPLES_MAX])
