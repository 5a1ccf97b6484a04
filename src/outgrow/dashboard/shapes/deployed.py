"""Who runs what and where, what was promised, and who changed it."""

from __future__ import annotations

from typing import Literal

import msgspec

from outgrow.dashboard.shapes.shape import Mark, Problem


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """A process of the app.

    Attributes:
        state: `reporting`, `gone`, or `lost` where it vanished without a last word.
        version: Of the app, as the supervisor counts them.
        commit: That it runs, where it is known.
        steal_percent: Of its machine's cores, taken by others of its host.
        cpu_stall_percent: Share of time in which something on its machine waited for a core; the
            next two for a disk and for memory.
    """

    name: str
    group: str
    state: Literal["reporting", "gone", "lost"]
    version: int
    machine: str
    pid: int
    began_at_ms: float
    seen_at_ms: float
    commit: str = ""
    busy_percent: float | None = None
    cpu_percent: float | None = None
    loop_lag_p99_ms: float | None = None
    gil_wait_p99_ms: float | None = None
    run_queue_percent: float | None = None
    gc_percent: float | None = None
    steal_percent: float | None = None
    cpu_stall_percent: float | None = None
    io_stall_percent: float | None = None
    memory_stall_percent: float | None = None
    memory_bytes: int = 0
    threads: int = 0
    in_flight: int = 0


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """A time of which a worker did not tell.

    Attributes:
        is_counted: It told later, in sums: what happened meanwhile is counted where the gap ends.
    """

    worker: str
    from_ms: float
    to_ms: float
    is_counted: bool = False


class Workers(msgspec.Struct, frozen=True, kw_only=True):
    """The workers of a period, and where what they did is not known."""

    workers: list[Worker]
    gaps: list[Gap] = []
    lost: dict[str, int] = {}


class WorkerLine(msgspec.Struct, frozen=True, kw_only=True):
    """A worker over time, with those that had its name before; None where it told nothing.

    Attributes:
        busy_percent: Share of time in which its event loop was busy, or it used a core.
        memory_bytes: Resident at the step's end.
    """

    name: str
    busy_percent: list[float | None]
    loop_lag_p99_ms: list[float | None]
    gil_wait_p99_ms: list[float | None]
    memory_bytes: list[int | None]


class WorkerSeries(msgspec.Struct, frozen=True, kw_only=True):
    """Workers over time; all lists are as long as `times_ms`, which are the steps' beginnings.

    Attributes:
        workers: Those that used most CPU first, as many as were asked for.
        workers_count: How many there are.
    """

    step_seconds: float
    times_ms: list[float]
    workers: list[WorkerLine]
    workers_count: int
    marks: list[Mark] = []


class Burn(msgspec.Struct, frozen=True, kw_only=True):
    """How fast the budget of an objective is used; 1 uses it up exactly at the period's end.

    Attributes:
        window: The long and the short window, such as `1h / 5m`.
        limit: At or above it in both windows, it is burning.
    """

    window: str
    limit: float
    long_rate: float | None
    short_rate: float | None
    is_burning: bool


class Objective(msgspec.Struct, frozen=True, kw_only=True):
    """What was promised of an operation, and how it is kept.

    Attributes:
        text: Such as `99 % within 300 ms`.
        latency_ms: That; None where errors are promised about.
        good_percent: Over the days that the budget is for; None without calls.
        budget_left_percent: Below 0 the promise is broken.
        days: That the budget is for, or what is kept where that is less.
    """

    operation: str
    kind: Literal["latency", "errors"]
    text: str
    goal_percent: float
    calls: int
    days: float
    latency_ms: float | None = None
    good_percent: float | None = None
    budget_left_percent: float | None = None
    burns: list[Burn] = []


class Objectives(msgspec.Struct, frozen=True, kw_only=True):
    """All objectives."""

    objectives: list[Objective]


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A change, who asked for it, and what came of it."""

    at_ms: float
    who: str
    text: str


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of a period, newest first."""

    entries: list[Entry]


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Workers that run the same."""

    name: str
    runs: list[str]
    replicas_min: int
    replicas_max: int
    ready: int
    busy_percent: float


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Who runs where, as the supervisor says.

    Attributes:
        state: `starting`, `running`, `reloading`, `stopping`; `none` where no supervisor answers.
        may_change: Whether the asker may ask for a change.
    """

    state: str
    may_change: bool
    version: int = 0
    groups: list[Group] = []
    restarts: int = 0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a change did, a step a line.

    Attributes:
        is_done: False where it failed, and all is as before; `problem` says why.
    """

    is_done: bool
    steps: list[str]
    problem: Problem | None = None
