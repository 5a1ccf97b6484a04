"""What breaks first, and the signs of it."""

from __future__ import annotations

import msgspec

from outgrow.dashboard.shapes.shape import Problem


class Between(msgspec.Struct, frozen=True, kw_only=True):
    """A number and how sure it is: 90 of 100 draws lie from `low` to `high`."""

    best: float
    low: float
    high: float


class LimitAhead(msgspec.Struct, frozen=True, kw_only=True):
    """One limit, as if it were the only one.

    Attributes:
        station: What runs out, such as `loop web` or `pool orders`.
        calls_per_second: Of all routes, at which it does.
        headroom: That, over the traffic of now.
        first_percent: How probable it is that it is the first.
        binds: It is reached at the traffic that was asked for.
    """

    station: str
    kind: str
    calls_per_second: Between
    headroom: Between
    first_percent: float
    binds: bool


class Foreseen(msgspec.Struct, frozen=True, kw_only=True):
    """A forecast, or why there is none.

    Attributes:
        sentence: The answer in words; code stands between backticks.
        refusal: Why there is no number; then nothing else is known.
        times: The multiple of today's traffic that was asked for.
        from_ms: The first moment of what was measured; `to_ms` the last.
        windows: How many windows of 10 s it rests on.
        now_per_second: Calls of all routes in them.
        saturation_per_second: The knee by throughput.
        knee_by_doubling_per_second: Where the mean time has doubled.
        knee_by_objective_per_second: Of the objective that breaks first.
        objective: That objective, in words.
        first: The first limit; with a second that is too near to be told apart.
        ladder: All limits, in the order in which they bind.
        unmeasured_percent: Share of the time of calls that passes at no station.
    """

    sentence: str
    times: float
    refusal: Problem | None = None
    from_ms: float | None = None
    to_ms: float | None = None
    windows: int = 0
    now_per_second: float | None = None
    headroom: Between | None = None
    saturation_per_second: Between | None = None
    knee_by_doubling_per_second: Between | None = None
    knee_by_objective_per_second: Between | None = None
    objective: str | None = None
    first: list[str] = []
    ladder: list[LimitAhead] = []
    unmeasured_percent: float | None = None


class SignSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One warning sign at one place.

    Attributes:
        subject: A station, an operation, a statement, a link.
        severity: `warn` or `severe`.
        text: The evidence in a sentence.
        gain: How many times the first limit its removal would allow; None where unknown.
        share_percent: Of the demand or time that it touches; None where that makes no sense.
    """

    sign: str
    subject: str
    severity: str
    text: str
    value: float
    threshold: float
    gain: float | None = None
    share_percent: float | None = None


class SignMissing(msgspec.Struct, frozen=True, kw_only=True):
    """A sign that could not be looked for.

    Attributes:
        needs: What that takes.
    """

    sign: str
    needs: str


class Signs(msgspec.Struct, frozen=True, kw_only=True):
    """The signs of a period, those with the largest gain first."""

    signs: list[SignSeen]
    missing: list[SignMissing]
