"""What breaks first, and the signs of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from outgrow.dashboard.shapes.applied import Applied, Gain
from outgrow.dashboard.shapes.besides import Besides
from outgrow.dashboard.shapes.shape import Between, Problem
from outgrow.dashboard.shapes.verified import Learned, Verified
from outgrow.placement import PlannedChange


class PatternAhead(msgspec.Struct, frozen=True, kw_only=True):
    """A change that moves a limit.

    Attributes:
        title: What is done, to what.
        effort: What must be touched: a setting, the placement, code, or data and machines.
        how: One thing to do, as code between backticks or in words.
        needs: What must hold for it, and no model can see.
        calls_per_second: Of all routes, at which the limit binds then.
        headroom: That, over the traffic of now.
    """

    title: str
    effort: Literal["setting", "placement", "code", "data"]
    how: str
    needs: list[str]
    calls_per_second: Between
    headroom: Between


class LimitAhead(msgspec.Struct, frozen=True, kw_only=True):
    """One limit, as if it were the only one.

    Attributes:
        station: What runs out, such as `loop web` or `pool orders`.
        calls_per_second: Of all routes, at which it does.
        headroom: That, over the traffic of now.
        first_percent: How probable it is that it is the first.
        binds: It is reached at the traffic that was asked for.
        load_percent: Of it that is in use at the traffic of now.
        pattern: What has it bear the traffic that was asked for; None where it does, or where
            nothing is known.
        by_hand: What to do where no pattern is known.
        learned: What load tests have taught of it; it is in the numbers.
    """

    station: str
    kind: str
    calls_per_second: Between
    headroom: Between
    first_percent: float
    binds: bool
    load_percent: float
    pattern: PatternAhead | None = None
    by_hand: str = ""
    learned: Learned | None = None


class DueAhead(msgspec.Struct, frozen=True, kw_only=True):
    """When the busiest ten minutes of a day reach four fifths of the first knee.

    Attributes:
        at_ms: The first such day; None where it is more than two years away, or never comes.
        early_ms: With the steepest growth and the lowest knee that 90 of 100 draws allow.
        late_ms: With the flattest and the highest.
        weekly_percent: How much these peaks grow in a week.
        days: On how many days that rests.
    """

    at_ms: float | None
    early_ms: float | None
    late_ms: float | None
    weekly_percent: float
    days: int


class Foreseen(msgspec.Struct, frozen=True, kw_only=True):
    """A forecast, or why there is none.

    Attributes:
        sentence: The answer in words; code stands between backticks.
        refusal: Why there is no number; then nothing else is known.
        times: The multiple of today's traffic that was asked for.
        grade: Of what it rests on: `exact`, our own workers; `metrics` of others; `verified`, where
            load tests have reached its first limit.
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
        unknown_percent: The share that passes in each route, or within holds of each station, and
            that nothing explains: a limit that nobody measured may hide there.
        due: When that is, as traffic grows; None where fewer than 14 whole days are known.
        record: Load tests of forecasts before, the latest first.
        besides: What grows besides; then all rates are told along that mix, also that of now.
    """

    sentence: str
    times: float
    grade: Literal["exact", "metrics", "verified"] = "exact"
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
    unknown_percent: dict[str, float] = {}
    due: DueAhead | None = None
    record: list[Verified] = []
    besides: Besides | None = None


class ResponsePoint(msgspec.Struct, frozen=True, kw_only=True):
    """How long calls would take at one load; a minute stands for longer, and for no end.

    Attributes:
        calls_per_second: Of all routes.
    """

    calls_per_second: float
    mean_ms: Between
    p99_ms: Between


class Responding(msgspec.Struct, frozen=True, kw_only=True):
    """How long calls of one route would take as traffic grows.

    Attributes:
        operation: The route; empty where there is no forecast.
        operations: Routes that can be asked for, those that take most of the first limit first.
        points: From nearly no load up to near saturation.
    """

    operation: str = ""
    operations: list[str] = []
    points: list[ResponsePoint] = []


class PlanStep(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a plan; each interval in calls of all routes a second.

    Attributes:
        limit: That it moves.
        pattern: The change; with where its limit goes.
        by: Who carries it out: `outgrow apply`, people by hand, or what runs by itself.
        limit_per_second: At which the limit binds before it.
        knee_before: What the system bears before it.
        knee_after: What it bears after it, and all steps before.
        first_after: What binds first then.
        workers: That it adds; negative where it saves some.
        memory_bytes: That those take, as workers take now.
        cores: CPU load that it adds at the traffic of now.
        money_per_month: That it costs more at the traffic of now; None without prices.
    """

    limit: str
    kind: str
    pattern: PatternAhead
    by: Literal["apply", "hand", "itself"]
    limit_per_second: Between
    knee_before: Between
    knee_after: Between
    first_after: str
    workers: int = 0
    memory_bytes: int = 0
    cores: float = 0.0
    money_per_month: float | None = None


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One pattern that comes into question at a limit, tried by itself.

    Attributes:
        limit: At which it is tried.
        title: What is done, to what.
        effort: What must be touched.
        by: Who carries it out.
        how: One thing to do.
        needs: What must hold for it, and no model can see.
        assumes: A number that nobody measured, and that it would have to be; empty where there is
            none.
        before: The knee without it, in calls of all routes a second.
        after: The knee with it.
        gain: The one over the other; about 1 where it moves the limit, and another is as near.
        better_percent: How probable it is that it is a gain at all.
        first_after: What binds first then.
        money_per_month: That it costs more; None without prices.
    """

    limit: str
    title: str
    effort: Literal["setting", "placement", "code", "data"]
    by: Literal["apply", "hand", "itself"]
    how: str
    needs: list[str]
    assumes: str
    before: Between
    after: Between
    gain: Between
    better_percent: float
    first_after: str
    workers: int = 0
    memory_bytes: int = 0
    cores: float = 0.0
    money_per_month: float | None = None


class GrowthPlan(msgspec.Struct, frozen=True, kw_only=True):
    """Steps that carry the app to a multiple of today's traffic.

    Attributes:
        sentence: The answer in words; code stands between backticks.
        refusal: Why there is none; then nothing else is known.
        times: The multiple.
        target_per_second: That, in calls of all routes.
        bears: What the app bears after all steps.
        sure_percent: How probable it is that this is enough.
        steps: In the order in which they are taken.
        stuck: A limit that no pattern moves far enough.
        by_hand: What to do about it.
        ways: Every pattern that comes into question at the first limit, and at one that is in the
            way, the best first; those that assume something come last.
        objective: Whose knee counts for the ways, in words; empty where it is that by throughput.
        currency: Of all money in it; empty without prices.
        change: What of it is a change of placement.
        foretold: What that alone brings; None where there is none.
        applied: Plans that were carried out, the latest first, beside what came of them.
    """

    sentence: str
    times: float
    refusal: Problem | None = None
    target_per_second: float | None = None
    bears: Between | None = None
    sure_percent: float | None = None
    steps: list[PlanStep] = []
    stuck: str = ""
    by_hand: str = ""
    ways: list[Way] = []
    objective: str = ""
    currency: str = ""
    change: PlannedChange = PlannedChange()
    foretold: Gain | None = None
    applied: list[Applied] = []


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What one service takes for each request that strangers make.

    Attributes:
        name: Of the service; `routes` for what is in none, `all` for all together.
        share_percent: Of the CPU time of all.
        worker_ms: Time of workers that are there, busy or not.
        worker_hours_per_million: The same, for a million requests.
        money_per_million: CPU and workers' memory for a million requests; None without prices.
    """

    name: str
    share_percent: float
    cpu_ms: float
    database_ms: float
    worker_ms: float
    worker_hours_per_million: float
    money_per_million: float | None = None


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """What the app takes in a month at some traffic.

    Attributes:
        times: That traffic over that of now.
        cores: That are at work on average.
        workers_added: By the plan that carries it there.
        money_per_month: None without prices.
    """

    times: float
    cores: Between
    workers_added: int
    memory_bytes: int
    databases: int
    money_per_month: Between | None = None


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """What the app takes and costs, now and at a multiple of the traffic.

    Attributes:
        refusal: Why there is none; then nothing else is known.
        requests_per_second: That it was measured at.
        elasticity: By how many percent CPU time rises with one percent more requests; None where
            traffic did not vary.
        stuck: What keeps the plan from getting there; then the second bill is of as far as it gets.
        currency: Of all money in it; empty without prices.
        services: Those first that take most.
        bills: Now, and at the multiple, after a plan to it.
    """

    times: float
    refusal: Problem | None = None
    requests_per_second: float = 0.0
    elasticity: Between | None = None
    stuck: str = ""
    currency: str = ""
    whole: Spent | None = None
    services: list[Spent] = []
    bills: list[Bill] = []


class SignSilence(msgspec.Struct, frozen=True, kw_only=True):
    """Why a sign is not wanted, and until which day; `is_over` where that day is past."""

    reason: str
    until: str
    is_over: bool


class SignSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One warning sign at one place.

    Attributes:
        subject: A station, an operation, a statement, a link.
        severity: `warn` or `severe`.
        text: The evidence in a sentence.
        gain: How many times the first limit its removal would allow; None where unknown.
        share_percent: Of the demand or time that it touches; None where that makes no sense.
        numbers: More of the evidence; the end of each name is its unit.
        traces: Ids of kept traces that show it, the plainest first.
        silence: Why it is not wanted until a day, or was not until lately.
    """

    sign: str
    subject: str
    severity: str
    text: str
    value: float
    threshold: float
    gain: float | None = None
    share_percent: float | None = None
    numbers: dict[str, float] = {}
    traces: list[str] = []
    silence: SignSilence | None = None


class SignMissing(msgspec.Struct, frozen=True, kw_only=True):
    """A sign that could not be looked for.

    Attributes:
        needs: What that takes.
    """

    sign: str
    needs: str


class Signs(msgspec.Struct, frozen=True, kw_only=True):
    """The signs of a period, those with the largest gain first.

    Attributes:
        silenced: Signs that are there as well, and not wanted.
    """

    signs: list[SignSeen]
    missing: list[SignMissing]
    silenced: list[SignSeen] = []
