"""What was promised of operations, and how fast the budget for breaking it is used.

In outgrow.toml, or any TOML file:

    [objectives]
    "POST /orders" = { latency_ms = 300, percent = 99, errors_percent = 1 }

Of a hundred calls, 99 shall end within 300 ms, and at most one with an error. The burn rate is the
share of bad calls over the share that is allowed: at 1 the budget is used up exactly at the end.
An alarm needs the rate in a long window, or it may not matter, and in a short one, or it is over.

Source:
    B. Beyer and others, The Site Reliability Workbook, O'Reilly 2018, chapter 5: multiwindow,
    multi-burn-rate alerts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from outgrow.dashboard.shapes import Burn, Objective
from outgrow.errors import SettingValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OBJECTIVES_MAX = 200
DAYS = 7.0
_FORM = '"POST /orders" = { latency_ms = 300, percent = 99, errors_percent = 1 }'
_KEYS = {"latency_ms", "percent", "errors_percent"}
_MINUTE_NS = 60 * 1_000_000_000
_HOUR_NS = 60 * _MINUTE_NS
_DAY_NS = 24 * _HOUR_NS
# Name, long window, short window, limit.
WINDOWS = (
    ("1h / 5m", _HOUR_NS, 5 * _MINUTE_NS, 14.4),
    ("6h / 30m", 6 * _HOUR_NS, 30 * _MINUTE_NS, 6.0),
    ("3d / 6h", 3 * _DAY_NS, 6 * _HOUR_NS, 1.0),
)


@dataclass(frozen=True, kw_only=True)
class Promise:
    """One objective of one operation.

    Attributes:
        goal_percent: So many calls shall be good.
        latency_ms: A good call ends within it; None where a good call is one without an error.
    """

    operation: str
    goal_percent: float
    latency_ms: float | None = None

    @property
    def kind(self) -> Literal["latency", "errors"]:
        """What makes a call good."""
        return "errors" if self.latency_ms is None else "latency"

    @property
    def text(self) -> str:
        """As people say it."""
        if self.latency_ms is None:
            return f"{self.goal_percent:g} % without an error"
        return f"{self.goal_percent:g} % within {self.latency_ms:g} ms"


@dataclass(frozen=True)
class Count:
    """Calls of a period, and how many of them were good."""

    calls: int
    good: int

    def burn_rate(self, goal_percent: float) -> float | None:
        """How fast the budget was used; None without calls."""
        if not self.calls:
            return None
        allowed_ratio = 1 - goal_percent / 100
        return (1 - self.good / self.calls) / allowed_ratio


def promises_in(table: Mapping[str, Any], source: str) -> tuple[Promise, ...]:
    """The objectives of a table.

    Args:
        table: Of TOML, by operation.
        source: Of the table, for errors.

    Raises:
        SettingValueError: An entry is not understood.
    """
    if len(table) > OBJECTIVES_MAX:
        raise SettingValueError(f"{source} has more than {OBJECTIVES_MAX} objectives")
    found: list[Promise] = []
    for operation, entry in table.items():
        where = f'"{operation}" under [objectives] in {source}'
        if not isinstance(entry, dict):
            raise SettingValueError(f"{where} is no table", hint=f"Write {_FORM}")
        found += _promises_of(operation, cast("dict[str, Any]", entry), where)
    return tuple(found)


def _promises_of(operation: str, entry: dict[str, Any], where: str) -> list[Promise]:
    for key, value in entry.items():
        if key not in _KEYS:
            raise SettingValueError(f"`{key}` of {where} is not known", hint=f"Write {_FORM}")
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or value <= 0 or (key != "latency_ms" and value >= 100):
            raise SettingValueError(
                f"`{key}` of {where} is {value!r}",
                hint="Give a number above 0, and percentages below 100",
            )
    found: list[Promise] = []
    if "latency_ms" in entry:
        found.append(
            Promise(
                operation=operation,
                goal_percent=float(entry.get("percent", 99)),
                latency_ms=float(entry["latency_ms"]),
            )
        )
    if "errors_percent" in entry:
        goal = 100 - float(entry["errors_percent"])
        found.append(Promise(operation=operation, goal_percent=goal))
    if not found:
        raise SettingValueError(f"{where} promises nothing", hint=f"Write {_FORM}")
    return found


def kept(
    promise: Promise, count: Callable[[int, int], Count], now_ns: int, since_ns: int
) -> Objective:
    """How an objective is kept.

    Args:
        promise: The objective.
        count: Counts the operation's calls between two moments.
        now_ns: Wall clock.
        since_ns: When counting began; the budget is for 7 days, or as long as that.
    """
    from_ns = max(since_ns, now_ns - int(DAYS * _DAY_NS))
    whole = count(from_ns, now_ns)
    used = whole.burn_rate(promise.goal_percent)
    return Objective(
        operation=promise.operation,
        kind=promise.kind,
        text=promise.text,
        goal_percent=promise.goal_percent,
        calls=whole.calls,
        days=max(0.0, (now_ns - from_ns) / _DAY_NS),
        latency_ms=promise.latency_ms,
        good_percent=100 * whole.good / whole.calls if whole.calls else None,
        budget_left_percent=None if used is None else 100 * (1 - used),
        burns=[
            _burn(name, limit, promise, count(now_ns - long, now_ns), count(now_ns - short, now_ns))
            for name, long, short, limit in WINDOWS
        ],
    )


def _burn(name: str, limit: float, promise: Promise, long: Count, short: Count) -> Burn:
    long_rate = long.burn_rate(promise.goal_percent)
    short_rate = short.burn_rate(promise.goal_percent)
    return Burn(
        window=name,
        limit=limit,
        long_rate=long_rate,
        short_rate=short_rate,
        is_burning=min(long_rate or 0.0, short_rate or 0.0) >= limit,
    )
