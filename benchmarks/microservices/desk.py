"""Orders, payments and mail."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException

from examples.shop import mail, order_tables, payments
from examples.shop.mail import Mail
from examples.shop.orders import Order, Orders
from examples.shop.payments import Bank, Payments
from examples.shop.stock import SoldOutError
from outgrow import Clock

from .calling import (
    SOLD_OUT,
    CatalogueOverHttp,
    StockOverHttp,
    Wanted,
    database_of,
    session_to,
)

the_orders: Orders
the_mail: Mail


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
    """Open the databases, and the way to the front."""
    global the_orders, the_mail
    async with (
        database_of("orders", order_tables.Table.metadata) as of_orders,
        database_of("payments", payments.Table.metadata) as of_payments,
        database_of("mail", mail.Table.metadata) as of_mail,
        session_to("front") as session,
    ):
        the_payments, the_mail = (
            Payments(bank=Bank(), db=of_payments),
            Mail(clock=Clock(), db=of_mail),
        )
        elsewhere: dict[str, Any] = {
            "catalogue": CatalogueOverHttp(session),
            "stock": StockOverHttp(session),
        }
        the_orders = Orders(**elsewhere, payments=the_payments, clock=Clock(), db=of_orders)
        await the_payments.fill()
        await the_orders.fill()
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


@app.post("/mail/send-receipt", status_code=204)
async def send_receipt(order: Order) -> None:
    await the_mail.send_receipt(order)
