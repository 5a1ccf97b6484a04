"""When growing traffic reaches the first knee: as the API tells it, and in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from outgrow.dashboard.shapes import DueAhead

if TYPE_CHECKING:
    from outgrow.capacity import Due

_DAY_MS = 86_400e3
_WEEKS_FROM_DAYS = 14


def due_ahead(due: Due, days: int, now_ms: float) -> DueAhead:
    """A date.

    Args:
        due: In days from yesterday, the last day of the history.
        days: How many days that history has.
        now_ms: Today.
    """
    yesterday_ms = now_ms // _DAY_MS * _DAY_MS - _DAY_MS

    def at(ahead: int | None) -> float | None:
        return None if ahead is None else yesterday_ms + ahead * _DAY_MS

    return DueAhead(
        at_ms=at(due.days),
        early_ms=at(due.days_low),
        late_ms=at(due.days_high),
        weekly_percent=100 * due.weekly_ratio,
        days=days,
    )


def due_words(due: DueAhead, now_ms: float) -> str:
    """A sentence that ends with `in 9 weeks (6 to 14), about 2027-02-03.`, or says why it does not.

    Args:
        due: The date.
        now_ms: Today.
    """
    said = (
        f"At the growth of the last {due.days} days, {due.weekly_percent:+.1f} % a week, "
        "the busiest ten minutes of a day reach four fifths of it "
    )
    if due.early_ms is None:
        return f"{said}in more than two years, or never."
    if due.at_ms is None:
        days = (due.early_ms - now_ms) / _DAY_MS
        return f"{said}in {days / 7:.0f} weeks at the earliest."
    if due.at_ms <= now_ms:
        return f"{said}by now."
    is_near = due.at_ms - now_ms < _WEEKS_FROM_DAYS * _DAY_MS
    unit, length_ms = ("days", _DAY_MS) if is_near else ("weeks", 7 * _DAY_MS)
    best, early, late = (
        "never" if at_ms is None else f"{max(0.0, (at_ms - now_ms) / length_ms):.0f}"
        for at_ms in (due.at_ms, due.early_ms, due.late_ms)
    )
    day = datetime.fromtimestamp(due.at_ms / 1e3, UTC).date()
    return f"{said}in {best} {unit} ({early} to {late}), about {day}."
