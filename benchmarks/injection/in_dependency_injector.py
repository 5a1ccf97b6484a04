"""dependency-injector: declared containers of factories or singletons, written in C.

Its `Depends(Provide[...])` is no `async def`, so FastAPI runs it in a thread.
"""

import types
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from dependency_injector import containers, providers
from dependency_injector.wiring import Provide, inject
from fastapi import Depends, FastAPI

from .graph import First, Last, Middle, Way


class _Anew(containers.DeclarativeContainer):
    last = providers.Factory(Last)
    middle = providers.Factory(Middle, last=last)
    first = providers.Factory(First, middle=middle)


class _Once(containers.DeclarativeContainer):
    last = providers.Singleton(Last)
    middle = providers.Singleton(Middle, last=last)
    first = providers.Singleton(First, middle=middle)


@asynccontextmanager
async def prepared(*, anew: bool) -> AsyncIterator[Way]:
    """A container of the three, asked directly, or wired to a route."""
    declared = _Anew if anew else _Once
    container = declared()
    app = FastAPI()

    async def once() -> int:
        return await container.first().one("tea", 2)

    @inject
    async def one(first: Annotated[First, Depends(Provide[declared.first])]) -> int:
        return await first.one("tea", 2)

    place = types.ModuleType("dependency_injector_route")
    setattr(place, "one", one)  # noqa: B010 - it wires what it finds in modules
    container.wire(modules=[place])
    app.get("/one")(one)
    yield Way(once=once, app=app, given=container.first())
    container.unwire()
