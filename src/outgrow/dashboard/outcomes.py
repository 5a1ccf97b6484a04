"""What became of the calls of operations with objectives, from steps that are read once."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from outgrow.dashboard.objectives import DAYS, Count, kept
from outgrow.telemetry import lower_edge_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from outgrow.dashboard.objectives import Promise
    from outgrow.dashboard.shapes import Objective
    from outgrow.telemetry import StepSum

_MINUTE_NS = 60 * 10**9
_HOUR_NS = 60 * _MINUTE_NS
_FINE_NS = 6 * _HOUR_NS
_WHOLE_NS = int(DAYS * 24) * _HOUR_NS


class Steps(Protocol):
    """Where steps come from: the archive."""

    def steps(self, callee: str, from_ns: int, to_ns: int, step_ns: int, /) -> Sequence[StepSum]:
        """One callee over time."""
        ...

    def began_ns(self) -> int:
        """Since when calls are kept."""
        ...


def kept_in(source: Steps, promises: Iterable[Promise], now_ns: int) -> list[Objective]:
    """How each objective is kept at a moment."""
    began_ns = source.began_ns()
    read: dict[str, _Outcomes] = {}
    found: list[Objective] = []
    for one in promises:
        outcomes = read.get(one.operation)
        if outcomes is None:
            outcomes = read[one.operation] = _Outcomes(source, one.operation, now_ns)
        found.append(kept(one, partial(outcomes.count, one.latency_ms), now_ns, began_ns))
    return found


class _Outcomes:
    """What became of an operation's calls, read once for all windows that end now.

    Windows begin at a whole minute, or a whole hour for those of days.
    """

    def __init__(self, source: Steps, operation: str, now_ns: int) -> None:
        self._fine_from_ns = now_ns - _FINE_NS
        self._fine = source.steps(operation, self._fine_from_ns, now_ns, _MINUTE_NS)
        self._whole = source.steps(operation, now_ns - _WHOLE_NS, now_ns, _HOUR_NS)

    def count(self, latency_ms: float | None, from_ns: int, _now_ns: int) -> Count:
        """The calls since a moment, and those that were good."""
        is_fine = from_ns >= self._fine_from_ns
        steps, step_ns = (self._fine, _MINUTE_NS) if is_fine else (self._whole, _HOUR_NS)
        those = [one for one in steps if one.at_ns > from_ns - step_ns]
        whole = sum(one.calls for one in those)
        if latency_ms is None:
            return Count(whole, whole - sum(one.errors for one in those))
        buckets = [item for one in those for item in one.buckets.items()]
        good = sum(number * _share(bucket, latency_ms) for bucket, number in buckets)
        return Count(whole, min(whole, round(good)))


def _share(bucket: int, latency_ms: float) -> float:
    """Share of a bucket that lies below a latency, if its calls are spread evenly."""
    lower, upper = lower_edge_ns(bucket), lower_edge_ns(bucket + 1)
    return min(1.0, max(0.0, (latency_ms * 1e6 - lower) / (upper - lower)))
