"""The services of this process as its apps see them: `uses` for frameworks, `client` for any code.

Under `outgrow run` they start before the app and stop after it. Elsewhere, as under another server
or in a script, each starts with the first call. Then they live on the main thread's event loop if
that call comes from there, and stop when that loop ends; else on a loop in a thread of our own.
"""

from __future__ import annotations

import inspect
import os
import threading
from asyncio import get_running_loop
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from outgrow.errors import CallError
from outgrow.host.arrival import note_refusal
from outgrow.host.bridge import ThreadOperation, is_own, own_loop, use_loop
from outgrow.host.client import client_of
from outgrow.host.durable.carriers import carriers
from outgrow.host.durable.here import start_by
from outgrow.host.errand import Errand
from outgrow.host.household import House, is_starting
from outgrow.model import describe, graph_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import (
        AsyncGenerator,
        Awaitable,
        Callable,
        Coroutine,
        Iterable,
        Mapping,
    )

    from outgrow.model import Graph
    from outgrow.telemetry import LinkTotals
    from outgrow.wire import Answerer

S = TypeVar("S")
_END = object()

_wanted: list[type] = []
_house: House | None = None
_moving = threading.Lock()
_inherited: list[House | None] = []


def uses(cls: type[S]) -> Callable[[], Awaitable[S]]:
    """A dependency that gives a route the client of a service.

    For FastAPI `Annotated[Orders, Depends(uses(Orders))]`, for Litestar `Provide(uses(Orders))` and
    `NamedDependency[SkipValidation[Orders]]`, and in Starlette `await uses(Orders)()`.
    """
    given = client(cls)

    async def dependency() -> S:
        return given

    # Frameworks read the type of what they are given.
    dependency.__annotations__ = {"return": cls}
    signature = inspect.Signature(return_annotation=cls)
    setattr(dependency, "__signature__", signature)  # noqa: B010
    return dependency


def client(cls: type[S]) -> S:
    """The client of a service, for any code of an app.

    It may be made when a module is imported; the service is not started before it is called, or
    before the app is under `outgrow run`. Async code awaits its calls; sync code, such as a view of
    Django or Flask, gives them to `wait`.
    """
    model = describe(cls)
    graph_of([cls])
    if cls not in _wanted:
        _wanted.append(cls)
    entrances: dict[str, Any] = {}
    for name, operation in model.operations.items():
        if operation.kind == "stream":
            entrances[name] = _streamed(cls, name)
        elif operation.kind == "thread":
            entrances[name] = ThreadOperation(operation, _asked(cls, name))
        else:
            entrances[name] = _asked(cls, name)
    return cast("S", client_of(model, entrances))


def _asked(cls: type, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
    async def asked(*args: Any, **kwargs: Any) -> Any:
        house = _house
        if house is None or house.loop is not get_running_loop() or cls not in house.clients:
            return await _asked_first(cls, name, args, kwargs)
        return await house.entrance(cls, name)(*args, **kwargs)

    return asked


async def _asked_first(cls: type, name: str, args: Any, kwargs: Any) -> Any:
    """A call that comes from another loop, or that has to start the service."""
    house = _nearest()

    async def ask() -> Any:
        await _started(house, cls)
        return await house.entrance(cls, name)(*args, **kwargs)

    return await _at(house, ask())


def _streamed(cls: type, name: str) -> Callable[..., AsyncGenerator[Any]]:
    async def streamed(*args: Any, **kwargs: Any) -> AsyncGenerator[Any]:
        house = _nearest()

        async def begin() -> Any:
            await _started(house, cls)
            return house.entrance(cls, name)(*args, **kwargs)

        async def follow() -> Any:
            return await anext(items, _END)

        async def close() -> None:
            await items.aclose()

        items = await _at(house, begin())
        try:
            while (item := await _at(house, follow())) is not _END:
                yield item
        finally:
            await _at(house, close())

    return streamed


async def _at(house: House, work: Coroutine[Any, Any, Any]) -> Any:
    """Do something on the loop of a house."""
    if house.loop is get_running_loop():
        return await work
    return await Errand(house.loop, work).outcome()


async def _started(house: House, cls: type) -> None:
    try:
        await house.start_for_call(cls)
    except CallError as problem:
        note_refusal(problem)
        raise


def _nearest(*, may_replace: bool = False) -> House:
    """The house of this process, for code on an event loop; a new one where its loop has stopped.

    Args:
        may_replace: Whether one whose services were stopped on purpose is followed by a new one.
    """
    global _house  # noqa: PLW0603
    with _moving:
        if _house is None or not _house.loop.is_running() or (may_replace and _house.is_over):
            _house = House(_lasting_loop())
            use_loop(_house.loop)
        return _house


def _lasting_loop() -> asyncio.AbstractEventLoop:
    """The running loop, unless it may be one of many that come and go, as loops in threads do."""
    running = get_running_loop()
    is_main = threading.current_thread() is threading.main_thread()
    return running if is_main or is_own(running) else own_loop()


async def _start_for_job(cls: type | None, source: object) -> None:
    """Start the service whose job is enqueued, or all that are asked for, unless they run.

    Args:
        cls: Which; None for all.
        source: Where work is kept in this process; None where nothing runs yet.
    """
    is_others = source is not None and (_house is None or source is not _house.source)
    if is_others or is_starting() or (source is not None and cls and cls not in _wanted):
        return  # who has it kept has made the services that run here
    house = _nearest()
    await _at(house, _started(house, cls) if cls is not None else house.start(tuple(_wanted)))


start_by(_start_for_job)


def hosts_services() -> bool:
    """Whether some code of this process has asked for a service, or has an outbox."""
    return bool(_wanted or carriers)


async def start_services() -> None:
    """Start all services that the code of this process has asked for.

    Raises:
        ServiceError: One could not be started.
    """
    house = _nearest(may_replace=True)
    await _at(house, house.start(tuple(_wanted)))


@asynccontextmanager
async def lifespan(_app: object = None) -> AsyncGenerator[None]:
    """Have all services start before an app and stop after it, as in `FastAPI(lifespan=lifespan)`.

    Under `outgrow run` they do without. Under another server they start with the first call
    otherwise, and some servers end their process without a word to what runs in it.

    Raises:
        ServiceError: One could not be started.
    """
    await start_services()
    try:
        yield
    finally:
        await stop_services()


async def start_part(own: Iterable[type], remote: Mapping[type, Any]) -> list[Answerer]:
    """Start some services; those of other processes are called by the clients given.

    Args:
        own: The services to start.
        remote: Clients of all others, by class.

    Returns:
        What answers calls from other processes.

    Raises:
        ServiceError: One could not be started.
    """
    house = _nearest(may_replace=True)
    house.clients.update(remote)
    await _at(house, house.start(tuple(own)))
    return [answerer for host in house.hosts for answerer in host.answerers()]


def app_graph() -> Graph:
    """All services that the code of this process has asked for, with all that they need.

    Raises:
        ServiceError: They cannot work together.
    """
    return graph_of(_wanted)


def links() -> list[LinkTotals]:
    """All calls of services that ran here; may be asked from any thread."""
    books = [] if _house is None else list(_house.books)
    return [totals for book in books for totals in book.all()]


def work_in_hand() -> int:
    """Events and jobs that are worked on here; may be asked from any thread."""
    return 0 if _house is None else _house.source.held_count


async def drain_work(seconds: float) -> None:
    """Take no more events and jobs, and let those end that run; what does not is given back.

    Args:
        seconds: The longest to wait.
    """
    if _house is not None and _house.loop.is_running():
        await _at(_house, _house.source.drain(seconds))


async def stop_services() -> None:
    """Stop all services of this process; calls that come later are refused.

    Raises:
        ServiceError: One could not be stopped; the others are.
    """
    if _house is not None and _house.loop.is_running():
        await _at(_house, _house.stop())


def _forked() -> None:
    global _house, _moving
    # Kept, as what its services have open is the parent's, and would be closed with them.
    _inherited.append(_house)
    _house, _moving = None, threading.Lock()


os.register_at_fork(after_in_child=_forked)
