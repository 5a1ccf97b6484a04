"""that-depends: declared containers of factories or singletons, resolved with `await`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI
from that_depends import BaseContainer, providers

from .graph import First, Last, Middle, Way


class _Anew(BaseContainer):
    last = providers.Factory(Last)
    middle = providers.Factory(Middle, last=last.cast)
    first = providers.Factory(First, middle=middle.cast)


class _Once(BaseContainer):
    last = providers.Singleton(Last)
    middle = providers.Singleton(Middle, last=last.cast)
    first = providers.Singleton(First, middle=middle.cast)


@asynccontextmanager
async def prepared(*, anew: bool) -> AsyncIterator[Way]:
    """A provider of the first of the three, awaited, or given to `Depends`."""
    provider = _Anew.first if anew else _Once.first
    app = FastAPI()

    async def once() -> int:
        first = await provider.resolve()
        return await first.one("tea", 2)

    @app.get("/one")
    async def one(first: Annotated[First, Depends(provider)]) -> int:
        return await first.one("tea", 2)

    yield Way(once=once, app=app, given=await provider.resolve())
