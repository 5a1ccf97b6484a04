"""Runs the jobs of one queue in this process: so many at once, each as one attempt."""

from __future__ import annotations

import asyncio
import contextvars
from typing import TYPE_CHECKING, Any

from outgrow.host.durable.asking import Asking
from outgrow.host.durable.attempts import JobRun, attempted, job_here, retry_after_ms
from outgrow.host.durable.ending import ended
from outgrow.host.durable.hints import queue_name
from outgrow.host.durable.telling import Telling
from outgrow.store import ClaimedJob, JobOutcome, check_result, failure_of

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
# For a job that this version of the app does not know, but another may.
STRANGER_SECONDS = 1.0


class JobRunner:
    """Runs jobs of one queue.

    Args:
        store: Which gives them out.
        tenure: By which they are held.
        queue: Of which.
        kinds: What runs them, by kind.
        slots: How many at once.
        solitude: Lets a job that ended its worker run alone.
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
        slots: int,
        solitude: Solitude,
        hints: Hints,
        idle_seconds: float,
    ) -> None:
        self.queue = queue
        self.slots = slots
        self._store = store
        self._tenure = tenure
        self._kinds = kinds
        self._hints = hints
        self._solitude = solitude
        self._running: dict[UUID, asyncio.Task[None]] = {}
        # Also those of a lost lease, which end while the same job may run again.
        self._tasks: set[asyncio.Task[None]] = set()
        self._cancelled: set[UUID] = set()
        self._freed = asyncio.Event()
        self._asking = Asking(f"the queue `{queue}`", tenure, hints, idle_seconds)
        self._telling = Telling[JobOutcome](f"the queue `{queue}`", tenure, self._settle)
        tenure.holders.append(self)

    @property
    def held_count(self) -> int:
        """Jobs that run, or whose end the store does not know yet."""
        return len(self._running) + len(self._telling.waiting)

    def start(self) -> None:
        """Run jobs from now on."""
        self._telling.start()
        self._asking.start(self._turn, self.hint)

    async def stop(self, seconds: float) -> None:
        """Take no more; let those end that run, but not for ever: then they are given back."""
        await self._asking.stop()
        await ended(self._tasks, seconds)
        await self._telling.stop()

    def cancel(self, ids: Collection[UUID]) -> None:
        """Somebody wants these to stop."""
        for id in ids:
            task = self._running.get(id)
            if task is not None and id not in self._cancelled:
                self._cancelled.add(id)
                task.cancel()

    def lose(self) -> None:
        """All that runs was given to others, so that it need not go on."""
        for task in self._running.values():
            task.cancel()
        self._running.clear()
        self._cancelled.clear()

    # The loop.

    async def _turn(self) -> bool:
        """Ask for jobs once; whether there may be more."""
        if len(self._running) >= self.slots:
            self._freed.clear()
            await self._freed.wait()
        lease = self._tenure.lease
        if self._asking.was_broken:
            known = {*self._running, *(one.id for one in self._telling.waiting)}
            await self._store.queue.strays(lease, known)
            self._asking.was_broken = False
        room = min(self.slots - len(self._running), CLAIM_COUNT_MAX)
        jobs = await self._store.queue.claim(lease, self.queue, limit=room)
        if lease != self._tenure.lease:
            return True  # it was lost meanwhile, and others have them
        for job in jobs:
            task = asyncio.create_task(self._run(job, lease), context=contextvars.Context())
            self._running[job.id] = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return bool(jobs)

    @property
    def hint(self) -> str:
        """What wakes it."""
        return queue_name(self.queue)

    async def _run(self, job: ClaimedJob, lease: Lease) -> None:
        try:
            outcome = await self._outcome(job, lease)
        except asyncio.CancelledError:
            # By the shutdown or a lost lease; a job that somebody cancelled ends by being settled.
            outcome = JobOutcome(id=job.id, attempt=job.attempt, how="returned")
        finally:
            if self._running.get(job.id) is asyncio.current_task():
                del self._running[job.id]
                self._cancelled.discard(job.id)
            self._freed.set()
        self._telling.tell(lease, outcome)

    async def _outcome(self, job: ClaimedJob, lease: Lease) -> JobOutcome:
        known = self._kinds.get(job.kind)
        if known is None:
            await asyncio.sleep(STRANGER_SECONDS)
            return JobOutcome(id=job.id, attempt=job.attempt, how="returned")
        handler, form = known
        job_here.set(JobRun(self._store, lease, job.id, job.attempt))
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

    async def _settle(self, lease: Lease, outcomes: list[JobOutcome]) -> Any:
        await self._store.queue.settle(lease, outcomes)
        # What waited for a slot of the queue or of a key may start now.
        self._hints.tell(self.hint)


def _failed(job: ClaimedJob, form: JobForm, problem: Exception) -> JobOutcome:
    backoff = form.model.options.backoff
    return JobOutcome(
        id=job.id,
        attempt=job.attempt,
        how="failed",
        failure=failure_of(problem),
        retry_after_ms=retry_after_ms(problem, backoff, job.attempt, job.attempts_max),
    )
