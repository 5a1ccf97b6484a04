"""One attempt at a job or an event: its context, its time, what is counted of it."""

from __future__ import annotations

import asyncio
import random
from contextlib import nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from outgrow.host.durable.errors import JobExitError, StrayCancelError
from outgrow.host.durable.forms import extras_of
from outgrow.host.tracing import flaw, segment_from
from outgrow.store import Handling, SecondBlockError, handled_here
from outgrow.telemetry import (
    OPERATION,
    SPANS_MAX,
    begin_segment,
    bucket_of,
    keeper,
    metered,
    recording,
    segment_failed,
)
from outgrow.wire import NEVER_NS, Deadline, Frame, current, unpack_baggage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractContextManager
    from uuid import UUID

    from outgrow.model import Backoff
    from outgrow.store import DurableStore, Lease
    from outgrow.telemetry import LinkBook, Segment


@dataclass(frozen=True, eq=False)
class Handler:
    """A method that handles events or jobs.

    Attributes:
        name: By which it is known to the store, such as `mail.send_receipt`.
        shown: For people, such as `Mail.send_receipt`.
        service: Name of its service.
        caller: What the calls are counted from, such as `queue mail`.
        run: Does it; takes the arguments by name.
        is_repeatable: Whether doing it twice has the effect of once.
        book: Counts them.
    """

    name: str
    shown: str
    service: str
    caller: str
    run: Callable[..., Awaitable[Any]]
    is_repeatable: bool
    book: LinkBook


@dataclass(eq=False)
class JobRun:
    """The job that runs in this context.

    Attributes:
        is_threaded: Whether a thread makes this attempt, so that its steps may block as well.
        known_steps: Results of the steps behind it, by name; None before they were asked for. Only
            this attempt adds to them.
    """

    store: DurableStore
    lease: Lease
    id: UUID
    attempt: int
    is_threaded: bool = False
    known_steps: dict[str, bytes] | None = None

    async def steps(self) -> dict[str, bytes]:
        """The steps that it has behind it; asked for once in an attempt."""
        if self.known_steps is None:
            found = await self.store.queue.steps(self.id)
            # Who asked at the same time may have been the first, and have added to them.
            self.known_steps = found if self.known_steps is None else self.known_steps
        return self.known_steps


job_here: ContextVar[JobRun | None] = ContextVar("outgrow_job", default=None)


async def attempted(
    handler: Handler,
    arguments: Mapping[str, Any],
    id: UUID,
    *,
    seconds: float | None,
    headers: Mapping[str, str],
) -> Any:
    """Do it once; must be called in a task of its own.

    Returns:
        What the method returned; None where an earlier attempt had done it.

    Raises:
        DeadlineExceededError: It took longer than it may.
        Exception: What the method raised.
    """
    segment = _placed(handler, headers)
    handling = Handling(handler.name, id, handler.service, is_repeatable=handler.is_repeatable)
    handled_here.set(handling)
    link = handler.book.meet(handler.caller, handler.shown)
    limit = Deadline(seconds, f"`{handler.shown}`") if seconds is not None else nullcontext()
    begun_ns, problem = monotonic_ns(), ""
    try:
        work = handler.run(**arguments)
        return await _whole(metered(link, work) if link.calls & 15 == 7 else work, handling, limit)
    except BaseException as error:
        if handling.was_before and isinstance(error, Exception):
            return None
        link.errors += 1
        if segment is not None:
            problem = flaw(segment, error)
            if not isinstance(error, asyncio.CancelledError):
                segment_failed(segment, wholly=True)
        if isinstance(error, SystemExit):  # it would stop the loop, and the worker with it
            raise JobExitError(f"`{handler.shown}` called sys.exit({error.code!r})") from error
        if isinstance(error, asyncio.CancelledError) and not _is_cancelled():
            raise StrayCancelError(f"`{handler.shown}` awaited what was cancelled") from error
        raise
    finally:
        ended_ns = monotonic_ns()
        link.calls += 1
        link.duration_ns += ended_ns - begun_ns
        link.buckets[bucket_of(ended_ns - begun_ns)] += 1
        if segment is not None:
            _end(segment, handler, begun_ns, ended_ns, problem)


async def _whole(
    work: Awaitable[Any], handling: Handling, limit: AbstractContextManager[object]
) -> Any:
    """What comes of it, unless it left a part out."""
    with limit:
        result = await work
    handling.end()
    return result


def _is_cancelled() -> bool:
    """Whether somebody wants this task to end, and not only something that it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def retry_after_ms(
    problem: Exception, backoff: Backoff, attempt: int, attempts_max: int
) -> int | None:
    """When to try again what failed with this; None for never."""
    # A repeat of what was done in part would find the message handled, and pass for all of it.
    if attempt >= attempts_max or isinstance(problem, SecondBlockError):
        return None
    return int(backoff.pause_seconds(attempt, random.random()) * 1e3)


def _placed(handler: Handler, headers: Mapping[str, str]) -> Segment | None:
    extras = extras_of(headers)
    unpack_baggage(extras)
    segment = segment_from(extras)
    if segment is None and recording.is_on:
        segment = begin_segment(monotonic_ns())
    span = segment.next() if segment is not None else 0
    current.set(Frame(handler.shown, NEVER_NS, segment, span))
    return segment


def _end(segment: Segment, handler: Handler, begun_ns: int, ended_ns: int, problem: str) -> None:
    frame = current.get()
    number = frame.span if frame is not None else 0
    if number <= SPANS_MAX:
        span = (number, 0, handler.shown, OPERATION, begun_ns, ended_ns, problem, None)
        segment.spans.append(span)
    keeper.sieve(handler.shown).end(segment, ended_ns)
