"""How often one call of a class leads to each operation, from the links that were counted.

Source:
    Flow balance in open networks: v = e (I - V)^-1, E. Lazowska and others, Quantitative System
    Performance, Prentice-Hall 1984, section 3.4.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from outgrow.capacity.evidence import Window

Floats = NDArray[np.float64]
SCHEDULE = "schedule"
"""As whose work counts what comes by the clock."""
ROUNDS_COUNT = 64


def visits_of(
    windows: Iterable[Window],
    operations: Sequence[str],
    entries: Sequence[str],
    *,
    is_awaited: bool = False,
) -> Floats:
    """Calls of each operation that one call of each entry leads to; [entries, operations].

    An entry visits itself once. Links from or to what is no operation are passed over; a circle,
    which services cannot form, counts as going round 64 times at most.

    Args:
        windows: With what was counted.
        operations: All there are.
        entries: What strangers call.
        is_awaited: Only what the caller waits for: no jobs that it enqueues.
    """
    calls: dict[str, int] = defaultdict(int)
    links: dict[tuple[str, str], int] = defaultdict(int)
    for window in windows:
        for operation in window.operations:
            calls[operation.name] += operation.calls
        for link in window.links:
            if not (is_awaited and link.is_background):
                links[link.caller, link.callee] += link.calls
    places = {name: place for place, name in enumerate(operations)}
    matrix = np.zeros((len(operations), len(operations)))
    for (caller, callee), count in links.items():
        if caller in places and callee in places and calls[caller]:
            matrix[places[caller], places[callee]] = count / calls[caller]
    visits = np.zeros((len(entries), len(operations)))
    for row, entry in enumerate(entries):
        visits[row, places[entry]] = 1.0
    step = visits
    for _ in range(ROUNDS_COUNT):
        step = step @ matrix
        if not step.any():
            break
        visits = visits + step
    return visits


def scheduled_of(windows: Iterable[Window]) -> dict[str, float]:
    """Share of the runs of each operation that come by the clock; only those that are above 0.

    That is a share of the jobs that were enqueued, and of all that these call in their turn.
    """
    handed: dict[str, dict[str, int]] = {}
    called: dict[str, dict[str, int]] = {}
    for link in (link for window in windows for link in window.links):
        into = (handed if link.is_background else called).setdefault(link.callee, {})
        into[link.caller] = into.get(link.caller, 0) + link.calls
    origins = called | handed
    shares = {SCHEDULE: 1.0}
    for _ in range(ROUNDS_COUNT):
        found = {SCHEDULE: 1.0} | {
            name: sum(shares.get(caller, 0.0) * count for caller, count in by.items())
            / max(sum(by.values()), 1)
            for name, by in origins.items()
        }
        if found == shares:
            break
        shares = found
    return {name: share for name, share in shares.items() if share > 0 and name != SCHEDULE}
