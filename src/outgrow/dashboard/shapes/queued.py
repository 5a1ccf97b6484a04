"""Durable work: what waits, runs and has failed, of jobs and of events; and what is asked of it."""

from __future__ import annotations

from typing import Literal

import msgspec

from outgrow.dashboard.shapes.shape import Mark, Problem

JobState = Literal["ready", "running", "held", "later", "done", "cancelled", "expired", "dead"]


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """Where jobs wait. Counts stop at 10,000, so that looking stays cheap.

    Attributes:
        slots: How many of its jobs may run at once, over all machines; None for any number.
        ready_count: Jobs that could start.
        held_count: Jobs that wait for their key's limit.
        later_count: Jobs whose time has not come.
        oldest_at_ms: When the first of those came that could start.
    """

    name: str
    is_paused: bool
    slots: int | None
    ready_count: int
    running_count: int
    held_count: int
    later_count: int
    oldest_at_ms: float | None


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A method that receives each event of a kind.

    Attributes:
        event: What it receives.
        unread_count: Events that it has not been given.
        parked_count: Events that wait for another try, or behind one that does.
        next_try_at_ms: When the first of these is tried again; None where none waits for its time.
    """

    name: str
    event: str
    is_paused: bool
    unread_count: int
    parked_count: int
    next_try_at_ms: float | None


class DeadLetters(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs and events that used up their attempts, and died of the same.

    Attributes:
        name: Kind of job, or event, of the last of them.
        failure: The exception of the last of them, with its module.
        text: What that said.
    """

    fingerprint: str
    count: int
    first_at_ms: float
    last_at_ms: float
    name: str
    failure: str
    text: str


class Queues(msgspec.Struct, frozen=True, kw_only=True):
    """Durable work as a whole.

    Attributes:
        state: `none` where the app has neither events nor jobs; `away` where whoever keeps them
            does not answer.
        problem: Says more where nothing is known; None where it is.
    """

    state: Literal["open", "away", "none"]
    may_change: bool
    problem: Problem | None = None
    queues: list[Queue] = []
    subscriptions: list[Subscription] = []
    dead: list[DeadLetters] = []


class QueueLine(msgspec.Struct, frozen=True, kw_only=True):
    """A queue or a subscription over time; None where nothing is known.

    Attributes:
        name: Such as `queue mail` or `subscription mail.on_order_placed`.
        slots: In all workers that had some in the period.
        busy_percent: Share of these that were taken.
        wait_p95_ms: From when work was due to when it began, 95 of 100 at most.
        waiting: What could start, at the step's end; counted up to 10,000.
        dead: Dead letters at the step's end.
    """

    name: str
    slots: int
    busy_percent: list[float | None]
    wait_p95_ms: list[float | None]
    waiting: list[int | None]
    dead: list[int | None]


class QueueSeries(msgspec.Struct, frozen=True, kw_only=True):
    """Queues over time; all lists are as long as `times_ms`, which are the steps' beginnings.

    Attributes:
        queues: Those first of which most waited, as many as were asked for.
        queues_count: How many there are.
    """

    step_seconds: float
    times_ms: list[float]
    queues: list[QueueLine]
    queues_count: int
    marks: list[Mark] = []


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A stored piece of work.

    Attributes:
        state: Where it stands; `held` is one that waits for its key's limit.
        attempt: How many were started.
        attempts_max: How many there may be; 0 where that is no longer known.
        enqueued_at_ms: When it came; None where that is no longer known, as of one that has ended.
        started_at_ms: When the last attempt began.
        is_cancelled: Somebody wants it to stop.
        progress: What it reported last, as JSON.
        result: What it returned, as JSON.
        failure: The exception that the last attempt failed with; empty where it did not.
        text: What that said.
        fingerprint: The same for failures of the same kind at the same place.
    """

    id: str
    kind: str
    queue: str
    state: JobState
    attempt: int
    attempts_max: int
    priority: int
    key: str | None
    enqueued_at_ms: float | None
    run_at_ms: float | None
    started_at_ms: float | None
    finished_at_ms: float | None
    is_cancelled: bool
    progress: str | None
    result: str | None
    failure: str
    text: str
    fingerprint: str


class Jobs(msgspec.Struct, frozen=True, kw_only=True):
    """A page of jobs, those that came first before others.

    Attributes:
        problem: Why nothing is known; None where it is.
        after: To be asked for to go on; None at the end.
    """

    problem: Problem | None = None
    jobs: list[Job] = []
    after: str | None = None


class JobFound(msgspec.Struct, frozen=True, kw_only=True):
    """One job.

    Attributes:
        problem: Why nothing is known; None where it is.
    """

    may_change: bool
    problem: Problem | None = None
    job: Job | None = None


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A job or an event that used up its attempts.

    Attributes:
        number: In the order of dying.
        kind: What it is.
        id: Of the job or event.
        source: The queue, or the subscription.
        name: The job's kind, or the event.
    """

    number: int
    kind: Literal["job", "event"]
    id: str
    source: str
    name: str
    attempts: int
    died_at_ms: float
    failure: str
    text: str


class Letters(msgspec.Struct, frozen=True, kw_only=True):
    """A page of dead letters with one fingerprint, the last first.

    Attributes:
        problem: Why nothing is known; None where it is.
        before: To be asked for to go on; None at the end.
    """

    may_change: bool
    problem: Problem | None = None
    letters: list[Letter] = []
    before: int | None = None


class Pausing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks to start nothing more, or to go on."""

    kind: Literal["queue", "subscription"]
    name: str
    is_paused: bool


class Cancelling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks to end a job."""

    id: str


class Clearing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asks to try dead letters again, or to forget them; all of a fingerprint, or by number."""

    do: Literal["replay", "discard"]
    fingerprint: str = ""
    numbers: list[int] = []
