"""Looks for signs in what the model is told, and in what the archive keeps beside it.

What is read for that has bounds of its own, so that it takes no longer for an app that has run for
weeks than for one that has run for an hour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from outgrow.dashboard.history import PEAK_DAYS, Before
from outgrow.dashboard.marking import DEPLOY
from outgrow.dashboard.objectives import WINDOWS
from outgrow.dashboard.outcomes import Steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from outgrow.capacity import Release, Seen
    from outgrow.dashboard.shapes import Objective
    from outgrow.dashboard.telling import Told
    from outgrow.telemetry import MarkSum, SpanRecord, StatementTotals, WindowSum

TRACES_MAX = 200
BURN_HOURS = tuple(long_ns / 3600e9 for _, long_ns, _, _ in WINDOWS)


class Beside(Protocol):
    """What is read beside windows: the archive has it."""

    def statements(self, from_ns: int, to_ns: int, /) -> Sequence[StatementTotals]:
        """SQL statements, by database, fingerprint and caller."""
        ...

    def newest_spans(self, from_ns: int, to_ns: int, limit: int, /) -> Sequence[SpanRecord]:
        """The spans of the newest traces, at most so many, few with each name."""
        ...


class Windows(Beside, Before, Steps, Protocol):
    """Where windows come from: the archive."""

    def windows(self, from_ns: int, to_ns: int, /) -> Sequence[WindowSum]:
        """Windows of 10 s, oldest first."""
        ...


def seen_in(
    told: Told,
    *,
    spans: Sequence[SpanRecord],
    objectives: Sequence[Objective],
    marks: Iterable[MarkSum],
) -> Seen:
    """All that signs are looked for in.

    Args:
        told: The forecast, or why there is none, and what it rests on.
        spans: Of the newest traces of that time.
        objectives: How they are kept.
        marks: What was marked in that time.
    """
    from outgrow.capacity import Burn, Forecast, Seen, service_of, traces_of

    windows, history = tuple(told.evidence.windows()), told.history
    return Seen(
        windows=windows,
        statements=told.statements,
        told=told.found if isinstance(told.found, Forecast) else None,
        traces=traces_of(spans),
        days=history.days,
        peak_per_second=max(history.peaks_per_second[-PEAK_DAYS:], default=None),
        burns=tuple(
            Burn(
                operation=one.operation,
                promise=one.text,
                hours=hours,
                long_rate=burn.long_rate or 0.0,
                short_rate=burn.short_rate or 0.0,
            )
            for one in objectives
            for hours, burn in zip(BURN_HOURS, one.burns, strict=True)
        ),
        service_of={
            one.name: service_of(one.name)
            for window in windows
            for one in window.operations
            if not one.is_entry
        },
        releases=_releases_of(marks),
    )


def _releases_of(marks: Iterable[MarkSum]) -> tuple[Release, ...]:
    """When new versions came, of all that was marked."""
    from outgrow.capacity import Release

    return tuple(
        Release(at_seconds=one.at_ns / 1e9, text=one.text) for one in marks if one.kind == DEPLOY
    )
