"""What a sign is: a measured warning with its numbers, or a word on what it takes to look for it.

A sign is a function of what was `Seen`. It answers with findings, none where all is well, or with
`Missing`, so that silence never stands for health.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from outgrow.capacity.evidence import StatementWindow, Window
    from outgrow.capacity.forecast import Forecast

CALLS_MIN = 200
MINUTES_MIN = 5.0
DAYS_MIN = 14
Severity = Literal["warn", "severe"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """One piece of work in a kept trace.

    Attributes:
        parent: Place of the step that it belongs to; -1 for the first.
        begins_seconds: After the trace began.
        is_remote: It is a call to another process.
        writes: It is a statement that changes rows, or a request that asks another to change some.
        kind: `call`, `statement`, `http` or `other`.
        has_failed: It ended with an error.
        fingerprint: Of a statement.
    """

    name: str
    service: str
    parent: int
    begins_seconds: float
    seconds: float
    kind: Literal["call", "statement", "http", "other"] = "call"
    is_remote: bool = False
    writes: bool = False
    has_failed: bool = False
    fingerprint: str = ""


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One request that was kept, each of its steps after the one that it belongs to.

    Attributes:
        trace_id: By which it is found, 32 hexadecimal digits.
    """

    operation: str
    seconds: float
    steps: tuple[Step, ...]
    trace_id: str = ""


@dataclass(frozen=True, kw_only=True)
class Deploy:
    """A new version: the services whose code changed, and those that were restarted for it."""

    changed: frozenset[str]
    restarted: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Release:
    """When a new version came, and what it is called: `version 3, commit 1f2e3d`."""

    at_seconds: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Burn:
    """How fast the budget of an objective burnt lately, in a long window and in a short one.

    Attributes:
        promise: The objective in words; with its operation it is told apart.
        hours: Length of the long window; the short one is a twelfth of it.
        long_rate: Share of bad calls over the share that is allowed; 0 without calls.
    """

    operation: str
    promise: str
    hours: float
    long_rate: float
    short_rate: float


@dataclass(frozen=True, kw_only=True)
class Seen:
    """All that signs are looked for in; what is empty was not seen.

    Attributes:
        windows: Of the last minutes or hours.
        statements: All that ran in that time, by fingerprint and caller.
        days: One window for each day that is over, oldest first.
        told: The forecast; None where it was refused.
        traces: Kept ones.
        burns: How fast the budgets of objectives burn.
        commits: Services whose files each commit touched; of at most 30 files each.
        imports: Services that each service imports.
        deploys: Of late.
        releases: When new versions came, the oldest first.
        service_of: Of each operation.
        peak_per_second: The busiest ten minutes of the last seven days.
    """

    windows: tuple[Window, ...] = ()
    statements: tuple[StatementWindow, ...] = ()
    days: tuple[Window, ...] = ()
    told: Forecast | None = None
    traces: tuple[Trace, ...] = ()
    burns: tuple[Burn, ...] = ()
    commits: tuple[frozenset[str], ...] = ()
    imports: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    deploys: tuple[Deploy, ...] = ()
    releases: tuple[Release, ...] = ()
    service_of: Mapping[str, str] = field(default_factory=dict[str, str])
    peak_per_second: float | None = None

    def enough(self) -> bool:
        """Whether the windows hold enough calls, or enough time."""
        calls = sum(one.calls for window in self.windows for one in window.operations)
        minutes = sum(window.seconds for window in self.windows) / 60
        return bool(self.windows) and (calls >= CALLS_MIN or minutes >= MINUTES_MIN)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One sign at one place.

    Attributes:
        sign: Its name.
        subject: A station, an operation, a statement, a link.
        value: What was measured.
        threshold: That it passed.
        text: The evidence in a sentence.
        share_ratio: Of demand or time that it touches; None where that makes no sense.
        gain_ratio: How many times the first limit its removal would allow; None where unknown.
        numbers: More of the evidence, with its unit in the name.
        traces: Ids of kept ones that show it, the plainest first.
    """

    sign: str
    severity: Severity
    subject: str
    value: float
    threshold: float
    text: str
    share_ratio: float | None = None
    gain_ratio: float | None = None
    numbers: Mapping[str, float] = field(default_factory=dict[str, float])
    traces: tuple[str, ...] = ()


@dataclass(frozen=True)
class Missing:
    """A sign that could not be looked for, and what that takes."""

    needs: str


Look = Callable[[Seen], "list[Finding] | Missing"]


def severity_of(value: float, warn: float, severe: float) -> Severity | None:
    """How bad a value is; None below the first threshold."""
    if value >= severe:
        return "severe"
    return "warn" if value >= warn else None
