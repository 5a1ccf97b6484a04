"""Gathers what a worker reports: all that changed, and what is kept one by one."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Protocol, TypeVar

from outgrow.telemetry.keeping import keeper
from outgrow.telemetry.logs import tap
from outgrow.telemetry.outside.calls import outside_links
from outgrow.telemetry.parents import parent_book
from outgrow.telemetry.records import ProcessTotals, Report
from outgrow.telemetry.sql.book import links_of, statements
from outgrow.telemetry.sql.pools import pool_stations
from outgrow.telemetry.stations import station_book

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from outgrow.telemetry.calls import CallCounter, RouteTotals
    from outgrow.telemetry.links import LinkTotals
    from outgrow.telemetry.records import StationTotals

SPANS_MAX = 2000
LOGS_MAX = 2000
T = TypeVar("T")


class Probe(Protocol):
    """Knows what the process uses."""

    def totals(self) -> ProcessTotals:
        """As of now."""
        ...

    def stations(self, totals: ProcessTotals) -> list[StationTotals]:
        """Its loop, cores and the like, with the totals just read."""
        ...


class Collector:
    """Gathers reports, for one reporter.

    Args:
        counter: The routes and their arrivals.
        links: The links between services.
        probe: What the process uses.
    """

    def __init__(
        self, counter: CallCounter, links: Callable[[], Iterable[LinkTotals]], probe: Probe
    ) -> None:
        self._counter = counter
        self._links = links
        self._probe = probe
        self._routes = Changes()
        self._linked = Changes()
        self._stationed = Changes()
        self._arrived = Changes()

    def __call__(self, *, is_whole: bool, is_last: bool) -> Report:
        """The next report; see `Collect`."""
        spans, lost_spans = keeper.take(SPANS_MAX)
        logs, lost_logs = tap.take(LOGS_MAX)
        process = self._probe.totals()
        told = [*self._probe.stations(process), *station_book.all(), *pool_stations()]
        report = Report(
            0,
            time_ns(),
            routes=self._routes.among(self._counter.routes_now(), _of_route, is_whole=is_whole),
            links=self._linked.among(
                [*_with_parents([*self._links(), *outside_links()]), *links_of(statements.all())],
                _of_link,
                is_whole=is_whole,
            ),
            stations=self._stationed.among(told, _of_station, is_whole=is_whole),
            statements=statements.all() if is_whole else statements.changed(),
            arrivals=self._arrived.among(
                self._counter.arrivals(is_last=is_last),
                lambda each: (each.operation, each.parts + each.total),
                is_whole=is_whole,
            ),
            process=process,
            spans=spans,
            logs=logs,
        )
        lost = {"spans": lost_spans, "logs": lost_logs}
        report.lost = {name: count for name, count in lost.items() if count}
        return report


class Changes:
    """Remembers what was told, to tell only what has changed since."""

    def __init__(self) -> None:
        self._told: dict[Hashable, Hashable] = {}

    def among(
        self,
        totals: Iterable[T],
        state: Callable[[T], tuple[Hashable, Hashable]],
        *,
        is_whole: bool,
    ) -> list[T]:
        """Those that changed.

        Args:
            totals: All there are, of a limited number.
            state: By what one is told apart, and what changes when it does.
            is_whole: All that ever changed.
        """
        found: list[T] = []
        for each in totals:
            key, now = state(each)
            if is_whole or self._told.get(key) != now:
                self._told[key] = now
                found.append(each)
        return found


def _with_parents(links: list[LinkTotals]) -> list[LinkTotals]:
    known = parent_book.links
    for each in links:
        if (counts := known.get((each.caller, each.callee))) is not None:
            each.per_parent = dict(counts)
    return links


def _of_route(totals: RouteTotals) -> tuple[Hashable, Hashable]:
    return (totals.method, totals.route), (totals.calls, totals.duration_ns, totals.loop_ns)


def _of_link(totals: LinkTotals) -> tuple[Hashable, Hashable]:
    counts = (totals.calls, totals.duration_ns, totals.refused, totals.loop_ns, totals.hedges)
    crossed = (totals.hedges_won, totals.crossed, totals.retries)
    return (totals.caller, totals.callee), (*counts, *crossed)


def _of_station(totals: StationTotals) -> tuple[Hashable, Hashable]:
    counts = (totals.served, totals.rejected, totals.busy_ns, totals.capacity, totals.queue_max)
    return (totals.name, totals.kind), (*counts, totals.wait_ns)
