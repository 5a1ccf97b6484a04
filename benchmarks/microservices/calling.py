"""How the apps call one another: aiohttp with kept connections, pydantic and JSON at both ends."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from pydantic import BaseModel, TypeAdapter

from examples.shop.catalogue import Product
from examples.shop.order import Buyer, Order
from examples.shop.payments import open_bank
from examples.shop.stock import Pieces, SoldOutError
from outgrow import App
from outgrow.host import Host

# The environment variables that tell each app where the others are.
PLACES = {"front": "FRONT_URL", "desk": "DESK_URL", "advice": "ADVICE_URL"}
CALL_SECONDS = 10.0
CONNECTIONS_MAX = 128
JSON = {"Content-Type": "application/json"}
SOLD_OUT = 409


class Wanted(BaseModel):
    """What `Orders.place` is given."""

    basket: tuple[Pieces, ...]
    buyer: Buyer


class Reservation(BaseModel):
    """What `Stock.reserve` is given."""

    reference: str
    wanted: tuple[Pieces, ...]


class Skus(BaseModel):
    """What `Catalogue.find_all` is given."""

    skus: tuple[str, ...]


ORDER = TypeAdapter(Order)
PRODUCTS = TypeAdapter(tuple[Product, ...])
BASKETS = TypeAdapter(tuple[tuple[int, str], ...])


@asynccontextmanager
async def services(*own: type, elsewhere: Mapping[type, Any] | None = None) -> AsyncGenerator[Host]:
    """Run services in this process, with their databases, their events and their jobs."""
    host = Host(App(services=own, providers=[open_bank]), running=elsewhere)
    await host.start()
    try:
        yield host
    finally:
        await host.stop()


@asynccontextmanager
async def session_to(name: str) -> AsyncGenerator[aiohttp.ClientSession]:
    """Connections to another app."""
    connector = aiohttp.TCPConnector(limit=CONNECTIONS_MAX)
    limit = aiohttp.ClientTimeout(CALL_SECONDS)
    where = os.environ[PLACES[name]]
    async with aiohttp.ClientSession(
        where, connector=connector, timeout=limit, headers=JSON
    ) as session:
        yield session


async def post(session: aiohttp.ClientSession, path: str, body: str | bytes) -> bytes:
    """One call; `SoldOutError` where the other end says so."""
    async with session.post(path, data=body) as response:
        answer = await response.read()
        if response.status == SOLD_OUT:
            raise SoldOutError(answer.decode())
        response.raise_for_status()
        return answer


class CatalogueOverHttp:
    """What `Orders` and `Recommendations` ask of the catalogue."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def find_all(self, skus: tuple[str, ...]) -> tuple[Product, ...]:
        """As the catalogue does."""
        body = Skus(skus=skus).model_dump_json()
        return PRODUCTS.validate_json(await post(self._session, "/catalogue/find-all", body))


class StockOverHttp:
    """What `Orders` asks of the stock."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def reserve(self, reference: str, wanted: tuple[Pieces, ...]) -> None:
        """As the stock does."""
        body = Reservation(reference=reference, wanted=wanted).model_dump_json()
        await post(self._session, "/stock/reserve", body)


class DeskOverHttp:
    """What the edge asks of the desk."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def place(self, basket: tuple[Pieces, ...], buyer: Buyer) -> Order:
        """As `Orders` does."""
        body = Wanted(basket=basket, buyer=buyer).model_dump_json()
        return ORDER.validate_json(await post(self._session, "/orders/place", body))

    async def recent_baskets(self, count: int) -> tuple[tuple[int, str], ...]:
        """As `Orders` does."""
        path = f"/orders/recent-baskets/{count}"
        return BASKETS.validate_json(await post(self._session, path, b""))
