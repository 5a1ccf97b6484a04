"""What went over each link in the last seconds, over all workers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outgrow.telemetry.histogram import quantile_ms
from outgrow.telemetry.links import LINKS_MAX, OTHER, LinkTotals
from outgrow.telemetry.rings import Rings
from outgrow.telemetry.window import WINDOW_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

LinkKey = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class LinkActivity:
    """What went over one link in a window, over all workers.

    Attributes:
        caller: The operation or the route that called; `web` where that is not known, and `edge`
            outside of requests.
        callee: The operation that was called.
        calls_total: Calls that ended since the supervisor started.
        calls_per_second: In the window.
        errors_per_second: Of these, those that ended with an exception.
        refused_per_second: Calls that never began, for lack of room or time.
        latency_p50_ms: Median in the window, as the callee's process sees it; None without calls.
        latency_p99_ms: 99th percentile.
        hedges_per_second: Calls that were made in a second place, as the first was late or silent.
        hedges_won_per_second: Of these, those that the second place answered first.
    """

    caller: str
    callee: str
    calls_total: int
    calls_per_second: float
    errors_per_second: float
    refused_per_second: float
    latency_p50_ms: float | None
    latency_p99_ms: float | None
    hedges_per_second: float = 0.0
    hedges_won_per_second: float = 0.0


@dataclass
class LinkWindow:
    """The last seconds of all links."""

    _rings: Rings[LinkKey, LinkTotals] = field(
        default_factory=lambda: Rings[LinkKey, LinkTotals](WINDOW_SECONDS)
    )
    _ended: dict[LinkKey, int] = field(default_factory=dict[LinkKey, int])

    def add(self, worker: str, now: float, changed: Iterable[LinkTotals]) -> None:
        """Take the totals that changed in a worker since it last sent any.

        Args:
            worker: A name that no other process ever has.
            now: Time in seconds, on any clock that only grows.
            changed: Totals of the links that changed.
        """
        self._rings.add(worker, now, (((each.caller, each.callee), each) for each in changed))

    def forget(self, worker: str) -> None:
        """A worker ended: keep its totals, drop its window."""
        for key, totals in self._rings.forget(worker).items():
            is_kept = key in self._ended or len(self._ended) < LINKS_MAX
            kept_as = key if is_kept else (OTHER, OTHER)
            self._ended[kept_as] = self._ended.get(kept_as, 0) + totals.calls

    def links(self, now: float) -> list[LinkActivity]:
        """All links, the busiest first."""
        sums = {key: _Sum(calls_total=calls) for key, calls in self._ended.items()}
        for span in self._rings.spans(now):
            for key, totals in span.last.items():
                before = span.first.get(key) or LinkTotals(*key)
                sums.setdefault(key, _Sum()).add(before, totals, span.seconds)
        shown = [one.shown(key) for key, one in sums.items()]
        return sorted(shown, key=lambda link: (-link.calls_per_second, link.caller, link.callee))


@dataclass
class _Sum:
    """One link, summed over workers."""

    calls_total: int = 0
    calls_per_second: float = 0.0
    errors_per_second: float = 0.0
    refused_per_second: float = 0.0
    hedges_per_second: float = 0.0
    hedges_won_per_second: float = 0.0
    buckets: dict[int, int] = field(default_factory=dict[int, int])

    def add(self, before: LinkTotals, now: LinkTotals, seconds: float) -> None:
        self.calls_total += now.calls
        self.calls_per_second += (now.calls - before.calls) / seconds
        self.errors_per_second += (now.errors - before.errors) / seconds
        self.refused_per_second += (now.refused - before.refused) / seconds
        self.hedges_per_second += (now.hedges - before.hedges) / seconds
        self.hedges_won_per_second += (now.hedges_won - before.hedges_won) / seconds
        for bucket, (count, earlier) in enumerate(zip(now.buckets, before.buckets, strict=True)):
            if count > earlier:
                self.buckets[bucket] = self.buckets.get(bucket, 0) + count - earlier

    def shown(self, key: LinkKey) -> LinkActivity:
        return LinkActivity(
            caller=key[0],
            callee=key[1],
            calls_total=self.calls_total,
            calls_per_second=self.calls_per_second,
            errors_per_second=self.errors_per_second,
            refused_per_second=self.refused_per_second,
            latency_p50_ms=quantile_ms(self.buckets, 0.50),
            latency_p99_ms=quantile_ms(self.buckets, 0.99),
            hedges_per_second=self.hedges_per_second,
            hedges_won_per_second=self.hedges_won_per_second,
        )
