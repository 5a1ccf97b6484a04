"""Runs the jobs of one queue in this process: so many at once, each as one attempt.

To ask for a job and to say how it ended takes a while, most of it the disk's. Where jobs are short
it would be spent waiting, so that as many are claimed ahead as end in that while; of long ones none
are, which others could run.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from dataclasses import replace
from functools import partial
from math import inf
from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING, Any

from outgrow.host.durable.asking import Asking
from outgrow.host.durable.attempts import JobRun, attempted, job_here, retry_after_ms
from outgrow.host.durable.ending import ended
from outgrow.host.durable.errors import UnreadableError
from outgrow.host.durable.hints import queue_name
from outgrow.host.durable.telling import Telling
from outgrow.store import ClaimedJob, JobOutcome, check_result, failure_of
from outgrow.telemetry import station_book

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from uuid import UUID

    from outgrow.host.durable.attempts import Handler
    from outgrow.host.durable.forms import JobForm
    from outgrow.host.durable.hints import Hints
    from outgrow.host.durable.solitude import Solitude
    from outgrow.host.durable.tenure import Tenure
    from outgrow.store import DurableStore, Lease

# So many of the largest that there are come in one answer.
CLAIM_COUNT_MAX = 50
# What is claimed ahead of a free slot goes back unspent when no slot gets free for so long.
AHEAD_SECONDS_MAX = 0.25
# For how long a job waits that nobody here knows, but another version may: as long as such jobs
# have come, so that they are found soon while versions change, and cost little where none comes.
STRANGER_SECONDS, STRANGER_SECONDS_MAX = 1.0, 300.0
STRANGER_SAID_SECONDS = 60.0
_logger = logging.getLogger("outgrow.durable")


class JobRunner:
    """Runs jobs of one queue.

    Args:
        store: Which gives them out.
        tenure: By which they are held.
        queue: Of which.
        kinds: What runs jobs here, by kind.
        gone: Kinds that no version runs any more, whose jobs go to the dead letters.
        slots: How many at once.
        solitude: Lets a job that ended its worker run alone.
        may_claim_ahead: Whether it may hold more than it has slots for, for a moment.
        hints: Wake it.
        idle_seconds: How long it waits without a hint before it asks again.
    """

    def __init__(
        self,
        store: DurableStore,
        tenure: Tenure,
        queue: str,
        kinds: Mapping[str, tuple[Handler, JobForm]],
        *,
        gone: frozenset[str] = frozenset(),
        slots: int,
        may_claim_ahead: bool = False,
        solitude: Solitude,
        hints: Hints,
        idle_seconds: float,
    ) -> None:
        self.queue = queue
        self.slots = slots
        self._store = store
        self._tenure = tenure
        self._kinds = kinds
        self._gone = gone
        self._strange_since: dict[str, float] = {}
        self._strange_said_at: dict[str, float] = {}
        self._hints = hints
        self._solitude = solitude
        self._claims_ahead = may_claim_ahead
        self._ahead = _Ahead(CLAIM_COUNT_MAX if may_claim_ahead else 0)
        self._waiting: deque[ClaimedJob] = deque()
        self._waiting_timer: asyncio.TimerHandle | None = None
        self._begun_at = 0.0
        # Since when each was due, and since when their slots are taken, where that is not now.
        self._due_ns: dict[UUID, int] = {}
        self._since_ns: int | None = None
        self._running: dict[UUID, asyncio.Task[None]] = {}
        # Also those of a lost lease, which end while the same job may run again.
        self._tasks: set[asyncio.Task[None]] = set()
        self._cancelled: set[UUID] = set()
        self._freed = asyncio.Event()
        self._station = station_book.meet(f"queue {queue}: slots", "queue", slots)
        self._asking = Asking(f"the queue `{queue}`", tenure, hints, idle_seconds)
        self._telling = Telling[JobOutcome](f"the queue `{queue}`", tenure, self._settle)
        tenure.holders.append(self)

    @property
    def held_count(self) -> int:
        """Jobs that run or are about to, or whose end the store does not know yet."""
        return len(self._waiting) + len(self._running) + len(self._telling.waiting)

    def start(self) -> None:
        """Run jobs from now on."""
        self._telling.start()
        self._asking.start(self._turn, self.hint)

    async def stop(self, seconds: float) -> None:
        """Take no more; let those end that run, but not for ever: then they are given back."""
        await self._asking.stop()
        self._give_back()
        await ended(self._tasks, seconds)
        await self._telling.stop()

    def cancel(self, ids: Collection[UUID]) -> None:
        """Somebody wants these to stop."""
        for id in ids:
            task = self._running.get(id)
            if task is not None and id not in self._cancelled:
                self._cancelled.add(id)
                task.cancel()
        for job in [one for one in self._waiting if one.id in ids]:
            self._waiting.remove(job)
            self._return(job)

    def lose(self) -> None:
        """All that runs was given to others, so that it need not go on."""
        for task in self._running.values():
            task.cancel()
        self._waiting.clear()
        self._due_ns.clear()
        self._running.clear()
        self._cancelled.clear()

    # The loop.

    async def _turn(self) -> bool:
        """Ask for jobs once; whether there may be more."""
        await self._solitude.ended()
        while (room := self._room) <= 0:
            self._freed.clear()
            await self._freed.wait()
        lease = self._tenure.lease
        if self._asking.was_broken:
            known = {*self._running, *(one.id for one in (*self._waiting, *self._telling.waiting))}
            await self._store.queue.strays(lease, known)
            self._asking.was_broken = False
        asked_at, asked_ns = self._ahead.now(), monotonic_ns()
        jobs = await self._store.queue.claim(lease, self.queue, limit=min(room, CLAIM_COUNT_MAX))
        self._ahead.answered(asked_at)
        if lease != self._tenure.lease:
            return True  # it was lost meanwhile, and others have them
        now_ns = monotonic_ns()
        self._due_ns.update({one.id: now_ns - one.waited_ms * 1_000_000 for one in jobs})
        # Where nothing is claimed ahead, a slot can do nothing else from when it asks for a job on.
        self._since_ns = None if self._claims_ahead else asked_ns
        self._waiting += jobs
        if any(one.is_suspect for one in jobs):
            self._spare_others()
            await asyncio.sleep(0)  # so that they begin, and are alone
        else:
            self._begin()
        return bool(jobs)

    def _spare_others(self) -> None:
        """Begin suspects alone: if one ends this worker, no other shall have spent an attempt."""
        others = [one for one in self._waiting if not one.is_suspect]
        self._waiting = deque(one for one in self._waiting if one.is_suspect)
        self._begin()
        for job in others:
            self._return(job)

    @property
    def _room(self) -> int:
        return self.slots + self._ahead.count - len(self._running) - len(self._waiting)

    def _begin(self) -> None:
        """Run what waits, as far as there are slots."""
        lease = self._tenure.lease
        while self._waiting and len(self._running) < self.slots:
            job = self._waiting.popleft()
            run = self._run(job, lease, self._since_ns)
            task = asyncio.create_task(run, context=contextvars.Context())
            self._running[job.id] = task
            self._tasks.add(task)
            task.add_done_callback(partial(self._let_go, job, lease))
            self._begun_at = monotonic()
        if self._waiting and self._waiting_timer is None:
            self._look_later(AHEAD_SECONDS_MAX)

    def _let_go(self, job: ClaimedJob, lease: Lease, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():  # before it began: then it could not say so itself
            if self._running.get(job.id) is task:
                del self._running[job.id]
                self._cancelled.discard(job.id)
            self._due_ns.pop(job.id, None)
            self._freed.set()
            self._telling.tell(lease, job.returned())

    def _look_later(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiting_timer = loop.call_later(seconds, self._look_at_waiting)

    def _look_at_waiting(self) -> None:
        self._waiting_timer = None
        left = self._begun_at + AHEAD_SECONDS_MAX - monotonic()
        if left <= 0:
            self._give_back()
        elif self._waiting:
            self._look_later(left)

    def _give_back(self) -> None:
        """Let others have what waits for a slot of ours."""
        self._ahead.count = 0
        while self._waiting:
            self._return(self._waiting.popleft())

    def _return(self, job: ClaimedJob) -> None:
        self._due_ns.pop(job.id, None)
        self._telling.tell(self._tenure.lease, job.returned())

    @property
    def hint(self) -> str:
        """What wakes it."""
        return queue_name(self.queue)

    async def _run(self, job: ClaimedJob, lease: Lease, since_ns: int | None) -> None:
        now_ns = monotonic_ns()
        wait_ns = now_ns - self._due_ns.pop(job.id, now_ns)
        use = self._station.take(max(0, wait_ns), since_ns=since_ns)
        try:
            outcome = await self._outcome(job, lease)
        except asyncio.CancelledError:
            # By the shutdown or a lost lease; a job that somebody cancelled ends by being settled.
            outcome = job.returned()
        finally:
            if self._running.get(job.id) is asyncio.current_task():
                del self._running[job.id]
                self._cancelled.discard(job.id)
            self._ahead.ended_count += 1
            self._station.give_back(use)
            self._freed.set()
            self._begin()
        self._telling.tell(lease, outcome)

    async def _outcome(self, job: ClaimedJob, lease: Lease) -> JobOutcome:
        known = self._kinds.get(job.kind)
        if known is None:
            return self._strange(job)
        handler, form = known
        if self.queue != form.model.queue:
            handler = replace(handler, caller=self.hint)
        is_threaded = form.model.kind == "thread"
        job_here.set(JobRun(self._store, lease, job.id, job.attempt, is_threaded))
        try:
            arguments = form.arguments(job)
            solitude = self._solitude
            async with solitude.alone() if job.is_suspect else solitude.beside():
                result = await attempted(
                    handler,
                    arguments,
                    job.id,
                    seconds=None if job.timeout_ms is None else job.timeout_ms / 1e3,
                    headers=job.headers,
                )
            encoded = form.encoded_result(result)
            check_result(f"the result of `{job.kind}`", encoded)
            return JobOutcome(id=job.id, attempt=job.attempt, result=encoded)
        except Exception as problem:
            return _failed(job, form, problem)

    def _strange(self, job: ClaimedJob) -> JobOutcome:
        """Let a job that nobody here knows wait for another version, or die with its kind."""
        now = monotonic()
        seconds = now - self._strange_since.setdefault(job.kind, now)
        is_gone = job.kind in self._gone
        problem = UnreadableError(f"no service that runs here has the job `{job.kind}`")
        if now - self._strange_said_at.get(job.kind, -inf) > STRANGER_SAID_SECONDS:
            self._strange_said_at[job.kind] = now
            what = "goes to the dead letters" if is_gone else "waits for a version that has it"
            _logger.warning("%s; in the queue `%s` it %s", problem, self.queue, what)
        seconds = min(max(seconds, STRANGER_SECONDS), STRANGER_SECONDS_MAX)
        return JobOutcome(
            id=job.id,
            attempt=job.attempt,
            how="failed" if is_gone else "returned",
            failure=failure_of(problem),
            retry_after_ms=None if is_gone else int(seconds * 1e3),
        )

    async def _settle(self, lease: Lease, outcomes: list[JobOutcome]) -> Any:
        await self._store.queue.settle(lease, outcomes)
        # What waited for a slot of the queue or of a key may start now.
        self._hints.tell(self.hint)


class _Ahead:
    """How many jobs to claim ahead: twice what ends while the store answers.

    Args:
        count_max: At the most.

    Attributes:
        count: So many, as of now.
        ended_count: Jobs that have ended.
    """

    def __init__(self, count_max: int) -> None:
        self.count = 0
        self.ended_count = 0
        self._count_max = count_max
        self._seen_count = 0
        self._seen_at = self.now()

    now = staticmethod(monotonic)

    def answered(self, asked_at: float) -> None:
        """The store has answered what it was asked at a time."""
        now = self.now()
        ended, seconds = self.ended_count - self._seen_count, now - self._seen_at
        self._seen_count, self._seen_at = self.ended_count, now
        wanted = 2 * ended * (now - asked_at) / seconds if seconds > 0 else 0
        self.count = min(round(wanted), self._count_max)


def _failed(job: ClaimedJob, form: JobForm, problem: Exception) -> JobOutcome:
    backoff = form.model.options.backoff
    return JobOutcome(
        id=job.id,
        attempt=job.attempt,
        how="failed",
        failure=failure_of(problem),
        retry_after_ms=retry_after_ms(problem, backoff, job.attempt, job.attempts_max),
    )
