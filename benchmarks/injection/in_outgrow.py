"""Ours: `uses` gives a client that was made once; there are no objects of one request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI

from outgrow import uses

from .graph import First, Way


@asynccontextmanager
async def prepared(*, anew: bool) -> AsyncIterator[Way]:
    """The dependency, awaited, or given to `Depends`."""
    assert not anew
    dependency = uses(First)
    app = FastAPI()

    async def once() -> int:
        first = await dependency()
        return await first.one("tea", 2)

    @app.get("/one")
    async def one(first: Annotated[First, Depends(dependency)]) -> int:
        return await first.one("tea", 2)

    yield Way(once=once, app=app)
