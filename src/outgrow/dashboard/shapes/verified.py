"""What load tests said of forecasts."""

from __future__ import annotations

import msgspec

from outgrow.dashboard.shapes.shape import Between


class LimitLoad(msgspec.Struct, frozen=True, kw_only=True):
    """How full a limit was."""

    station: str
    kind: str
    load_percent: float


class Loads(msgspec.Struct, frozen=True, kw_only=True):
    """How full each limit was in a period, the fullest first.

    Attributes:
        windows: How many windows of 10 s there are of it.
    """

    windows: int
    loads: list[LimitLoad]


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """What load tests have taught of a limit.

    Attributes:
        tests: Of this limit; 0 where only others of its kind were tested.
        shift_percent: It bears so much more than the model alone says; negative for less.
        width_ratio: How wide its interval is by that, over what it would be without any test.
    """

    tests: int
    shift_percent: float
    width_ratio: float


class VerifiedStep(msgspec.Struct, frozen=True, kw_only=True):
    """One rate of a load test.

    Attributes:
        sent_per_second: Requests that were due.
        good_per_second: Those that were served.
        bad_percent: Of those that ended: refused for load, failed, or never answered.
        p99_ms: Of the route that the test looks at, from when each request was due.
        foretold_p99_ms: What was foretold for it; None above the limit that was foretold.
    """

    sent_per_second: float
    good_per_second: float
    bad_percent: float
    p99_ms: float
    foretold_p99_ms: Between | None = None


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """A forecast beside what a load test measured, in calls of all routes a second.

    Attributes:
        from_ms: When it began; `to_ms` when it ended.
        foretold: The first limit.
        measured: The knee; what was borne at least, where the limit was not reached.
        is_reached: Whether it was.
        error_percent: How far above what was measured the forecast was; negative below.
        first_foretold: What was said to bind first.
        first_measured: What did; empty where that is not known.
        is_held: The forecast held; None where that is not known: the limit was not reached,
            others took cores meanwhile and less was measured than was foretold, or what was sent
            was another mix than that of the forecast.
        route: Whose times the steps tell.
        others_cores: Cores that others of the machine used meanwhile, besides the app and the test.
        driver_cores: Cores that the test used, where it ran on the machine of the app.
        limit_foretold_per_second: Where the limit that was measured first was foretold to bind, by
            the model alone; None where later forecasts can learn nothing from this test.
        limit_kind: Kind of that limit.
        mix_off_percent: Of what was sent, that went to other routes than the traffic before.
    """

    from_ms: float
    to_ms: float
    foretold: Between
    measured: Between
    is_reached: bool
    error_percent: float
    first_foretold: list[str]
    first_measured: str
    is_held: bool | None
    route: str
    steps: list[VerifiedStep]
    others_cores: float = 0.0
    driver_cores: float = 0.0
    limit_foretold_per_second: float | None = None
    limit_kind: str = ""
    mix_off_percent: float = 0.0
