"""Orders, payments and mail."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException

from examples.shop.catalogue import Catalogue
from examples.shop.order import Order
from examples.shop.orders import Orders
from examples.shop.stock import SoldOutError, Stock

from .calling import SOLD_OUT, CatalogueOverHttp, StockOverHttp, Wanted, services, session_to

the_orders: Orders


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
    """Open the databases, and the way to the front."""
    global the_orders
    async with session_to("front") as session:
        elsewhere = {Catalogue: CatalogueOverHttp(session), Stock: StockOverHttp(session)}
        async with services(Orders, elsewhere=elsewhere) as host:
            the_orders = host.client(Orders)
            yield


app = FastAPI(lifespan=lifespan)


@app.post("/orders/place")
async def place(wanted: Wanted) -> Order:
    try:
        return await the_orders.place(wanted.basket, wanted.buyer)
    except SoldOutError as error:
        raise HTTPException(SOLD_OUT, str(error)) from error


@app.post("/orders/recent-baskets/{count}")
async def recent_baskets(count: int) -> tuple[tuple[int, str], ...]:
    return await the_orders.recent_baskets(count)
