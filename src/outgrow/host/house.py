"""The services of this process as its apps see them: `uses` for frameworks, `client` for any code.

Under `outgrow run` they start before the app and stop after it. Elsewhere, as under another server
or in a script, they start with the first call and stop when their event loop is closed properly.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, TypeVar, cast

from outgrow.host.bridge import ThreadOperation, use_loop, wait
from outgrow.host.client import client_of
from outgrow.host.services import Host
from outgrow.model import App, describe, graph_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

S = TypeVar("S")

_wanted: list[type] = []
_house: House | None = None


class House:
    """The host of this process, on the event loop that started it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._hosts: dict[type, Host] = {}
        self._starting = asyncio.Lock()
        self._keeper: AsyncGenerator[None] | None = None

    async def client(self, cls: type) -> Any:
        """The client of a service, which is started with all that it needs if it does not run."""
        host = self._hosts.get(cls)
        return (host or await self._started(cls)).client(cls)

    async def _started(self, cls: type) -> Host:
        async with self._starting:
            if cls in self._hosts:
                return self._hosts[cls]
            # What is asked for later joins what runs: there are never two of one service.
            running = {each: host.client(each) for each, host in self._hosts.items()}
            host = Host(App(services=[*_wanted, cls]), running=running)
            await host.start()
            for model in host.graph.services.values():
                self._hosts.setdefault(model.cls, host)
            return self._hosts[cls]

    async def keep(self) -> None:
        """Have the services stopped when the loop shuts its async generators down."""
        if self._keeper is None:
            self._keeper = self._kept()
            await anext(self._keeper)

    async def _kept(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Stop all services, the last that started first."""
        hosts = list(dict.fromkeys(self._hosts.values()))
        self._hosts.clear()
        for host in reversed(hosts):
            await host.stop()


def _want(cls: type) -> None:
    if cls not in _wanted:
        _wanted.append(cls)


def _here() -> House:
    """The house of this process; it moves to the running loop when its own is gone."""
    global _house  # noqa: PLW0603
    loop = asyncio.get_running_loop()
    if _house is None or _house.loop.is_closed():
        _house = House(loop)
        use_loop(loop)
    return _house


async def _on_its_loop(work: Callable[[House], Awaitable[Any]]) -> Any:
    """Do something with the house, on the loop that its services run on."""
    house = _here()
    if house.loop is asyncio.get_running_loop():
        await house.keep()
        return await work(house)
    return await asyncio.to_thread(wait, work(house))


def uses(cls: type[S]) -> Callable[[], Awaitable[S]]:
    """A dependency that gives a route the client of a service.

    For FastAPI `Annotated[Orders, Depends(uses(Orders))]`, for Litestar `Provide(uses(Orders))`,
    and in Starlette `await uses(Orders)()`.
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
    _want(cls)
    entrances = {name: _entrance(cls, name, each.kind) for name, each in model.operations.items()}
    for name, operation in model.operations.items():
        if operation.kind == "thread":
            entrances[name] = ThreadOperation(operation, entrances[name])
    return cast("S", client_of(model, entrances))


def _entrance(cls: type, name: str, kind: str) -> Any:
    async def asked(*args: Any, **kwargs: Any) -> Any:
        async def ask(house: House) -> Any:
            entrance = getattr(await house.client(cls), name)
            if isinstance(entrance, ThreadOperation):
                entrance = entrance.entrance
            return await entrance(*args, **kwargs)

        return await _on_its_loop(ask)

    async def streamed(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        house = _here()
        await house.keep()
        items = getattr(await house.client(cls), name)(*args, **kwargs)
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()

    return streamed if kind == "stream" else asked


def hosts_services() -> bool:
    """Whether some code of this process has asked for a service."""
    return bool(_wanted)


async def start_services() -> None:
    """Start all services that the code of this process has asked for, on this loop.

    Raises:
        ServiceError: One could not be started.
    """
    house = _here()
    for cls in tuple(_wanted):
        await house.client(cls)


async def stop_services() -> None:
    """Stop all services of this process."""
    if _house is not None and _house.loop is asyncio.get_running_loop():
        await _house.stop()
