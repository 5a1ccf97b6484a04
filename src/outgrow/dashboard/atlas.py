"""The map of the app, drawn from the calls of a few seconds: its parts, and who calls whom.

Routes are one part, the edge; operations belong to their service; what lies outside is a part each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outgrow.dashboard.shapes import Link, Node
from outgrow.telemetry import quantile_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from outgrow.dashboard.shapes import NodeKind
    from outgrow.dashboard.source import Buckets, CallSum

NODES_MAX = 200
LINKS_MAX = 600
EDGE = "edge"
# Who enqueues what is due by the clock.
CLOCK = "schedule"
_EDGES = {"", "edge", "web"}
_ROUTE = re.compile(r"[A-Z*]+ [/(*]")
# A job that was enqueued: part of its queue, from where it goes on.
_HANDED = re.compile(r"(?P<queue>queue \S.*) \S+\.\S+")
_OUTSIDE = re.compile(r"(sql|http|https|redis|\w+) \S")


def is_route(name: str) -> bool:
    """Whether a name is of a route, such as `GET /orders/{id}` or `* (other)`."""
    return _ROUTE.match(name) is not None


def is_outside(name: str) -> bool:
    """Whether a name is of what lies outside of the app, such as `sql orders`."""
    return not is_route(name) and _OUTSIDE.match(name) is not None


def node_of(name: str) -> str:
    """The part of the app that an operation belongs to."""
    if name in _EDGES or is_route(name):
        return EDGE
    if handed := _HANDED.fullmatch(name):
        return handed["queue"]
    return name if is_outside(name) else name.split(".", 1)[0]


def kind_of(node: str) -> NodeKind:
    """What a part is."""
    if node == EDGE:
        return "edge"
    if node.startswith("sql "):
        return "database"
    return "outside" if node == CLOCK or is_outside(node) else "service"


@dataclass
class Tally:
    """Calls of several sums together."""

    calls: int = 0
    errors: int = 0
    duration_ns: int = 0
    timeouts: int = 0
    client_errors: int = 0
    wait_ns: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    buckets: Buckets = field(default_factory=dict[int, int])

    def add(self, one: CallSum) -> None:
        """Add the calls of a sum; those that never began are errors as well."""
        self.calls += one.calls + one.refused
        self.errors += one.errors + one.refused
        self.duration_ns += one.duration_ns
        self.timeouts += one.timeouts
        self.client_errors += one.client_errors
        self.wait_ns += one.wait_ns
        self.received_bytes += one.received_bytes
        self.sent_bytes += one.sent_bytes
        for bucket, count in one.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + count

    @property
    def error_percent(self) -> float | None:
        """Share of errors; None without calls."""
        return 100 * self.errors / self.calls if self.calls else None


def drawn(
    sums: Iterable[CallSum], seconds: float, busy: Mapping[str, tuple[float, list[str]]]
) -> tuple[list[Node], list[Link]]:
    """The map; the busiest parts and links, if there are too many.

    Args:
        sums: The calls.
        seconds: That they were counted in.
        busy: By part: percentage of the busiest worker that runs it, and the workers.
    """
    nodes: dict[str, Tally] = {}
    links: dict[tuple[str, str], Tally] = {}
    for one in sums:
        callee = node_of(one.callee)
        nodes.setdefault(callee, Tally()).add(one)
        if one.caller:
            caller = node_of(one.caller)
            nodes.setdefault(caller, Tally())
            if caller != callee:
                links.setdefault((caller, callee), Tally()).add(one)
    kept = sorted(nodes, key=lambda name: (-nodes[name].calls, name))[:NODES_MAX]
    found = [_node(name, nodes[name], seconds, busy) for name in sorted(kept, key=_place)]
    joined = [key for key in links if key[0] in kept and key[1] in kept]
    joined.sort(key=lambda key: (-links[key].calls, key))
    return found, [_link(key, links[key], seconds) for key in sorted(joined[:LINKS_MAX])]


def _place(name: str) -> tuple[int, str]:
    """The edge first, then services, then the rest: the layout keeps that order."""
    return ("edge", "service", "database", "outside").index(kind_of(name)), name


def _node(
    name: str, tally: Tally, seconds: float, busy: Mapping[str, tuple[float, list[str]]]
) -> Node:
    percent, workers = busy.get(name, (None, list[str]()))
    return Node(
        name=name,
        kind=kind_of(name),
        requests_per_second=tally.calls / seconds,
        error_percent=tally.error_percent,
        p95_ms=quantile_ms(tally.buckets, 0.95),
        busy_percent=percent,
        workers=workers,
    )


def _link(key: tuple[str, str], tally: Tally, seconds: float) -> Link:
    return Link(
        caller=key[0],
        callee=key[1],
        requests_per_second=tally.calls / seconds,
        error_percent=tally.error_percent,
        p95_ms=quantile_ms(tally.buckets, 0.95),
    )
