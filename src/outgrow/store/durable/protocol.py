"""What every engine does, in the same words: the seam between durable work and who does it.

An engine knows nothing about processes: whoever has one open calls it, in one process directly, on
a machine through the keeper. No method is told the time; the store has one clock for all workers,
so that a worker whose own is wrong does no harm. Whether a worker lives is judged by its signs of
life alone, which are counted and not timed (see `DeathWatch`).

Wherever a call is broken off, the same call with the same ids can be sent again: what was kept is
kept once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from uuid import UUID

    from outgrow.store.durable.records import (
        ClaimedJob,
        DeadGroup,
        DeadLetter,
        Delivery,
        EventOutcome,
        Freed,
        JobOutcome,
        JobState,
        JobView,
        KindCount,
        Lease,
        NewJob,
        Placed,
        Position,
        Publication,
        Pulse,
        QueueLimits,
        QueueView,
        Sighting,
        SubscriptionView,
    )

COUNT_MAX = 10_000
PAGE_MAX = 1_000
TAKE_MAX = 500


class FromTime(msgspec.Struct, frozen=True, tag="time"):
    """Start with the first event that came into the log at this time or later."""

    at_ms: int


class FromOffsets(msgspec.Struct, frozen=True, tag="offsets"):
    """Start with these offsets; partitions that are not named stay where they are."""

    by_partition: Mapping[int, int]


Start = Literal["beginning", "end"] | FromTime | FromOffsets


class Log(Protocol):
    """Events in order, and how far each subscription has read them."""

    async def append(self, events: Sequence[Publication]) -> list[Position | None]:
        """Keep events; the position of each, None for one that was kept before.

        They are on disk when this returns. Those of one call are kept together or not at all.

        Raises:
            MessageSizeError: One cannot be held.
            StoreLostError: It was broken off; send them again.
        """
        ...

    async def subscribe(
        self, name: str, topic: str, *, start: Start = "end", attempts_max: int = 5
    ) -> None:
        """Have a cursor on a topic; where there is one by that name, only set `attempts_max`.

        Raises:
            TopicChangedError: That one is on another topic.
        """
        ...

    async def unsubscribe(self, name: str) -> None:
        """Forget a cursor, and what waits behind it."""
        ...

    async def take(self, lease: Lease, subscription: str, *, limit: int = 100) -> list[Delivery]:
        """Events to handle now, those of one key in order; each must be settled.

        Of events with the same key, those after one that failed are not given out. Nor is a
        partition of which another worker holds events that it has not settled.

        Raises:
            LeaseLostError: The worker is taken for dead.
            SubscriptionMissingError: There is no such subscription.
        """
        ...

    async def settle(
        self, lease: Lease, subscription: str, outcomes: Sequence[EventOutcome]
    ) -> list[bool]:
        """Say how handling ended; False for each that was taken from the worker meanwhile.

        A failed event holds back its key: what the worker has of later events of that key is taken
        from it, unless it is said to be done in the same call.
        """
        ...

    async def strays(self, lease: Lease, subscription: str, known: Collection[Position]) -> int:
        """Take back what the worker holds and does not know of, because an answer was lost.

        Call it while no `take` is under way. No attempt is spent. Returns how many there were.
        """
        ...

    async def rewind(self, subscription: str, start: Start) -> None:
        """Read again from there on, or skip to there; what workers hold is taken from them."""
        ...

    async def pause_subscription(self, name: str, *, paused: bool) -> None:
        """Give out nothing more, or go on."""
        ...

    async def subscriptions(self) -> list[SubscriptionView]:
        """All of them, by name."""
        ...


class Queue(Protocol):
    """Jobs that wait, run, or have ended."""

    async def enqueue(self, jobs: Sequence[NewJob]) -> list[Placed]:
        """Keep jobs; they are on disk when this returns, all of one call or none.

        Raises:
            MessageSizeError: One cannot be held.
            StoreLostError: It was broken off; send them again.
        """
        ...

    async def claim(self, lease: Lease, queue: str, *, limit: int = 10) -> list[ClaimedJob]:
        """Jobs to run now, at most so many; counts an attempt for each.

        Raises:
            LeaseLostError: The worker is taken for dead.
        """
        ...

    async def settle(self, lease: Lease, outcomes: Sequence[JobOutcome]) -> list[bool]:
        """Say how attempts ended; False for each that was taken from the worker meanwhile."""
        ...

    async def strays(self, lease: Lease, known: Collection[UUID]) -> int:
        """Take back jobs that the worker holds and does not know of, because an answer was lost.

        Call it while no `claim` is under way. No attempt is spent. Returns how many there were.
        """
        ...

    async def progress(self, lease: Lease, id: UUID, attempt: int, value: bytes) -> bool:
        """Keep how far a job is; False where it was taken from the worker."""
        ...

    async def keep_step(
        self, lease: Lease, id: UUID, attempt: int, name: str, result: bytes
    ) -> bool:
        """Keep the result of a step of a job; False where it was taken from the worker."""
        ...

    async def steps(self, id: UUID) -> dict[str, bytes]:
        """Results of the steps that an unfinished job has behind it."""
        ...

    async def cancel(self, id: UUID) -> Literal["cancelled", "asked", "finished"]:
        """End a job that waits, or ask one that runs to stop; its result then no longer counts."""
        ...

    async def start_now(self, id: UUID) -> bool:
        """Have a job wait no longer for its time; False where it does not."""
        ...

    async def pause_queue(self, queue: str, *, paused: bool) -> None:
        """Start nothing more, or go on; what runs goes on."""
        ...

    async def limit_queue(self, queue: str, limits: QueueLimits) -> None:
        """Set what bounds a queue."""
        ...

    async def find(self, id: UUID) -> JobView | None:
        """One job, waiting or ended; None where history no longer has it."""
        ...

    async def jobs(
        self,
        state: JobState,
        *,
        queue: str | None = None,
        after: UUID | None = None,
        limit: int = 100,
    ) -> list[JobView]:
        """A page of jobs in the order of their ids, from after one on."""
        ...

    async def queues(self) -> list[QueueView]:
        """All that have a job or a limit, by name."""
        ...

    async def tick(self, schedule: str, tick_ms: int, jobs: Sequence[NewJob]) -> bool:
        """Enqueue the jobs of a tick of a schedule; False where that tick, or a later one, was."""
        ...

    async def last_tick(self, schedule: str) -> int | None:
        """The last tick that was enqueued; None where none ever was."""
        ...


class Dead(Protocol):
    """Jobs and events that used up their attempts."""

    async def letters(
        self, *, fingerprint: str | None = None, before: int | None = None, limit: int = 100
    ) -> list[DeadLetter]:
        """A page of them, the last first; go on with `before` the lowest number of the page."""
        ...

    async def groups(self, *, limit: int = 100) -> list[DeadGroup]:
        """Them by fingerprint, the largest group first."""
        ...

    async def replay(
        self, *, fingerprint: str | None = None, numbers: Collection[int] = (), limit: int = 1000
    ) -> int:
        """Try some again with all attempts; returns how many, fewer where one must be unique."""
        ...

    async def discard(
        self, *, fingerprint: str | None = None, numbers: Collection[int] = (), limit: int = 1000
    ) -> int:
        """Forget some; returns how many."""
        ...


class Crew(Protocol):
    """The workers, and what becomes of the work of those that died."""

    async def register(self, name: str) -> Lease:
        """A lease for a worker that starts."""
        ...

    async def beat(self, lease: Lease) -> Pulse:
        """Give a sign of life."""
        ...

    async def sightings(self) -> list[Sighting]:
        """All workers that have a lease."""
        ...

    async def bury(self, lease: Lease, beat: int | None = None) -> Freed | None:
        """Take a worker for dead, and give its work to others; attempts stay spent.

        Args:
            lease: Of the worker.
            beat: Only if it has given no sign since; None where it is known to be dead.

        Returns:
            None where it lives, or has no lease.
        """
        ...

    async def leave(self, lease: Lease) -> Freed | None:
        """Give back all that a worker holds, which spends no attempt, and end its lease."""
        ...


class DurableStore(Protocol):
    """All of it, open."""

    @property
    def log(self) -> Log:
        """Its events."""
        ...

    @property
    def queue(self) -> Queue:
        """Its jobs."""
        ...

    @property
    def dead(self) -> Dead:
        """Its dead letters."""
        ...

    @property
    def crew(self) -> Crew:
        """Its workers."""
        ...

    async def start(self) -> None:
        """Open it, and bring its tables forwards; safe from many processes at once.

        Raises:
            StoreVersionError: A newer version made its tables.
            StoreOwnedError: Another process has the file.
        """
        ...

    async def stop(self) -> None:
        """Close it, after what was asked for before."""
        ...

    async def sweep(self) -> int:
        """Let jobs start whose time has come, and end those that expired; call it each second.

        Returns:
            How many jobs it moved.
        """
        ...

    async def prune(self, *, keep_ms: int) -> int:
        """Remove history and events older than this which no subscription has still to read."""
        ...

    async def waiting(self, name: str, schema: str) -> int:
        """How many jobs of a kind, or unread events of a topic, have a body of this schema.

        Counts no further than `COUNT_MAX`.
        """
        ...

    async def unfinished(self, kinds: Collection[str]) -> list[KindCount]:
        """How many jobs of these kinds have not ended, in each queue.

        Counts no further than `COUNT_MAX` in all.
        """
        ...

    async def schemas(self) -> dict[tuple[str, str], bytes]:
        """The schemas that were declared, by name and fingerprint."""
        ...

    async def declare(self, name: str, schema: str, described: bytes) -> None:
        """Keep what a fingerprint stands for, so that a later version can compare."""
        ...
