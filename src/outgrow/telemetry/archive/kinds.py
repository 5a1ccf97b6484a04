"""What is counted in windows: by what each count is told apart, and what it holds.

All kinds are alike: some names, some numbers that add up, some histograms that add up, and some
numbers of which only the latest matters. So one way of taking differences, of adding, of writing
and of reading serves them all.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from outgrow.telemetry.records import Origin, Report

Key = tuple[str, ...]
OTHER = "(other)"
# Ten years in nanoseconds are less.
NUMBER_MAX = 1 << 59
BUCKET_MAX = (1 << 16) - 1
NAME_CHARACTERS_MAX = 512


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of count.

    Attributes:
        name: Of its tables.
        keys: By what one is told apart from the others.
        numbers: Sums; those named in `fractions` are no whole numbers.
        histograms: Counts by bucket.
        latest: What only the newest value is known of.
    """

    name: str
    keys: tuple[str, ...]
    numbers: tuple[str, ...]
    histograms: tuple[str, ...] = ()
    latest: tuple[str, ...] = ()
    fractions: frozenset[str] = frozenset()


CALLS = Kind(
    name="calls",
    keys=("caller", "callee"),
    numbers=(
        *("calls", "errors", "refused", "cut_off", "duration_ns", "metered", "loop_ns"),
        *("hedges", "hedges_won", "timeouts", "client_errors", "wait_ns", "crossed", "retries"),
        *("sent_bytes", "received_bytes"),
    ),
    histograms=("buckets", "per_parent"),
)
STATEMENTS = Kind(
    name="statements",
    keys=("database", "fingerprint", "caller"),
    numbers=("calls", "errors", "rows", "duration_ns"),
    histograms=("buckets", "per_parent"),
)
STATIONS = Kind(
    name="stations",
    keys=("worker", "name", "kind"),
    numbers=(
        *("served", "rejected", "busy_ns", "hold_ns", "hold_squared_s2", "nested_wait_ns"),
        "wait_ns",
    ),
    histograms=("waits",),
    latest=("capacity", "queue_max"),
    fractions=frozenset({"hold_squared_s2"}),
)
PROCESSES = Kind(
    name="processes",
    keys=("worker", "epoch"),
    numbers=(
        *("covered_ns", "user_ns", "system_ns", "loop_cpu_ns", "run_queue_ns", "throttled_ns"),
        *("gc_ns", "gc_runs", "steal_ns", "cpu_stall_ns", "io_stall_ns", "memory_stall_ns"),
    ),
    histograms=("loop_lags", "gil_waits"),
    latest=("busy_percent", "memory_bytes", "descriptors", "threads", "in_flight", "connections"),
)
ARRIVALS = Kind(
    name="arrivals", keys=("operation",), numbers=("parts", "total", "squares", "neighbours")
)
LOSSES = Kind(name="losses", keys=("kind",), numbers=("lost",))
KINDS = {kind.name: kind for kind in (CALLS, STATEMENTS, STATIONS, PROCESSES, ARRIVALS, LOSSES)}


class Count(msgspec.Struct, array_like=True):
    """What one thing did; the order is that of its kind."""

    numbers: list[int | float]
    histograms: list[dict[int, int]] = []
    latest: list[float] = []

    def since(self, before: Count | None) -> Count | None:
        """What was added since; None if nothing was.

        A number that fell says that counting began anew, so all of it was added.
        """
        if before is None or any(
            now < then for now, then in zip(self.numbers, before.numbers, strict=True)
        ):
            histograms = [{b: n for b, n in each.items() if n} for each in self.histograms]
            is_any = any(self.numbers) or any(histograms) or self.latest
            return Count(self.numbers, histograms, self.latest) if is_any else None
        numbers = [now - then for now, then in zip(self.numbers, before.numbers, strict=True)]
        histograms = [
            {bucket: n - then.get(bucket, 0) for bucket, n in now.items() if n != then.get(bucket)}
            for now, then in zip(self.histograms, before.histograms, strict=True)
        ]
        if any(numbers) or any(histograms) or self.latest != before.latest:
            return Count(numbers, histograms, self.latest)
        return None

    def is_sound(self) -> bool:
        """Whether it can be kept: no number is negative, endless or none."""
        if not all(0 <= number <= NUMBER_MAX for number in self.numbers):
            return False
        return all(
            0 <= bucket <= BUCKET_MAX and 0 <= n <= NUMBER_MAX
            for histogram in self.histograms
            for bucket, n in histogram.items()
        )

    def add(self, later: Count) -> None:
        """Add what came later."""
        self.numbers = [a + b for a, b in zip(self.numbers, later.numbers, strict=True)]
        for mine, theirs in zip(self.histograms, later.histograms, strict=True):
            for bucket, n in theirs.items():
                mine[bucket] = mine.get(bucket, 0) + n
        self.latest = later.latest

    def copy(self) -> Count:
        """One that may be added to."""
        return Count(list(self.numbers), [dict(each) for each in self.histograms], self.latest)


def counts_in(origin: Origin, report: Report) -> Iterator[tuple[Kind, Key, Count]]:
    """The totals that a report tells, less those of the process."""
    for route in report.routes:
        yield CALLS, _key("", f"{route.method} {route.route}"), _count(CALLS, route)
    for link in report.links:
        yield CALLS, _key(link.caller, link.callee), _count(CALLS, link)
    for one in report.statements:
        key = _key(one.database, one.fingerprint, one.caller)
        yield STATEMENTS, key, _count(STATEMENTS, one)
    for station in report.stations:
        key = _key(origin.worker, station.name, station.kind)
        yield STATIONS, key, _count(STATIONS, station)
    for arrivals in report.arrivals:
        yield ARRIVALS, _key(arrivals.operation), _count(ARRIVALS, arrivals)
    for name, lost in report.lost.items():
        yield LOSSES, _key(name), Count([lost])


def _key(*names: str) -> Key:
    if max(map(len, names)) <= NAME_CHARACTERS_MAX:
        return names
    return tuple(named(name) for name in names)


def named(name: str) -> str:
    """A name that is not too long; two that are stay two."""
    if len(name) <= NAME_CHARACTERS_MAX:
        return name
    digest = hashlib.blake2b(name.encode(errors="replace"), digest_size=8).hexdigest()
    return f"{name[: NAME_CHARACTERS_MAX - 17]} {digest}"


def process_count(report: Report, covered_ns: int) -> Count:
    """What the process used, and of how much time it has told so far."""
    found = _count(PROCESSES, report.process)
    found.numbers[0] = covered_ns
    return found


def _count(kind: Kind, totals: Any) -> Count:
    return Count(
        [getattr(totals, name, 0) for name in kind.numbers],
        [_sparse(getattr(totals, name, {})) for name in kind.histograms],
        [getattr(totals, name) for name in kind.latest],
    )


def _sparse(buckets: Mapping[int, int] | Iterable[int]) -> dict[int, int]:
    """Links count in a list of all buckets, the rest in a dictionary."""
    if isinstance(buckets, dict):
        return buckets  # pyright: ignore[reportUnknownVariableType]
    return {bucket: n for bucket, n in enumerate(buckets) if n}
