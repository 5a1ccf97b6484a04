"""The edge, with the catalogue, the stock and those who buy for it behind it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException

from examples.shop.api import NewOrder, OrderOut
from examples.shop.catalogue import Catalogue, Product
from examples.shop.order import Buyer
from examples.shop.payments import token_of
from examples.shop.purchasing import Purchasing
from examples.shop.stock import Pieces, SoldOutError, Stock

from .calling import SOLD_OUT, DeskOverHttp, Reservation, Skus, services, session_to

the_catalogue: Catalogue
the_stock: Stock
the_desk: DeskOverHttp


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
    """Open the databases, and the way to the desk."""
    global the_catalogue, the_stock, the_desk
    async with (
        services(Catalogue, Purchasing) as host,
        session_to("desk") as session,
    ):
        the_catalogue, the_stock = host.client(Catalogue), host.client(Stock)
        the_desk = DeskOverHttp(session)
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/orders", status_code=201)
async def place_order(wanted: NewOrder) -> OrderOut:
    basket: dict[str, int] = {}
    for line in wanted.lines:
        basket[line.sku] = basket.get(line.sku, 0) + line.quantity
    buyer = Buyer(customer="api", email=wanted.email, card=token_of(wanted.card))
    try:
        order = await the_desk.place(tuple(Pieces(*each) for each in basket.items()), buyer)
    except SoldOutError as error:
        raise HTTPException(SOLD_OUT, f"Too few pieces of {error} are left.") from error
    return OrderOut.model_validate(order)


@app.post("/catalogue/find-all")
async def find_all(wanted: Skus) -> tuple[Product, ...]:
    return await the_catalogue.find_all(wanted.skus)


@app.post("/stock/reserve", status_code=204)
async def reserve(reservation: Reservation) -> None:
    try:
        await the_stock.reserve(reservation.reference, reservation.wanted)
    except SoldOutError as error:
        raise HTTPException(SOLD_OUT, str(error)) from error
