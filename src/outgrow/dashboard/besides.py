"""What grows besides the traffic as a whole: as it is asked for, and as it is answered."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Protocol

from outgrow.dashboard import shapes
from outgrow.dashboard.asking import AskingError, Parameter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from outgrow.capacity import Forecast, Growth, Recorded, RowTime
    from outgrow.telemetry import StatementTotals

NAMES_SHOWN = 5
NAMES_MAX = 16
STATEMENTS_MAX = 64
WINDOW_NS = 10 * 10**9
TIMES_MIN, TIMES_MAX = 0.01, 1000.0
NEVER_EXTRAPOLATED = (
    "taken on in a straight line from what rows cost now; a query plan that flips and data that "
    "outgrow a cache are not foreseen"
)
_HINT = "Write `checkout=2`: a route or an operation, and how many times the growth of the rest"


BESIDES = (
    Parameter(
        name="mix",
        kind="text",
        text="What grows faster or slower than the rest: `NAME=TIMES`, several with `;` between",
        max=2000,
    ),
    Parameter(
        name="data",
        kind="number",
        text="How many times the rows of now there are in the tables",
        default=1.0,
        min=0.1,
        max=1000.0,
    ),
)


@dataclass(frozen=True)
class Besides:
    """What was asked for.

    Attributes:
        mix: `NAME=TIMES`, several with `;` between them.
        data_ratio: How many times the rows of now.
    """

    mix: str = ""
    data_ratio: float = 1.0

    @property
    def is_none(self) -> bool:
        """Whether nothing grows but traffic as a whole."""
        return not self.mix and self.data_ratio == 1


TRAFFIC_ALONE = Besides()


class Statements(Protocol):
    """Where statements come from: the archive."""

    def statements(self, from_ns: int, to_ns: int, /) -> Sequence[StatementTotals]:
        """Their sums over a period."""
        ...

    def statement_steps(
        self, fingerprints: Sequence[str], from_ns: int, to_ns: int, step_ns: int, /
    ) -> Mapping[int, Sequence[StatementTotals]]:
        """What some of them did in each step."""
        ...


def growth_of(asked: Besides, evidence: Recorded) -> Growth:
    """The growth that was asked for.

    Raises:
        AskingError: It is not understood, or names what nobody has called.
    """
    from outgrow.capacity import Growth

    runs = [one for window in evidence.windows() for one in window.operations if one.calls]
    names = dict.fromkeys(sorted(one.name for one in runs))
    mix: dict[str, float] = {}
    for part in filter(None, (each.strip() for each in asked.mix.split(";"))):
        name, _, number = part.rpartition("=")
        if not name or not re.fullmatch(r"\d{1,6}(\.\d{1,6})?", number):
            raise AskingError(f"`{part[:80]}` is no part of a mix", _HINT)
        if not TIMES_MIN <= float(number) <= TIMES_MAX:
            raise AskingError(
                f"`{part[:80]}` is out of range",
                f"Give a number from {TIMES_MIN:g} to {TIMES_MAX:g}",
            )
        mix[_name_of(name.strip(), names)] = float(number)
    if len(mix) > NAMES_MAX:
        raise AskingError(f"the mix names {len(mix)}", f"Name at most {NAMES_MAX}")
    return Growth(mix=mix, data_ratio=asked.data_ratio)


def _name_of(wanted: str, names: Iterable[str]) -> str:
    """The one route or operation that is meant: by its name, or by a word of it.

    Raises:
        AskingError: There is none, or several.
    """
    folded = {name.lower(): name for name in names}
    if wanted.lower() in folded:
        return folded[wanted.lower()]
    having = [
        name for low, name in folded.items() if wanted.lower() in re.split(r"[^a-z0-9_-]+", low)
    ]
    routes = [name for name in having if " " in name]
    found = routes if len(routes) == 1 else having
    if len(found) == 1:
        return found[0]
    if found:
        raise AskingError(
            f"`{wanted[:80]}` may be any of {len(found)} routes and operations",
            f"Name one of: {_listed(found)}",
        )
    near = get_close_matches(wanted.lower(), list(folded), n=NAMES_SHOWN, cutoff=0.3)
    nearest = [folded[one] for one in near] or list(folded.values())
    raise AskingError(
        f"no route and no operation that was called is `{wanted[:80]}`",
        f"The nearest are: {_listed(nearest)}",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:NAMES_SHOWN])


def largest_statements(
    archive: Statements, from_ns: int, to_ns: int
) -> Mapping[int, Sequence[StatementTotals]]:
    """What the statements that take the most time did in each window of 10 s."""
    sums = sorted(archive.statements(from_ns, to_ns), key=lambda one: -one.duration_ns)
    largest = list(dict.fromkeys(one.fingerprint for one in sums[:STATEMENTS_MAX]))
    return archive.statement_steps(largest, from_ns, to_ns, WINDOW_NS)


def with_statements(
    evidence: Recorded, steps: Callable[[], Mapping[int, Sequence[StatementTotals]]]
) -> Recorded:
    """The evidence with what each statement did in each window, where that is not there yet."""
    if any(window.statements for window in evidence.recorded):
        return evidence
    from outgrow.capacity import StatementWindow

    found = steps()

    def statements(at_seconds: float) -> tuple[StatementWindow, ...]:
        return tuple(
            StatementWindow(
                database=one.database,
                fingerprint=one.fingerprint,
                text=one.text,
                caller=one.caller,
                reads=tuple(one.reads),
                writes=tuple(one.writes),
                calls=one.calls,
                rows=one.rows,
                duration_seconds=one.duration_ns / 1e9,
            )
            for one in found.get(round(at_seconds * 1e9), ())
        )

    return replace(
        evidence,
        recorded=tuple(
            replace(window, statements=statements(window.at_seconds))
            for window in evidence.recorded
        ),
    )


def besides_of(told: Forecast, growth: Growth | None) -> shapes.Besides | None:
    """What grows besides, as the API answers it; None where nothing does."""
    if growth is None:
        return None
    is_more = growth.data_ratio != 1
    return shapes.Besides(
        mix=[shapes.GrowsBesides(name=name, times=times) for name, times in growth.mix.items()],
        data_times=growth.data_ratio,
        rows=[_row(one) for one in told.rows.known],
        unknown=[shapes.RowsUnknown(subject=one.subject, why=one.why) for one in told.rows.unknown],
        note=NEVER_EXTRAPOLATED if is_more else "",
    )


def _row(one: RowTime) -> shapes.RowCost:
    slope = one.seconds_per_row
    cost = shapes.Between(best=slope.best * 1e3, low=slope.low * 1e3, high=slope.high * 1e3)
    return shapes.RowCost(
        subject=one.subject,
        operation=one.operation,
        stations=list(one.stations),
        rows=one.rows,
        ms_per_row=cost,
    )


def said(told: Forecast, growth: Growth | None) -> str:
    """What the sentence adds: how far it goes for those that grow otherwise."""
    if growth is None:
        return ""
    best = told.headroom.best
    parts = [f"`{name}` at {best * times:.1f} times" for name, times in growth.mix.items()]
    if growth.data_ratio != 1:
        known = "" if told.rows.known else " (whose cost is not known)"
        parts.append(f"{growth.data_ratio:g} times the rows{known}")
    return f", with {' and '.join(parts)}" if parts else ""
