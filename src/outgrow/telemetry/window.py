"""From totals that only grow to what happened in the last seconds, over all workers.

Each worker sends totals about once a second. A `Window` keeps the latest of each worker and those
of some seconds ago; the difference is exact, whatever was lost between.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outgrow.telemetry.calls import OTHER_ROUTE, RouteTotals
from outgrow.telemetry.histogram import quantile_ms
from outgrow.telemetry.rings import Rings

if TYPE_CHECKING:
    from collections.abc import Iterable

WINDOW_SECONDS = 10.0
ENDED_MAX = 1024

RouteKey = tuple[str, str]
Totals = dict[RouteKey, RouteTotals]


@dataclass(frozen=True, kw_only=True)
class RouteWindow:
    """What one route did in a window, over all workers.

    Attributes:
        method: HTTP method, or WEBSOCKET.
        route: Template.
        requests_total: Requests since the supervisor started.
        requests_per_second: In the window.
        errors_per_second: In the window; status 500 and more.
        latency_p50_ms: Median in the window; None without requests.
        latency_p95_ms: 95th percentile.
        latency_p99_ms: 99th percentile.
        loop_percent: Time of event loops that the route took; 100 is one loop all the time.
    """

    method: str
    route: str
    requests_total: int
    requests_per_second: float
    errors_per_second: float
    latency_p50_ms: float | None
    latency_p95_ms: float | None
    latency_p99_ms: float | None
    loop_percent: float


@dataclass
class Window:
    """The last seconds of all workers.

    Attributes:
        seconds: How long the window is.
    """

    seconds: float = WINDOW_SECONDS
    _ended: Totals = field(default_factory=dict[RouteKey, RouteTotals])

    def __post_init__(self) -> None:
        self._rings = Rings[RouteKey, RouteTotals](self.seconds)

    def add(self, worker: str, now: float, changed: Iterable[RouteTotals]) -> None:
        """Take the totals that changed in a worker since it last sent any.

        Args:
            worker: A name that no other process ever has.
            now: Time in seconds, on any clock that only grows.
            changed: Totals of the routes that changed.
        """
        self._rings.add(worker, now, (((each.method, each.route), each) for each in changed))

    def forget(self, worker: str) -> None:
        """A worker ended: keep its totals, drop its window."""
        for key, totals in self._rings.forget(worker).items():
            is_kept = key in self._ended or len(self._ended) < ENDED_MAX
            kept_as = key if is_kept else ("*", OTHER_ROUTE)
            ended = self._ended.setdefault(kept_as, RouteTotals(*kept_as))
            ended.calls += totals.calls

    def routes(self, now: float) -> list[RouteWindow]:
        """All routes, those that take most loop time first."""
        sums: dict[RouteKey, _Sum] = {
            key: _Sum(requests_total=totals.calls) for key, totals in self._ended.items()
        }
        for span in self._rings.spans(now):
            for key, totals in span.last.items():
                sums.setdefault(key, _Sum()).add(span.first.get(key), totals, span.seconds)
        shown = [one.shown(key) for key, one in sums.items()]
        return sorted(shown, key=lambda route: (-route.loop_percent, -route.requests_per_second))

    def requests_per_second(self, worker: str, now: float) -> float:
        """Requests that ended in this worker, per second of the window."""
        span = self._rings.span(worker, now)
        if span is None:
            return 0.0
        begun = sum(totals.calls for totals in span.first.values())
        ended = sum(totals.calls for totals in span.last.values())
        return (ended - begun) / span.seconds


@dataclass
class _Sum:
    """One route, summed over workers."""

    requests_total: int = 0
    requests_per_second: float = 0.0
    errors_per_second: float = 0.0
    loop_percent: float = 0.0
    buckets: dict[int, int] = field(default_factory=dict[int, int])

    def add(self, before: RouteTotals | None, now: RouteTotals, seconds: float) -> None:
        if before is None:
            before = RouteTotals(now.method, now.route)
        calls = now.calls - before.calls
        self.requests_total += now.calls
        self.requests_per_second += calls / seconds
        self.errors_per_second += (now.errors - before.errors) / seconds
        metered = now.metered - before.metered
        if metered > 0:
            loop_seconds = (now.loop_ns - before.loop_ns) / metered * calls / 1e9
            self.loop_percent += 100.0 * loop_seconds / seconds
        for bucket, count in now.buckets.items():
            more = count - before.buckets.get(bucket, 0)
            if more > 0:
                self.buckets[bucket] = self.buckets.get(bucket, 0) + more

    def shown(self, key: RouteKey) -> RouteWindow:
        return RouteWindow(
            method=key[0],
            route=key[1],
            requests_total=self.requests_total,
            requests_per_second=self.requests_per_second,
            errors_per_second=self.errors_per_second,
            latency_p50_ms=quantile_ms(self.buckets, 0.50),
            latency_p95_ms=quantile_ms(self.buckets, 0.95),
            latency_p99_ms=quantile_ms(self.buckets, 0.99),
            loop_percent=self.loop_percent,
        )
