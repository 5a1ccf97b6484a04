"""The values that go into the store and come out of it.

All are plain data, so that a keeper in another process can be given them over a socket. Times are
milliseconds since 1970 by the store's clock; what shall happen later is said as a distance from
now, so that no worker's clock counts.
"""

from __future__ import annotations

from typing import Literal
from uuid import UUID

import msgspec

BODY_BYTES_MAX = 256 * 1024
TEXT_CHARACTERS_MAX = 200
HEADERS_MAX = 32
PRIORITY_MAX = 9

JobState = Literal["ready", "running", "held", "later", "done", "cancelled", "expired", "dead"]


class Lease(msgspec.Struct, frozen=True):
    """A worker's right to hold work, until it is taken for dead.

    Attributes:
        worker: The worker's id.
        epoch: Higher each time somebody registers.
    """

    worker: UUID
    epoch: int


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt died of.

    Attributes:
        type: The exception's, with its module.
        text: What it said.
        fingerprint: The same for failures of the same kind at the same place.
    """

    type: str
    text: str
    fingerprint: str


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """An event on its way into the log.

    Attributes:
        id: Kept once, however often it is sent.
        topic: The event's name.
        body: The event itself, encoded.
        key: Events with the same key are handled one at a time, in order.
        schema: Fingerprint of the shape of the body.
        headers: What travels beside it, such as the trace.
    """

    id: UUID
    topic: str
    body: bytes
    key: str | None = None
    schema: str = ""
    headers: dict[str, str] = {}


class Position(msgspec.Struct, frozen=True):
    """Where an event stands in its topic; offsets of a partition have no gaps."""

    partition: int
    offset: int


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """An event given to a subscription.

    Attributes:
        position: Where it stands.
        attempt: Counted when it was given out; from 1.
        appended_ms: When it came into the log.
        event: What was published.
        waited_ms: How long ago it was due, by the store's clock; 0 where it was tried before.
    """

    position: Position
    attempt: int
    appended_ms: int
    event: Publication
    waited_ms: int = 0

    def returned(self) -> EventOutcome:
        """What gives it back without spending the attempt."""
        return EventOutcome(position=self.position, attempt=self.attempt, how="returned")


class EventOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How the handling of a delivery ended.

    Attributes:
        position: Of the event.
        attempt: Of the delivery.
        how: Whether it was done, failed, or is given back without having been tried.
        failure: What it failed with.
        retry_after_ms: When to try again; None for never.
    """

    position: Position
    attempt: int
    how: Literal["done", "failed", "returned"] = "done"
    failure: Failure | None = None
    retry_after_ms: int | None = None


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job on its way into its queue.

    Attributes:
        id: Kept once, however often it is sent.
        kind: What runs it, such as `mail.send_receipt`.
        queue: Where it waits.
        body: Its arguments, encoded.
        headers: What travels beside them.
        schema: Fingerprint of the shape of the arguments.
        priority: Those with a higher one start first; -9 to 9.
        attempts_max: How often it may be started.
        delay_ms: How long it waits before it may start.
        run_at_ms: When it may start, instead of a delay.
        expires_after_ms: When it is no longer worth starting; None for never.
        unique: At most one unfinished job has this; None for any number.
        unique_for_ms: How long after this one there is none with the same `unique`, finished or
            not.
        key: What `key_slots` are counted by.
        key_slots: How many jobs of the same key may run at once; None for any number.
        timeout_ms: What one attempt may take; None for any time. Held by who runs it.
    """

    id: UUID
    kind: str
    queue: str = "default"
    body: bytes = b""
    headers: dict[str, str] = {}
    schema: str = ""
    priority: int = 0
    attempts_max: int = 5
    delay_ms: int = 0
    run_at_ms: int | None = None
    expires_after_ms: int | None = None
    unique: str | None = None
    unique_for_ms: int = 0
    key: str | None = None
    key_slots: int | None = None
    timeout_ms: int | None = None


class Placed(msgspec.Struct, frozen=True):
    """What became of a job that was enqueued.

    Attributes:
        id: Of the job that now stands for it; another's where that was unique.
        is_new: Whether it was added.
    """

    id: UUID
    is_new: bool


class ClaimedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job that a worker shall run now.

    Attributes:
        id: Of the job.
        kind: What runs it.
        queue: Where it waited.
        body: Its arguments.
        headers: What travels beside them.
        schema: Fingerprint of the shape of the arguments.
        attempt: Counted when it was claimed; from 1.
        attempts_max: How many there may be.
        key: Of its limit.
        timeout_ms: What this attempt may take.
        enqueued_ms: When it came into the store.
        is_suspect: Whether its last attempt ended with its worker, which it may have killed.
        waited_ms: How long ago it was due, by the store's clock.
    """

    id: UUID
    kind: str
    queue: str
    body: bytes
    headers: dict[str, str]
    schema: str
    attempt: int
    attempts_max: int
    key: str | None
    timeout_ms: int | None
    enqueued_ms: int
    is_suspect: bool = False
    waited_ms: int = 0

    def returned(self) -> JobOutcome:
        """What gives it back without spending the attempt."""
        return JobOutcome(id=self.id, attempt=self.attempt, how="returned")


class JobOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt ended.

    Attributes:
        id: Of the job.
        attempt: Which one.
        how: Whether it was done, failed, or is given back without spending the attempt.
        result: What it returned, encoded.
        failure: What it failed with.
        retry_after_ms: When to try again; None for never, or for at once where it is given back.
    """

    id: UUID
    attempt: int
    how: Literal["done", "failed", "returned"] = "done"
    result: bytes | None = None
    failure: Failure | None = None
    retry_after_ms: int | None = None


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A job as people see it; times are None where it was not so far.

    Attributes:
        id: Of the job.
        kind: What runs it.
        queue: Where it waits or waited.
        state: Where it stands; `held` is one that waits for its key's limit.
        attempt: How many were started.
        attempts_max: How many there may be; 0 where that is no longer known.
        priority: Higher starts first.
        key: Of its limit.
        enqueued_ms: When it came.
        run_at_ms: When it may start.
        started_ms: When the last attempt began.
        finished_ms: When it ended.
        worker: Who runs it.
        is_cancelled: Whether somebody wants it to stop.
        progress: What it reported last.
        result: What it returned.
        failure: What the last attempt failed with.
    """

    id: UUID
    kind: str
    queue: str
    state: JobState
    attempt: int
    attempts_max: int = 0
    priority: int = 0
    key: str | None = None
    enqueued_ms: int = 0
    run_at_ms: int | None = None
    started_ms: int | None = None
    finished_ms: int | None = None
    worker: UUID | None = None
    is_cancelled: bool = False
    progress: bytes | None = None
    result: bytes | None = None
    failure: Failure | None = None


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs of a queue may start in a time, over all machines.

    Attributes:
        count: How many.
        per_ms: In which time.
        burst_count: How many may start at once after a rest. Any span of `per_ms` sees at most
            `count + burst_count` starts.
    """

    count: int
    per_ms: int
    burst_count: int = 1


class QueueLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds a queue; None where nothing does.

    Attributes:
        slots: How many of its jobs may run at once, over all machines.
        rate: How many may start in a time.
    """

    slots: int | None = None
    rate: Rate | None = None


class QueueView(msgspec.Struct, frozen=True, kw_only=True):
    """A queue as people see it. Counts stop at `COUNT_MAX`, so that looking stays cheap.

    Attributes:
        name: Of the queue.
        is_paused: Whether nothing is started.
        limits: What bounds it.
        ready_count: Jobs that could start.
        running_count: Jobs that run.
        held_count: Jobs that wait for their key's limit.
        later_count: Jobs whose time has not come.
        oldest_ready_ms: When the first of those came that could start.
    """

    name: str
    is_paused: bool
    limits: QueueLimits
    ready_count: int
    running_count: int
    held_count: int
    later_count: int
    oldest_ready_ms: int | None


class KindCount(msgspec.Struct, frozen=True):
    """How many jobs of a kind there are in a queue."""

    kind: str
    queue: str
    count: int


class SubscriptionView(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription as people see it.

    Attributes:
        name: Of the subscription.
        topic: What it reads.
        attempts_max: How often an event is tried.
        is_paused: Whether nothing is given out.
        unread_count: Events that it has not been given.
        parked_count: Events that wait for another try, or behind one that does.
        next_try_ms: When the first of these is to be tried; None where none waits for its time.
    """

    name: str
    topic: str
    attempts_max: int
    is_paused: bool
    unread_count: int
    parked_count: int
    next_try_ms: int | None = None


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """A job or an event that used up its attempts.

    Attributes:
        number: In the order of dying; pages go on from it.
        kind: What it is.
        id: Of the job or event.
        source: The queue, or the subscription.
        name: The job's kind, or the topic.
        attempts: How many there were.
        died_ms: When.
        failure: What the last one failed with.
    """

    number: int
    kind: Literal["job", "event"]
    id: UUID
    source: str
    name: str
    attempts: int
    died_ms: int
    failure: Failure


class DeadGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters with the same fingerprint.

    Attributes:
        fingerprint: What they share.
        count: How many there are.
        first_ms: When the first one died.
        last_ms: When the last one did.
        sample: The last of them.
    """

    fingerprint: str
    count: int
    first_ms: int
    last_ms: int
    sample: DeadLetter


class Sighting(msgspec.Struct, frozen=True):
    """A worker as the store sees it.

    Attributes:
        lease: Its own.
        name: What it calls itself.
        beat: Counts its signs of life.
    """

    lease: Lease
    name: str
    beat: int


class Pulse(msgspec.Struct, frozen=True):
    """What a worker learns when it gives a sign of life.

    Attributes:
        is_alive: Whether it still has its lease.
        cancelled: Those of its jobs that shall stop.
    """

    is_alive: bool
    cancelled: tuple[UUID, ...] = ()


class Freed(msgspec.Struct, frozen=True):
    """What was taken from a worker.

    Attributes:
        again_count: Jobs and events that will be tried again.
        dead_count: Those whose last attempt it was.
    """

    again_count: int = 0
    dead_count: int = 0
