"""An answer of the model with what it rests on, and how the API tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outgrow.dashboard import shapes
from outgrow.dashboard.besides import Besides, besides_of, said
from outgrow.dashboard.dating import due_ahead, due_words
from outgrow.dashboard.growing import between, limit_ahead, objective_in_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from outgrow.capacity import (
        Forecast,
        Growth,
        History,
        Looked,
        Recorded,
        Refusal,
        Response,
        StatementWindow,
        Traits,
    )


@dataclass(frozen=True)
class Told:
    """An answer of the model, what it rests on, and what was asked of it further."""

    evidence: Recorded
    found: Forecast | Refusal
    groups: Sequence[shapes.Group]
    traits: Traits
    statements: tuple[StatementWindow, ...]
    history: History
    curves: dict[str, tuple[Response, ...]] = field(
        default_factory=dict[str, "tuple[Response, ...]"]
    )
    plans: dict[tuple[float, bool], shapes.GrowthPlan] = field(
        default_factory=dict["tuple[float, bool]", shapes.GrowthPlan]
    )
    looked: list[Looked] = field(default_factory=list["Looked"])
    growth: Growth | None = None
    besides: dict[Besides, Told] = field(default_factory=dict["Besides", "Told"])


def refused(problem: shapes.Problem) -> str:
    """That there is no forecast, and why."""
    return f"No forecast: {problem.text}."


def answered(told: Told) -> Forecast:
    """The forecast, of what was not refused."""
    from outgrow.capacity import Forecast

    assert isinstance(told.found, Forecast)
    return told.found


def foreseen_in(told: Told, times: float) -> shapes.Foreseen:
    """As the API tells it, for a multiple of today's traffic."""
    found = answered(told)
    whole = [window for window in told.evidence.windows() if window.is_whole]
    broken, knee = found.broken_objective, found.knee_by_objective_per_second
    to_ms = whole[-1].at_seconds * 1e3
    due = found.due and due_ahead(found.due, len(told.history.peaks_per_second), to_ms)
    sentence = _sentence(found, said(found, told.growth))
    return shapes.Foreseen(
        sentence=f"{sentence} {due_words(due, to_ms)}" if due else sentence,
        due=due,
        times=times,
        grade=found.grade,
        from_ms=whole[0].at_seconds * 1e3,
        to_ms=to_ms,
        windows=len(whole),
        now_per_second=found.now_per_second,
        headroom=between(found.headroom),
        saturation_per_second=between(found.saturation_per_second),
        knee_by_doubling_per_second=between(found.knee_by_doubling_per_second),
        knee_by_objective_per_second=None if knee is None else between(knee),
        objective=objective_in_words(broken) or None,
        first=list(found.first),
        ladder=[limit_ahead(found, rung, times, told.groups, told.traits) for rung in found.ladder],
        unmeasured_percent=100 * found.unmeasured_ratio,
        unknown_percent={name: 100 * ratio for name, ratio in found.unknown.items()},
        besides=besides_of(found, told.growth),
    )


def _sentence(told: Forecast, besides: str = "") -> str:
    first = " or ".join(f"`{name}`" for name in told.first)
    headroom = told.headroom
    return (
        f"{first} is the first limit: at {headroom.best:.1f} times the traffic of now "
        f"({headroom.low:.1f} to {headroom.high:.1f}){besides}, which is "
        f"{told.saturation_per_second.best:,.0f} requests a second."
    )
