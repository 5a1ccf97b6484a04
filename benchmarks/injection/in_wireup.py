"""wireup: factories whose objects live for a scope, or as long as the container."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import wireup
from fastapi import FastAPI
from wireup import Injected
from wireup.integration.fastapi import WireupRoute, setup

from .graph import First, Last, Middle, Way


def _last() -> Last:
    return Last()


def _middle(last: Last) -> Middle:
    return Middle(last=last)


def _first(middle: Middle) -> First:
    return First(middle=middle)


def _container(*, anew: bool) -> wireup.AsyncContainer:
    makers = (_last, _middle, _first)
    if anew:
        return wireup.create_async_container(
            injectables=[wireup.injectable(maker, lifetime="scoped") for maker in makers]
        )
    return wireup.create_async_container(injectables=[wireup.injectable(each) for each in makers])


@asynccontextmanager
async def prepared(*, anew: bool) -> AsyncIterator[Way]:
    """A container of the three."""
    container = _container(anew=anew)
    app = FastAPI()
    app.router.route_class = WireupRoute  # or FastAPI would ask for each argument in a thread

    async def once_anew() -> int:
        async with container.enter_scope() as scope:
            first = await scope.get(First)
            return await first.one("tea", 2)

    async def once() -> int:
        first = await container.get(First)
        return await first.one("tea", 2)

    @app.get("/one")
    async def one(first: Injected[First]) -> int:
        return await first.one("tea", 2)

    setup(container, app)
    async with container.enter_scope() as scope:
        given = await scope.get(First)
    async with app.router.lifespan_context(app):
        yield Way(once=once_anew if anew else once, app=app, given=given)
