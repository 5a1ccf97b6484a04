"""dishka: a provider whose objects live for a request, or as long as the app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dishka import Provider, Scope, make_async_container
from dishka.integrations.fastapi import FromDishka, inject, setup_dishka
from fastapi import FastAPI

from .graph import First, Last, Middle, Way


@asynccontextmanager
async def prepared(*, anew: bool) -> AsyncIterator[Way]:
    """A container of the three; a route enters a scope for each request either way."""
    provider = Provider(scope=Scope.REQUEST if anew else Scope.APP)
    for each in (Last, Middle, First):
        provider.provide(each)
    container = make_async_container(provider)
    app = FastAPI()

    async def once_anew() -> int:
        async with container() as request:
            first = await request.get(First)
            return await first.one("tea", 2)

    async def once() -> int:
        first = await container.get(First)
        return await first.one("tea", 2)

    @app.get("/one")
    @inject
    async def one(first: FromDishka[First]) -> int:
        return await first.one("tea", 2)

    setup_dishka(container, app)
    async with container() as request:
        given = await request.get(First)
    yield Way(once=once_anew if anew else once, app=app, given=given)
    await container.close()
