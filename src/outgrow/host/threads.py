"""`def` methods as async functions: each call has a thread of a pool, with its caller's context.

Nothing can end a thread. Who called an operation leaves at its deadline, and only its place stays
taken. An attempt at a job or an event stays until its thread has ended, as the next attempt would
run beside it otherwise; what it asks for meanwhile is refused.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, TypeVar

from outgrow.errors import UnavailableError
from outgrow.host.durable.errors import AttemptOverError

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from outgrow.host.errand import Errand
    from outgrow.host.gate import Gate
    from outgrow.telemetry import Station, Visit

# Of a cancel after which nobody waits for threads any more, as the process is about to end.
LEAVE = "the worker leaves"
T = TypeVar("T")
_logger = logging.getLogger("outgrow.services")


def in_thread(
    pool: Executor, function: Callable[..., Any], gate: Gate, station: Station
) -> Callable[..., Any]:
    """A `def` operation as an async function, which runs it in this pool with the caller's context.

    Its caller may leave at the deadline. Nothing can end the thread, so its place stays taken until
    it ends by itself: otherwise slow threads could pile up behind callers that have gone.
    """

    async def begun(**arguments: Any) -> Any:
        context = contextvars.copy_context()
        context.run(attempt_here.set, None)
        work, visit = _submitted(pool, context, function, station, arguments)
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            if work.cancel() or work.cancelled():
                visit.end()
            elif not work.done():
                loop = asyncio.get_running_loop()
                gate.running += 1  # besides the one that the caller now gives back
                work.add_done_callback(partial(_left, loop, gate, monotonic_ns()))
            raise

    return begun


def in_thread_to_its_end(
    pool: Executor, function: Callable[..., Any], station: Station
) -> Callable[..., Any]:
    """A `def` job or subscription as an async function, which ends only when its thread does.

    A cancel has what the thread waits for end with an error, from then on, and is raised once the
    thread has ended; at once where it is one to `LEAVE`.
    """

    async def begun(**arguments: Any) -> Any:
        attempt, context = ThreadAttempt(), contextvars.copy_context()
        context.run(attempt_here.set, attempt)
        work, visit = _submitted(pool, context, function, station, arguments)
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError as cancel:
            if work.cancel() or work.cancelled():
                visit.end()
            else:
                attempt.end()
                if LEAVE not in cancel.args:
                    await _until_ended(work)
            raise

    return begun


class ThreadAttempt:
    """An attempt at a job or an event, as the thread that makes it sees it.

    Attributes:
        is_over: Whether it has failed or was cancelled, so that nothing comes of it.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._errands: set[Errand[Any]] = set()

    def end(self) -> None:
        """Have it wait for nothing any more."""
        self.is_over = True
        for errand in tuple(self._errands):
            errand.cancel()

    def wait(self, errand: Errand[T]) -> T:
        """What comes of an errand.

        Raises:
            AttemptOverError: The attempt is over.
        """
        self._errands.add(errand)
        if self.is_over:
            errand.cancel()
        try:
            return errand.wait()
        except UnavailableError:
            if not self.is_over:
                raise
            raise AttemptOverError(
                "this attempt is over, by its timeout or as somebody cancelled it, while its "
                "thread still runs"
            ) from None
        finally:
            self._errands.discard(errand)


attempt_here: ContextVar[ThreadAttempt | None] = ContextVar("outgrow_attempt", default=None)


def _submitted(
    pool: Executor,
    context: contextvars.Context,
    function: Callable[..., Any],
    station: Station,
    arguments: dict[str, Any],
) -> tuple[Future[Any], Visit]:
    visit = station.visit(waits=True)
    try:
        return pool.submit(context.run, _told, function, visit, arguments), visit
    except BaseException:
        visit.end()
        raise


def _told(function: Callable[..., Any], visit: Visit, arguments: dict[str, Any]) -> Any:
    visit.begin()
    try:
        return with_fresh_connections(function, **arguments)
    except StopIteration as problem:  # no future takes one, and its caller would wait for ever
        raise RuntimeError("a `def` method raised StopIteration") from problem
    finally:
        visit.end()


def with_fresh_connections(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a function in this thread, whose connections of Django are let go of when they are old.

    Django does so before and after each request, but here nothing is one. What the server has
    closed since the last call is found as well.
    """
    _close_old_connections()
    try:
        return function(*args, **kwargs)
    finally:
        _close_old_connections()


def _close_old_connections() -> None:
    django, conf = sys.modules.get("django.db"), sys.modules.get("django.conf")
    if django is None or conf is None or not conf.settings.configured:
        return
    try:
        django.close_old_connections()
    except Exception:
        _logger.warning("a connection of Django could not be closed", exc_info=True)


async def _until_ended(work: Future[Any]) -> None:
    """Wait for a thread, whoever else cancels meanwhile; but not once the process is to end."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    work.add_done_callback(lambda _: _tell(loop, ended))
    while not work.done():
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError as cancel:
            if LEAVE in cancel.args:
                raise


def _tell(loop: asyncio.AbstractEventLoop, ended: asyncio.Future[None]) -> None:
    with suppress(RuntimeError):  # the loop may be closed by now
        loop.call_soon_threadsafe(lambda: ended.done() or ended.set_result(None))


def _left(loop: asyncio.AbstractEventLoop, gate: Gate, since_ns: int, _work: object) -> None:
    def leave() -> None:
        gate.use.left_ns += monotonic_ns() - since_ns
        gate.leave()

    with suppress(RuntimeError):  # the loop may be closed by now
        loop.call_soon_threadsafe(leave)
