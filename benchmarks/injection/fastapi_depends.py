"""FastAPI's own `Depends`, with `async def` makers: it runs `def` ones and classes in threads."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI

from .graph import First, Last, Middle, Way, by_hand


async def _last() -> Last:
    return Last()


async def _middle(last: Annotated[Last, Depends(_last)]) -> Middle:
    return Middle(last=last)


async def _first(middle: Annotated[Middle, Depends(_middle)]) -> First:
    return First(middle=middle)


@asynccontextmanager
async def prepared(*, anew: bool) -> AsyncIterator[Way]:
    """A chain of three dependencies, or one that gives what was made beforehand."""
    only = by_hand()
    app = FastAPI()

    async def made() -> First:
        return only

    @app.get("/one")
    async def one(first: Annotated[First, Depends(_first if anew else made)]) -> int:
        return await first.one("tea", 2)

    yield Way(once=None, app=app)
