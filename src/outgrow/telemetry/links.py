"""Every call between services counted: by who called, and what.

As for routes, what is kept are totals that only grow. A link is told apart by the operation that
called, so that the forecaster knows how often one operation visits another.
"""

from __future__ import annotations

import msgspec

from outgrow.telemetry.histogram import BUCKETS_MAX

LINKS_MAX = 4096
OTHER = "(other)"


class LinkTotals(msgspec.Struct):
    """What has gone over one link since its worker started.

    Attributes:
        caller: The operation that called, such as `Orders.place`, or the route, such as
            `GET /orders/{id}`; `web` for a route that is not known, `edge` outside of requests.
        callee: The operation that was called.
        calls: Calls that ended.
        errors: Of these, how many ended with an exception.
        timeouts: Of these, how many because their time was up.
        refused: Of these, how many never began, for lack of room or time.
        duration_ns: Sum of the time from the call to its result.
        buckets: Calls by bucket of their duration, see `histogram`.
        hedges: Calls that were made in a second place, as the first was late or silent; counted,
            unlike all else, where they are made.
        hedges_won: Of these, how many the second place answered first.
        metered: Calls whose steps on the event loop were timed, one of 16.
        loop_ns: Sum of these steps, those of calls that they made in this process included.
        crossed: Calls to another process; counted, with what follows, where they are made.
        retries: Calls that were made again, as a process was lost before it had answered.
        sent_bytes: Of their arguments.
        received_bytes: Of their results.
        per_parent: Runs of the caller by the number of calls in them, see `parents`.
    """

    caller: str
    callee: str
    calls: int = 0
    errors: int = 0
    refused: int = 0
    duration_ns: int = 0
    buckets: list[int] = msgspec.field(default_factory=lambda: [0] * BUCKETS_MAX)
    hedges: int = 0
    hedges_won: int = 0
    metered: int = 0
    loop_ns: int = 0
    timeouts: int = 0
    crossed: int = 0
    retries: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    per_parent: dict[int, int] = msgspec.field(default_factory=dict[int, int])


class LinkBook:
    """The links of one worker.

    Attributes:
        links: Totals by callee, then by caller; at most 4,096 in all, then by the caller `(other)`.
    """

    def __init__(self) -> None:
        self.links: dict[str, dict[str, LinkTotals]] = {}
        self._count = 0

    def to(self, callee: str) -> dict[str, LinkTotals]:
        """The links to one operation, by caller; look there first, it is the quickest."""
        return self.links.setdefault(callee, {})

    def meet(self, caller: str, callee: str) -> LinkTotals:
        """The totals of a link, which is new if nobody has met it."""
        known = self.to(callee)
        if caller not in known and self._count >= LINKS_MAX:
            caller = OTHER
        if caller not in known:
            self._count += 1
            known[caller] = LinkTotals(caller, callee)
        return known[caller]

    def all(self) -> list[LinkTotals]:
        """All links, in the order in which they were met; may be asked from any thread."""
        # Copies, as the loop's thread may meet another link meanwhile.
        callees = list(self.links.values())
        return [totals for known in callees for totals in list(known.values())]
