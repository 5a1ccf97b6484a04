"""The edge, with the catalogue and the stock behind it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import BackgroundTasks, FastAPI, HTTPException

from examples.shop import catalogue, stock
from examples.shop.api import NewOrder, OrderOut
from examples.shop.catalogue import Catalogue, Product
from examples.shop.orders import Buyer
from examples.shop.stock import Pieces, SoldOutError, Stock

from .calling import SOLD_OUT, DeskOverHttp, Reservation, Skus, database_of, session_to

the_catalogue: Catalogue
the_stock: Stock
the_desk: DeskOverHttp


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
    """Open the databases, and the way to the desk."""
    global the_catalogue, the_stock, the_desk
    async with (
        database_of("catalogue", catalogue.Table.metadata) as of_catalogue,
        database_of("stock", stock.Table.metadata) as of_stock,
        session_to("desk") as session,
    ):
        the_catalogue, the_stock = Catalogue(db=of_catalogue), Stock(db=of_stock)
        the_desk = DeskOverHttp(session)
        await the_catalogue.fill()
        await the_stock.fill()
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/orders", status_code=201)
async def place_order(wanted: NewOrder, after: BackgroundTasks) -> OrderOut:
    basket: dict[str, int] = {}
    for line in wanted.lines:
        basket[line.sku] = basket.get(line.sku, 0) + line.quantity
    buyer = Buyer(customer="api", email=wanted.email, card=wanted.card)
    try:
        order = await the_desk.place(tuple(Pieces(*each) for each in basket.items()), buyer)
    except SoldOutError as error:
        raise HTTPException(SOLD_OUT, f"Too few pieces of {error} are left.") from error
    after.add_task(the_desk.send_receipt, order)
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


@app.post("/stock/release/{reference}", status_code=204)
async def release(reference: str) -> None:
    await the_stock.release(reference)
