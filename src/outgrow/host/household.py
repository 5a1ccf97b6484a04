"""What lives on one event loop of this process: services, and the task that starts and stops them.

One task does all of it, as what providers and hooks open in one task may not be closed in another.
It has a context of its own, so that services inherit nothing from whoever happened to call first.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
from typing import TYPE_CHECKING, Any

from outgrow.errors import ServiceStartError, UnavailableError
from outgrow.host.bridge import ThreadOperation
from outgrow.host.durable.here import activate, deactivate
from outgrow.host.durable.source import source_here
from outgrow.host.services import CALLS_END_SECONDS, Host
from outgrow.model import App
from outgrow.wire import DEFAULT_SECONDS, Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

    from outgrow.telemetry import LinkBook

_TASK_NAME = "outgrow-house"


class _Start:
    """That services are being started, for the hooks that run meanwhile."""

    is_over = False


_starting: contextvars.ContextVar[_Start | None] = contextvars.ContextVar(
    "outgrow_starting", default=None
)


class House:
    """The services of one event loop.

    Attributes:
        loop: Where they run.
        clients: Of those that run.
        hosts: Which run them.
        books: What was called, also of those that have stopped.
        source: Of the durable work.
        is_over: Whether they were stopped, or are about to be; none starts any more.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.clients: dict[type, Any] = {}
        self.is_over = False
        self.hosts: list[Host] = []
        self.books: list[LinkBook] = []
        self.source = source_here(os.environ)
        self._wishes: dict[tuple[type, ...], asyncio.Future[None]] = {}
        self._wished: asyncio.Queue[tuple[type, ...]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def entrance(self, cls: type, name: str) -> Callable[..., Any]:
        """What does an operation of a service that runs."""
        found = getattr(self.clients[cls], name)
        return found.entrance if isinstance(found, ThreadOperation) else found

    async def start_for_call(self, cls: type) -> None:
        """Start a service, with all that it needs, for a call that waits for it.

        The call may give up when its time is over; the start goes on.

        Raises:
            ServiceError: One could not be started.
            DeadlineExceededError: It takes longer than the call may.
        """
        if cls not in self.clients:
            with Deadline(DEFAULT_SECONDS, f"the start of `{cls.__qualname__}`"):
                await self.start((cls,))

    async def start(self, classes: tuple[type, ...]) -> None:
        """Start services, with all that they need; those that run already are left as they are.

        Raises:
            ServiceError: One could not be started.
            UnavailableError: They were stopped.
        """
        is_running = all(cls in self.clients for cls in classes)
        if is_running and self._task is not None:
            return
        if not is_running:
            _refuse_within_start(classes)
        if self.is_over:
            raise _stopped()
        self._begin()
        if is_running:
            return
        wish = self._wishes.get(classes)
        if wish is None:
            wish = self._wishes[classes] = self.loop.create_future()
            wish.add_done_callback(_seen)
            self._wished.put_nowait(classes)
        await asyncio.shield(wish)

    def _begin(self) -> None:
        """Begin to live; what is published here goes to the source, also where no service runs."""
        if self._task is None:
            self._task = self.loop.create_task(
                self._live(), name=_TASK_NAME, context=contextvars.Context()
            )
            self._task.add_done_callback(self._ended)
            setattr(self._task, "_log_destroy_pending", False)  # noqa: B010 - loops get lost
            activate(self.source)

    async def stop(self) -> None:
        """Stop all services, the last that started first; a start that goes on is given up.

        Raises:
            ServiceError: One could not be stopped; the others are.
        """
        task, was_over, self.is_over = self._task, self.is_over, True
        if task is None or task.done():
            return
        if not was_over:
            task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (problem := task.exception()) is not None:
            raise problem

    # In the one task.

    async def _live(self) -> None:
        async with contextlib.AsyncExitStack() as hosts:
            hosts.push_async_callback(self.source.close)
            try:
                while True:
                    await self._open(await self._wished.get(), hosts)
            except asyncio.CancelledError:  # by `stop`, or as the loop ends
                task = asyncio.current_task()
                assert task is not None
                task.uncancel()  # hooks shall find a task in which they can wait
                is_loops_end, self.is_over = not self.is_over, True
                if is_loops_end:
                    await _others_end(task)
            except GeneratorExit:  # the loop was lost, and nothing can be awaited
                hosts.pop_all()
                raise

    async def _open(self, classes: tuple[type, ...], hosts: contextlib.AsyncExitStack) -> None:
        start = _Start()
        _starting.set(start)
        try:
            missing = [cls for cls in classes if cls not in self.clients]
            # What is asked for later joins what runs: there are never two of one service.
            host = Host(App(services=missing), running=dict(self.clients), source=self.source)
            await host.start()
            hosts.push_async_callback(host.stop)
            self.hosts.append(host)
            self.books.append(host.book)
            for model in host.graph.services.values():
                self.clients.setdefault(model.cls, host.client(model.cls))
        except BaseException as problem:
            task = asyncio.current_task()
            if isinstance(problem, asyncio.CancelledError) and task and task.cancelling():
                raise
            self._answer(classes, _shown(problem))
        else:
            self._answer(classes, None)
        finally:
            start.is_over = True

    def _answer(self, classes: tuple[type, ...], problem: BaseException | None) -> None:
        wish = self._wishes.pop(classes)
        if wish.done():
            return
        if problem is None:
            wish.set_result(None)
        else:
            wish.set_exception(problem)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.is_over = True
        deactivate(self.source)
        self.clients.clear()
        self.hosts.clear()
        for classes in tuple(self._wishes):
            self._answer(classes, _stopped())


def is_starting() -> bool:
    """Whether this code is of a hook or a provider, of a service that starts."""
    start = _starting.get()
    return start is not None and not start.is_over


def _refuse_within_start(classes: tuple[type, ...]) -> None:
    """A start hook that waits for another start would wait for itself."""
    if is_starting():
        name = classes[0].__qualname__
        raise ServiceStartError(
            f"`{name}` was called by a service that starts, and does not run yet",
            hint=f"Make it a field of that service, `{name.lower()}: {name}`: it starts before",
        )


async def _others_end(own: asyncio.Task[Any]) -> None:
    """Let the loop's other tasks end, which were cancelled too: they may need services for that."""
    others = [
        task
        for task in asyncio.all_tasks()
        if task is not own and task.cancelling() and task.get_name() != _TASK_NAME
    ]
    if others:
        await asyncio.wait(others, timeout=CALLS_END_SECONDS)


def _shown(problem: BaseException) -> BaseException:
    if isinstance(problem, asyncio.CancelledError):  # nobody cancelled the start as a whole
        return ServiceStartError("a provider or a start hook of a service was cancelled")
    return problem


def _stopped() -> UnavailableError:
    return UnavailableError(
        "the services of this process have stopped",
        hint="Make calls only while the app runs",
        may_have_run=False,
    )


def _seen(wish: asyncio.Future[None]) -> None:
    """Keep asyncio from complaining of an error for which nobody waits any more."""
    if not wish.cancelled():
        wish.exception()
