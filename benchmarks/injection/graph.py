"""Three services in a row, and what a framework does to hand the first of them over."""

import dataclasses
from collections.abc import Awaitable, Callable

from fastapi import FastAPI

from outgrow import operation, service


@service
class Last:
    """Answers."""

    @operation
    async def one(self, sku: str, quantity: int) -> int:
        return quantity


@service
class Middle:
    """Asks the last."""

    last: Last

    @operation
    async def one(self, sku: str, quantity: int) -> int:
        return await self.last.one(sku, quantity)


@service
class First:
    """Asks the middle one."""

    middle: Middle

    @operation
    async def one(self, sku: str, quantity: int) -> int:
        return await self.middle.one(sku, quantity)


def by_hand() -> First:
    """The three, made as any Python objects are."""
    return First(middle=Middle(last=Last()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Way:
    """How one contender hands the first of the three over.

    Attributes:
        once: Gets it, as for one request, and calls it; None where only a route can get it.
        app: Does the same in a route of FastAPI, `/one`.
        given: The first of the three, injected already; None where a row tells it elsewhere.
    """

    once: Callable[[], Awaitable[object]] | None
    app: FastAPI
    given: First | None = None
