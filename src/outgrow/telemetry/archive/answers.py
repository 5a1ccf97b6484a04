"""What the archive answers: sums and records of a period, over all workers.

A sum is of what was counted between two moments of the wall clock; buckets are those of
`histogram`. Windows are 10 s long, and 1 s for the newest of them: a period is widened to whole
ones, a long one by up to 1/500 of it, and steps of less than a window have nothing in between.
"""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

import msgspec

from outgrow.telemetry.records import LogRecord, ProcessTotals, StatementTotals, StationTotals

Buckets = dict[int, int]
T = TypeVar("T")


class Page(list[T], Generic[T]):
    """Some of what was searched for, newest first.

    Attributes:
        before_ns: Ask again with it as the period's end for older ones; None where all has been
            searched. A page with a `before_ns` may hold fewer than asked for, or nothing: text is
            searched for in so many records at a time.
    """

    before_ns: int | None = None


class CallSum(msgspec.Struct, kw_only=True):
    """Calls of one operation by one caller.

    Attributes:
        caller: The operation or route that called; `edge` or `web` outside of both; empty for a
            route, which strangers call.
        callee: A route, `METHOD /template`; an operation, `Orders.place`; or what lies outside,
            such as `sql orders` or `http api.stripe.com`.
        calls: Those that ended.
        errors: Of these, those that failed.
        refused: Calls that never began.
        cut_off: Of `calls`, requests that got no whole response.
        duration_ns: Sum of their times.
        metered: Calls whose time on the event loop is in `loop_ns`.
        loop_ns: Sum of that.
        hedges: Calls made in a second place.
        hedges_won: Of these, those that the second place answered first.
        timeouts: Of `errors`, those whose time was up.
        client_errors: Of `calls`, requests that ended with a status of 400 to 499.
        wait_ns: Of `duration_ns`, what passed before the app began with requests.
        crossed: Calls that left their process; of these are `retries` and bytes.
        retries: Calls that were made again.
        sent_bytes: Of arguments; of a route, bodies of its responses.
        received_bytes: Of results; of a route, bodies of its requests.
        per_parent: Runs of the caller by the number of calls in them, in powers of 2: of one run
            in 16 where the call stays in its process.
    """

    caller: str
    callee: str
    calls: int = 0
    errors: int = 0
    refused: int = 0
    cut_off: int = 0
    duration_ns: int = 0
    metered: int = 0
    loop_ns: int = 0
    hedges: int = 0
    hedges_won: int = 0
    timeouts: int = 0
    client_errors: int = 0
    wait_ns: int = 0
    crossed: int = 0
    retries: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    buckets: Buckets = msgspec.field(default_factory=Buckets)
    per_parent: Buckets = msgspec.field(default_factory=Buckets)


class StepSum(msgspec.Struct, kw_only=True):
    """Calls in one step of a series; `at_ns` is its beginning, a multiple of the step's length."""

    at_ns: int
    calls: int = 0
    errors: int = 0
    duration_ns: int = 0
    buckets: Buckets = msgspec.field(default_factory=Buckets)


class WorkerSum(msgspec.Struct, kw_only=True):
    """A process that reported in a period.

    Attributes:
        app: That it belongs to.
        epoch: Told apart from every other process.
        began_ns: When the process began to count.
        seen_ns: When it last reported.
        seconds: For how much of the period it was there.
        state: `gone` where it said so, `lost` where it vanished without a last word.
        commit: That it runs, where it is known.
        used: What it used in the period; what is said to be `now` in it is the last known.
    """

    name: str
    group: str
    version: int
    machine: str
    pid: int
    began_ns: int
    seen_ns: int
    seconds: float
    state: Literal["reporting", "gone", "lost"]
    app: str = ""
    epoch: str = ""
    commit: str = ""
    labels: dict[str, str] = {}
    used: ProcessTotals = msgspec.field(default_factory=ProcessTotals)


class StationSum(msgspec.Struct, kw_only=True):
    """A station of one worker, over the seconds in which that worker was there."""

    worker: str
    seconds: float
    used: StationTotals


class StationStep(msgspec.Struct, kw_only=True):
    """What one station of a worker did in a step; `at_ns` is its beginning."""

    worker: str
    at_ns: int
    used: StationTotals


class TraceSum(msgspec.Struct, kw_only=True):
    """A kept trace as a search finds it.

    Attributes:
        at_ns: When its first span began.
        name: Of that span, as are `duration_ns` and `kept_for`.
        spans: How many are kept.
        errors: Of these, those that failed.
        services: In which they ran, sorted.
    """

    trace_id: bytes
    at_ns: int
    name: str
    duration_ns: int
    spans: int
    errors: int
    services: list[str]
    kept_for: str


class FaultSum(msgspec.Struct, kw_only=True):
    """Log records of one fingerprint.

    Attributes:
        last: The newest of them; the trace is of the newest that has one.
    """

    count: int
    first_ns: int
    services: list[str]
    last: LogRecord


class MarkSum(msgspec.Struct, kw_only=True):
    """What was marked at a moment."""

    at_ns: int
    kind: str
    text: str


class GapSum(msgspec.Struct, kw_only=True):
    """A time of which a worker told nothing.

    Attributes:
        is_counted: It told later, in sums: what happened meanwhile is counted where the gap ends.
    """

    worker: str
    from_ns: int
    to_ns: int
    is_counted: bool = False


class MetricSum(msgspec.Struct, kw_only=True):
    """A metric that points were received of; ask for them by its name."""

    name: str
    service: str
    points: int
    last_ns: int


class ArrivalSum(msgspec.Struct, kw_only=True):
    """How evenly the requests of one operation came, see `Arrivals`."""

    operation: str
    parts: int = 0
    total: int = 0
    squares: int = 0
    neighbours: int = 0


class ProcessSum(msgspec.Struct, kw_only=True):
    """What one process used in a window.

    Attributes:
        epoch: Of the process.
        seconds: How much time it told of in this window, perhaps somewhat more than its length.
        used: What it used in that; what is said to be `now` is the last of it.
    """

    epoch: str
    seconds: float
    used: ProcessTotals


class ProcessStep(msgspec.Struct, kw_only=True):
    """What one process used in one step of a series.

    Attributes:
        worker: Its name, as others before and after it may have.
        epoch: Of the process.
        at_ns: The step's beginning, a multiple of its length.
        seconds: How much time of it the process has told of.
        loop_busy_ns: How long its event loop was busy. Where several processes of that name were
            there, each has its part of what all of them tell.
        used: What it used; what is said to be `now` is the last of it.
    """

    worker: str
    epoch: str
    at_ns: int
    seconds: float
    loop_busy_ns: int
    used: ProcessTotals


class WindowSum(msgspec.Struct, kw_only=True):
    """All that was counted in one window of 10 s, or on a day.

    Attributes:
        at_ns: Its beginning.
        stations: By worker; their `seconds` are those of its process.
        statements: Only where the window is a day.
    """

    at_ns: int
    calls: list[CallSum]
    stations: list[StationSum]
    processes: list[ProcessSum]
    arrivals: list[ArrivalSum]
    statements: list[StatementTotals] = []


class Health(msgspec.Struct, kw_only=True):
    """How the archive itself fares.

    Attributes:
        days: Files that are there, oldest first, as `2026-11-24`.
        kept_bytes: Their size.
        waiting: Records that are not written yet.
        problem: Why nothing can be written now, such as a full disk; empty where it can.
        dropped: What could not be kept since the start, by kind.
        set_aside: Files that could not be read, and were renamed.
    """

    days: list[str]
    kept_bytes: int
    waiting: int
    problem: str
    dropped: dict[str, int]
    set_aside: list[str]


class TraceSearch(msgspec.Struct, frozen=True, kw_only=True):
    """Which traces are wanted, newest first; an empty text asks for nothing.

    Attributes:
        operation: One of its spans has this name, and all that follows.
        text: In the name, message or attributes of that span; upper and lower case are alike.
        min_ns: That span took at least so long.
        only_errors: That span failed.
        limit: At most so many.
    """

    operation: str = ""
    text: str = ""
    min_ns: int = 0
    only_errors: bool = False
    limit: int = 50


class LogSearch(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines are wanted, newest first; an empty text asks for nothing.

    Attributes:
        text: In the text, the logger's name or the attributes; upper and lower case are alike.
    """

    text: str = ""
    severity_min: int = 0
    trace_id: bytes = b""
    worker: str = ""
    limit: int = 200
