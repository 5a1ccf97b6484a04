"""What a block of code did outside, as the worker would report it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic_ns
from typing import Any

from outgrow.telemetry import (
    LinkTotals,
    Segment,
    StatementTotals,
    begin_segment,
    here,
    outside_links,
    statements,
)

CALLER = "GET /orders"


@dataclass
class Seen:
    """What was seen within a block, once that has ended.

    Attributes:
        segment: Of the request that the block is.
        statements: What it ran, with the counts of the block alone.
        links: What it called, alike.
    """

    segment: Segment
    statements: list[StatementTotals] = field(default_factory=list)
    links: list[LinkTotals] = field(default_factory=list)

    @property
    def texts(self) -> list[tuple[str, int, int]]:
        """Text, calls and rows of each statement."""
        return [(each.text, each.calls, each.rows) for each in self.statements]

    @property
    def spans(self) -> list[Any]:
        """The tuples that were noted."""
        return [each for each in self.segment.spans if isinstance(each, tuple)]


@contextmanager
def seeing() -> Iterator[Seen]:
    """See what a block does, as if it were a request."""
    before = {_key(each): each for each in statements.all()}
    links_before = {(each.caller, each.callee): each.calls for each in outside_links()}
    errors_before = {(each.caller, each.callee): each.errors for each in outside_links()}
    seen = Seen(begin_segment(monotonic_ns()))
    token = here.set(seen.segment)
    try:
        yield seen
    finally:
        here.reset(token)
        seen.segment.is_open = False
    for each in statements.all():
        was = before.get(_key(each))
        if was is not None:
            each.calls -= was.calls
            each.rows -= was.rows
            each.errors -= was.errors
            for bucket, count in was.per_parent.items():
                each.per_parent[bucket] -= count
        if each.calls:
            each.per_parent = {b: count for b, count in each.per_parent.items() if count}
            seen.statements.append(each)
    for link in outside_links():
        key = (link.caller, link.callee)
        calls = link.calls - links_before.get(key, 0)
        if calls:
            errors = link.errors - errors_before.get(key, 0)
            seen.links.append(LinkTotals(*key, calls=calls, errors=errors))


def _key(each: StatementTotals) -> tuple[str, str, str]:
    return (each.database, each.fingerprint, each.caller)
