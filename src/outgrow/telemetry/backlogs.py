"""How much waits in queues and for subscriptions: looked up now and then, and kept as metrics.

Workers count what they run. How much waits for them, the store alone knows; who asks it keeps the
answer as points of these metrics, told apart by the queue or subscription.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from outgrow.telemetry.records import MetricPoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PREFIX = "outgrow.backlog."
_OF = "queue"
_UNITS = {"waiting": "1", "oldest_seconds": "s", "dead_letters": "1", "concurrency": "1"}
BACKLOG_METRICS = tuple(f"{_PREFIX}{name}" for name in _UNITS)


class Backlog(msgspec.Struct, frozen=True, kw_only=True):
    """What waited in one queue, or for one subscription, at a moment.

    Attributes:
        at_ns: When, since 1970.
        queue: Such as `queue mail` or `subscription mail.on_order_placed`.
        waiting: Jobs that could start, or events not yet given out; counted up to 10,000.
        oldest_seconds: Since when the first of them could; 0 where that is not known.
        dead_letters: Of this queue or subscription.
        concurrency: How many may run at once, over all machines; 0 for any number.
    """

    at_ns: int
    queue: str
    waiting: int = 0
    oldest_seconds: float = 0.0
    dead_letters: int = 0
    concurrency: int = 0

    def points(self) -> Iterator[MetricPoint]:
        """As it is kept."""
        for name, unit in _UNITS.items():
            yield MetricPoint(
                f"{_PREFIX}{name}",
                "gauge",
                self.at_ns,
                float(getattr(self, name)),
                unit,
                attributes={_OF: self.queue},
            )


def backlogs_of(points: Iterable[MetricPoint]) -> list[Backlog]:
    """What was kept, oldest first; points of other metrics are passed over."""
    found: dict[tuple[int, str], dict[str, float]] = {}
    for one in points:
        name = one.name.removeprefix(_PREFIX)
        if name != one.name and name in _UNITS:
            found.setdefault((one.at_ns, str(one.attributes.get(_OF, ""))), {})[name] = one.value
    return [
        Backlog(
            at_ns=at_ns,
            queue=queue,
            waiting=int(values.get("waiting", 0)),
            oldest_seconds=values.get("oldest_seconds", 0.0),
            dead_letters=int(values.get("dead_letters", 0)),
            concurrency=int(values.get("concurrency", 0)),
        )
        for (at_ns, queue), values in sorted(found.items())
    ]
