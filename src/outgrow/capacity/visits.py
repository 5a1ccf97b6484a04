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


def visits_of(
    windows: Iterable[Window], operations: Sequence[str], entries: Sequence[str]
) -> Floats:
    """Calls of each operation that one call of each entry leads to; [entries, operations].

    An entry visits itself once. Links from or to what is no operation are passed over; a circle,
    which services cannot form, counts as going round 64 times at most.
    """
    calls: dict[str, int] = defaultdict(int)
    links: dict[tuple[str, str], int] = defaultdict(int)
    for window in windows:
        for operation in window.operations:
            calls[operation.name] += operation.calls
        for link in window.links:
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
    for _ in range(64):
        step = step @ matrix
        if not step.any():
            break
        visits = visits + step
    return visits
