"""What any code of an app says: publish this, enqueue that."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import typing
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

import msgspec

from outgrow.errors import OutgrowError, WrongCallError
from outgrow.host.bridge import has_loop
from outgrow.host.durable.attempts import job_here
from outgrow.host.durable.carriers import active_sources, carriers, scope_here
from outgrow.host.durable.errors import JobEndedError, NoDurableError
from outgrow.host.durable.forms import form_of, publication_of
from outgrow.host.errand import Errand
from outgrow.host.threads import with_fresh_connections
from outgrow.store import LeaseLostError, block_here, check_batch, check_result
from outgrow.telemetry import note_handed
from outgrow.wire import Codec, calling

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterable, Sequence
    from uuid import UUID

    from outgrow.host.durable.attempts import JobRun
    from outgrow.host.durable.carriers import Carrier
    from outgrow.host.durable.durable import Durable
    from outgrow.host.durable.forms import JobForm
    from outgrow.host.durable.source import DurableSource
    from outgrow.model import BoundJob, Event, GivenJob
    from outgrow.store import JobState, NewJob, ThreadRows

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

FIRST_LOOK_SECONDS = 0.01
LOOK_SECONDS_MAX = 0.5
_ENDED = ("done", "cancelled", "expired", "dead")

_inherited: list[tuple[DurableSource, asyncio.AbstractEventLoop]] = []
_starting: list[Callable[[type | None, object], Coroutine[Any, Any, None]]] = []
_tasks: set[asyncio.Task[None]] = set()
_logger = logging.getLogger("outgrow.durable")


def _forked() -> None:
    # Kept, as what they have open is the parent's, and would be closed with them.
    _inherited.extend(active_sources)
    active_sources.clear()


os.register_at_fork(after_in_child=_forked)


def activate(source: DurableSource) -> None:
    """Have what is published and enqueued from now on go there."""
    active_sources.append((source, asyncio.get_running_loop()))
    source.relays.start()


def deactivate(source: DurableSource) -> None:
    """Have it go where it went before."""
    for at in range(len(active_sources) - 1, -1, -1):
        if active_sources[at][0] is source:
            del active_sources[at]
            return


@contextmanager
def active(source: DurableSource) -> Generator[None]:
    """Have what is published and enqueued in a `with` block go there."""
    activate(source)
    try:
        yield
    finally:
        deactivate(source)


def start_by(start: Callable[[type | None, object], Coroutine[Any, Any, None]]) -> None:
    """Have services that nobody has started yet started by this.

    Args:
        start: Takes a service, or None for all that are asked for; and the source that is active.
    """
    _starting[:] = [start]


def carry_by(carrier: Carrier) -> None:
    """Have the transactions of a library carry what is published in them."""
    carriers.append(carrier)
    for source, loop in active_sources:
        loop.call_soon_threadsafe(source.relays.start)


def committed(rows: ThreadRows) -> None:
    """Have that moved which a transaction of this thread has put into an outbox.

    Where services run, those that are asked for and do not run yet are started, as by a call.
    """
    if not active_sources:
        return  # others move it
    source, loop = active_sources[-1]
    with suppress(RuntimeError):  # the loop has ended, and the next who starts moves it
        if source.moves_at_once and not has_loop():
            Errand(loop, source.relays.move(rows)).wait()
        else:
            loop.call_soon_threadsafe(source.relays.wake, rows)
        loop.call_soon_threadsafe(_begin_starting, source, loop)


def _begin_starting(source: DurableSource, loop: asyncio.AbstractEventLoop) -> None:
    task = loop.create_task(_start_all(source), context=Context())
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


async def _start_all(source: DurableSource) -> None:
    try:
        for start in _starting:
            # By now it may be closed; then nothing starts in its place.
            await start(None, source)
    except OutgrowError as problem:
        _logger.warning("a service whose job waits does not start: %s", problem)


async def _have_started(owner: type) -> None:
    source = active_sources[-1][0] if active_sources else None
    for start in _starting:
        await start(owner, source)


async def publish(*events: Event) -> None:
    """Publish events: each subscription receives each at least once.

    Inside a `begin()` block they are part of its transaction. Elsewhere they are on disk when this
    returns.

    Raises:
        DurableError: They cannot be kept now.
        NoDurableError: No services run here.
        ValueMismatchError: A field holds what its type does not say.
    """
    publications = [publication_of(event) for event in events]
    block = block_here(scope_here())
    if block is not None:
        block.add(*publications)
    elif publications:
        await _there(lambda durable: durable.append(publications))


async def enqueue(job: BoundJob[P, R], /, *args: P.args, **kwargs: P.kwargs) -> EnqueuedJob[R]:
    """Have a job run, once somebody has a place for it.

    Inside a `begin()` block this is part of its transaction. Elsewhere the job is on disk when this
    returns.

        await enqueue(self.send_receipt.options(delay_seconds=60), order_id, to=email)

    Args:
        job: Read from the service or a client of it.
        args: Of the job.
        kwargs: Likewise.

    Raises:
        DurableError: It cannot be kept now.
        NoDurableError: No services run here.
        ValueMismatchError: An argument is not what its type says.
    """
    (enqueued,) = await enqueue_many([job.given(*args, **kwargs)])
    return enqueued


async def enqueue_many(jobs: Iterable[GivenJob[R]], /) -> list[EnqueuedJob[R]]:
    """Have many jobs run, of one kind or of several: all of them are kept, or none.

        await enqueue_many(self.send_receipt.given(one.id, to=one.email) for one in orders)

    Inside a `begin()` block this is part of its transaction. Elsewhere it is one transaction of its
    own, and they are on disk when this returns.

    Args:
        jobs: With their arguments; at most 10,000, whose arguments have 8 MiB together.

    Returns:
        One for each, in their order.

    Raises:
        DurableError: They cannot be kept now, or are too many.
        NoDurableError: No services run here.
        ValueMismatchError: An argument is not what its type says.
    """
    given = list(jobs)
    forms, made = made_of(given)
    block = block_here(scope_here())
    if block is not None:
        block.add(*made)
        return [EnqueuedJob(one.id, form) for one, form in zip(made, forms, strict=True)]
    if not given:
        return []
    check_batch(made)
    for owner in {cast("type", one.job.owner.__class__) for one in given}:
        await _have_started(owner)
    placed = await _there(lambda durable: durable.enqueue(made))
    return [EnqueuedJob(one.id, form, one.is_new) for one, form in zip(placed, forms, strict=True)]


def made_of(jobs: Sequence[GivenJob[Any]]) -> tuple[list[JobForm], list[NewJob]]:
    """Jobs as the store keeps them, with their forms; they are counted as enqueued from here.

    Raises:
        ValueMismatchError: An argument is not what its type says.
    """
    forms = [form_of(one.job) for one in jobs]
    made = [
        form.new_job(one.job.chosen, one.args, one.kwargs)
        for form, one in zip(forms, jobs, strict=True)
    ]
    caller = calling().operation
    for form, one in zip(forms, made, strict=True):
        note_handed(caller, form.handed_as(one.queue))
    return forms, made


@dataclass(frozen=True)
class EnqueuedJob(Generic[R_co]):
    """A job that was enqueued.

    Attributes:
        id: By which it is known; of another job where that is unfinished and must be unique.
        form: How it is kept.
        is_new: Whether it was added; None where that is known only when the transaction ends.
    """

    id: UUID
    form: JobForm = field(repr=False)
    is_new: bool | None = None

    async def state(self) -> JobState | None:
        """Where it stands; None while its transaction is open, and once it is forgotten."""
        view = await _there(lambda durable: durable.store.queue.find(self.id))
        return view.state if view is not None else None

    async def progress(self) -> float | str | None:
        """What it last told `progress`, while it has not ended; None before it did."""
        view = await _there(lambda durable: durable.store.queue.find(self.id))
        if view is None or view.progress is None:
            return None
        return msgspec.msgpack.decode(view.progress, type=float | str)

    async def result(self) -> R_co:
        """What it returned, once it has ended; the deadline that holds here ends the wait.

        Raises:
            JobEndedError: It ended without a result.
        """
        pause_seconds = FIRST_LOOK_SECONDS
        while True:
            view = await _there(lambda durable: durable.store.queue.find(self.id))
            if view is not None and view.state in _ENDED:
                break
            await asyncio.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 2, LOOK_SECONDS_MAX)
        if view.state == "done":
            return self.form.result(view.result) if view.result else cast("R_co", None)
        why = f": {view.failure.type}: {view.failure.text}" if view.failure else ""
        raise JobEndedError(
            f"the job `{view.kind}` {view.id} is {view.state}{why}", state=view.state
        )

    async def cancel(self) -> bool:
        """Have it not run, or stop; whether it had not ended before."""
        how = await _there(lambda durable: durable.store.queue.cancel(self.id))
        return how != "finished"


@overload
async def step(
    name: str, function: Callable[P, Coroutine[Any, Any, R]], /, *args: P.args, **kwargs: P.kwargs
) -> R: ...
@overload
async def step(name: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
async def step(name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Do a part of a job once: its result is kept, and found by later attempts.

    A `def` function runs where the job does: in a thread if that is a `def` as well, which then
    writes `wait(step(...))`. A crash between the end of the function and the keeping of its result
    has it done again.

    Args:
        name: Of the step, unlike that of any other of this job.
        function: Does it; says what it returns.
        args: Of the function.
        kwargs: Likewise.

    Raises:
        LeaseLostError: The job was given to another worker meanwhile.
        WrongCallError: No job runs here.
    """
    run = _run_here("step")
    codec = _result_codec(name, function)
    known = await run.steps()
    if name in known:
        return codec.decode(known[name])
    if run.is_threaded and not inspect.iscoroutinefunction(function):
        made = await asyncio.to_thread(with_fresh_connections, function, *args, **kwargs)
    else:
        made = function(*args, **kwargs)
    result = codec.crossed(await made if inspect.isawaitable(made) else made)
    encoded = codec.encode(result)
    check_result(f"the result of the step `{name}`", encoded)
    if not await run.store.queue.keep_step(run.lease, run.id, run.attempt, name, encoded):
        raise LeaseLostError(f"the step `{name}` belongs to a job that another worker has now")
    known[name] = encoded
    return result


async def progress(value: float | str) -> None:
    """Say how far the job is that runs here, for whoever looks at it.

    Raises:
        WrongCallError: No job runs here.
    """
    run = _run_here("progress")
    encoded = msgspec.msgpack.encode(value)
    check_result("what `progress` was told", encoded)
    await run.store.queue.progress(run.lease, run.id, run.attempt, encoded)


def _run_here(what: str) -> JobRun:
    run = job_here.get()
    if run is None:
        raise WrongCallError(
            f"`{what}` was called where no job runs", hint="Call it in a method marked `@job`"
        )
    return run


def _result_codec(name: str, function: Callable[..., Any]) -> Codec:
    kind = inspect.signature(function).return_annotation
    if isinstance(kind, str):
        kind = typing.get_type_hints(function).get("return", Any)
    if kind is inspect.Signature.empty:
        kind = Any
    return Codec(kind, f"the result of the step `{name}`")


async def _there(ask: Callable[[Durable], Coroutine[Any, Any, R]]) -> R:
    """Ask the durable work of this process, on its own event loop."""
    if not active_sources:
        raise NoDurableError("nothing here keeps events and jobs, as no services run")
    source, loop = active_sources[-1]

    async def asked() -> R:
        return await ask(await source.get())

    if loop is asyncio.get_running_loop():
        return await asked()
    return await Errand(loop, asked()).outcome()
