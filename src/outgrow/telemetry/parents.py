"""How often one run of a caller called the same thing: once, or again and again.

Within a process that is looked up in the spans of one segment of 16, when it ends; what leaves the
process, which costs more anyway, is counted in each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from outgrow.telemetry.links import LINKS_MAX

if TYPE_CHECKING:
    from outgrow.telemetry.traces import Segment

SAMPLED_MASK = 15
_OPERATION, _ROOT = 0, 1

# The caller's name, and that of what it called.
Link = tuple[str, str]


class ParentBook:
    """Counts for one process.

    Attributes:
        links: Runs of the caller by the number of calls in them: bucket `b` holds those with 2**b
            to 2**(b+1)-1. At most 4,096 links.
    """

    def __init__(self) -> None:
        self.links: dict[Link, dict[int, int]] = {}

    def fold(self, segment: Segment, name: str) -> None:
        """Count the runs in a segment that has ended.

        Args:
            segment: Its calls of what lies outside are not there any more afterwards.
            name: Of the operation or route that it began with.
        """
        if segment.left is not None:
            for (_, caller, callee), calls in segment.left.items():
                self._add((caller, callee), calls)
            segment.left = None
        if segment.seed & SAMPLED_MASK:
            return
        names = {_ROOT: name}
        within: dict[tuple[int, str], int] = {}
        for span in segment.spans:
            if not callable(span) and span[3] == _OPERATION:
                names[span[0]] = span[2]
                run = span[1], span[2]
                within[run] = within.get(run, 0) + 1
        for (parent, callee), calls in within.items():
            if parent in names:
                self._add((names[parent], callee), calls)

    def _add(self, link: Link, calls: int) -> None:
        counts = self.links.get(link)
        if counts is None:
            if len(self.links) >= LINKS_MAX:
                return
            counts = self.links.setdefault(link, {})
        bucket = calls.bit_length() - 1
        counts[bucket] = counts.get(bucket, 0) + 1


def note_leaving(segment: Segment, parent: int, caller: str, callee: str) -> None:
    """Note a call that leaves this process.

    Args:
        segment: That it is made in.
        parent: Number of the span around it.
        caller: Who makes it.
        callee: What is called, as its link calls it.
    """
    left = segment.left
    if left is None:
        left = segment.left = {}
    run = parent, caller, callee
    left[run] = left.get(run, 0) + 1


parent_book = ParentBook()
