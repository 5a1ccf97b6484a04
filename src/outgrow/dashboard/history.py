"""The days before: what demand was on each, and how high traffic went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from outgrow.capacity import History, Recorded
    from outgrow.dashboard.shapes import Verified
    from outgrow.telemetry import StepSum, WindowSum, WorkerSum

DAYS_MAX = 35
CALLERS_MAX = 100
PEAK_SECONDS = 600
PEAK_DAYS = 7
_SECOND_NS = 10**9
_DAY_NS = 86_400 * _SECOND_NS


class Before(Protocol):
    """Where days come from: the archive."""

    def days(self, from_ns: int, to_ns: int, callers: Sequence[str], /) -> Sequence[WindowSum]:
        """What was counted on each day of UTC, oldest first, of requests and calls of some."""
        ...

    def pace(self, from_ns: int, to_ns: int, step_ns: int, /) -> Sequence[StepSum]:
        """How many requests came in each step, oldest first."""
        ...

    def workers(self, from_ns: int, to_ns: int, /) -> Sequence[WorkerSum]:
        """Processes."""
        ...

    def began_ns(self) -> int:
        """Since when calls are kept."""
        ...


def history_in(
    source: Before,
    now_ns: int,
    record: Sequence[Verified],
    runs: Mapping[str, Sequence[str]],
    evidence: Recorded,
) -> History:
    """The days that are over, at most 35 of them.

    Args:
        source: Has them.
        now_ns: That day is not over.
        record: Load tests, whose traffic was nobody's.
        runs: The services of each group.
        evidence: Its links between processes are told of as well, at most 100 of them.
    """
    from outgrow.capacity import History, observed

    began_ns = max(source.began_ns(), now_ns - DAYS_MAX * _DAY_NS)
    today_ns = now_ns // _DAY_NS * _DAY_NS
    if began_ns >= today_ns:
        return History()
    days = source.days(began_ns // _DAY_NS * _DAY_NS, today_ns, _callers(evidence))
    before = observed(days, source.workers(began_ns, today_ns), runs)
    return History(
        days=tuple(before.windows()),
        peaks_per_second=tuple(_peaks(source, began_ns, today_ns, record)),
    )


def _callers(evidence: Recorded) -> list[str]:
    """Those who send the most to other processes."""
    sent: dict[str, int] = {}
    for one in (one for window in evidence.windows() for one in window.links):
        if one.bytes:
            sent[one.caller] = sent.get(one.caller, 0) + one.bytes
    return sorted(sent, key=lambda name: -sent[name])[:CALLERS_MAX]


def _peaks(source: Before, began_ns: int, today_ns: int, record: Sequence[Verified]) -> list[float]:
    """The highest rate of each whole day."""
    first_ns = -(-began_ns // _DAY_NS) * _DAY_NS
    peaks = [0.0] * ((today_ns - first_ns) // _DAY_NS)
    if not peaks:
        return []
    length_ns = PEAK_SECONDS * _SECOND_NS
    tests = [(one.from_ms * 1e6 - length_ns, one.to_ms * 1e6) for one in record]
    for step in source.pace(first_ns, today_ns, length_ns):
        if not any(begins < step.at_ns < ends for begins, ends in tests):
            day = (step.at_ns - first_ns) // _DAY_NS
            peaks[day] = max(peaks[day], step.calls / PEAK_SECONDS)
    return peaks
