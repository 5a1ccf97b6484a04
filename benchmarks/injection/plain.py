"""No framework: the three made by hand, for each request or once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from .graph import First, Way, by_hand


@asynccontextmanager
async def prepared(*, anew: bool) -> AsyncIterator[Way]:
    """Objects made in the handler, or beforehand."""
    only = by_hand()
    app = FastAPI()

    async def once() -> int:
        first = by_hand() if anew else only
        return await first.one("tea", 2)

    @app.get("/one")
    async def one() -> int:
        first: First = by_hand() if anew else only
        return await first.one("tea", 2)

    yield Way(once=once, app=app, given=only)
