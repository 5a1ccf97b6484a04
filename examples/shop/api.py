"""The shop's app: a JSON API, and the page for people beside it.

Run it with `uvicorn examples.shop.api:app`, or `outgrow run examples.shop.api:app --workers 1:2`.
"""

import re
from datetime import datetime
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field

from examples.shop import page
from examples.shop.access import (
    TheCatalogue,
    TheMail,
    TheOrders,
    ThePurchasing,
    TheRecommendations,
    TheReports,
    TheStock,
)
from examples.shop.catalogue import PAGE_SIZE, PAGE_SIZE_MAX, UnknownProductError
from examples.shop.mail import Letter
from examples.shop.order import Buyer, State
from examples.shop.orders import EMAIL, UnknownOrderError
from examples.shop.payments import DeclinedError, token_of
from examples.shop.purchasing import Purchase
from examples.shop.reports import Report
from examples.shop.sales import Sales
from examples.shop.stock import Pieces, SoldOutError
from outgrow import lifespan

SKU = re.compile(r"[A-Z]{3}-\d{3}")


app = FastAPI(title="Leaf & Kettle", version="1.0", lifespan=lifespan)
app.include_router(page.router, include_in_schema=False)
app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")


class ProductOut(BaseModel):
    """A product as the API shows it."""

    model_config = ConfigDict(from_attributes=True)

    sku: str
    name: str
    category: str
    description: str
    price_cents: int


class ProductWithStock(ProductOut):
    """A product, and how many pieces are left."""

    pieces_left: int


class ShelfOut(BaseModel):
    """One page of a search."""

    model_config = ConfigDict(from_attributes=True)

    products: list[ProductOut]
    page: int
    pages_count: int
    products_count: int


class LineIn(BaseModel):
    """Some pieces of one product."""

    sku: str = Field(pattern=SKU)
    quantity: int = Field(default=1, ge=1, le=20)


class NewOrder(BaseModel):
    """What a customer wants, and who pays."""

    lines: list[LineIn] = Field(min_length=1, max_length=30)
    email: str = Field(pattern=EMAIL, max_length=200)
    card: str = Field(default="4242424242424242", pattern=r"^\d{12,19}$")


class LineOut(BaseModel):
    """A product of an order, at the price of that day."""

    model_config = ConfigDict(from_attributes=True)

    sku: str
    name: str
    quantity: int
    unit_price_cents: int


class OrderOut(BaseModel):
    """An order as the API shows it; `waiting` while the bank cannot say whether it pays."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    state: State
    placed_at: datetime
    total_cents: int
    lines: list[LineOut]


@app.exception_handler(UnknownProductError)
async def unknown_product(_request: Request, error: Exception) -> JSONResponse:
    """Answer 404 for a product the shop does not sell."""
    return JSONResponse({"detail": f"There is no product {error}."}, status_code=404)


@app.get("/products")
async def list_products(
    catalogue: TheCatalogue,
    search: str = "",
    category: str = "",
    number: Annotated[int, Query(alias="page", ge=1, le=10_000)] = 1,
    size: Annotated[int, Query(ge=1, le=PAGE_SIZE_MAX)] = PAGE_SIZE,
) -> ShelfOut:
    """Look through the catalogue."""
    shelf = await catalogue.search(search, category=category, page=number, size=size)
    return ShelfOut.model_validate(shelf)


@app.get("/products/{sku}")
async def show_product(sku: str, catalogue: TheCatalogue, stock: TheStock) -> ProductWithStock:
    """Look up one product."""
    product = await catalogue.find(sku)
    pieces = await stock.pieces_left(sku)
    shown = ProductOut.model_validate(product)
    return ProductWithStock(**shown.model_dump(), pieces_left=pieces)


@app.post("/orders", status_code=201)
async def place_order(wanted: NewOrder, orders: TheOrders) -> OrderOut:
    """Place an order: 402 when the bank declines, 409 when too few pieces are left."""
    basket: dict[str, int] = {}
    for line in wanted.lines:
        basket[line.sku] = basket.get(line.sku, 0) + line.quantity
    buyer = Buyer(customer="api", email=wanted.email, card=token_of(wanted.card))
    try:
        order = await orders.place(tuple(Pieces(*each) for each in basket.items()), buyer)
    except DeclinedError as error:
        raise HTTPException(402, "The bank declined this card.") from error
    except SoldOutError as error:
        raise HTTPException(409, f"Too few pieces of {error} are left.") from error
    return OrderOut.model_validate(order)


@app.get("/orders/{order_id}")
async def show_order(order_id: int, orders: TheOrders) -> OrderOut:
    """Look up an order."""
    try:
        return OrderOut.model_validate(await orders.find(order_id))
    except UnknownOrderError as error:
        raise HTTPException(404, f"There is no order {order_id}.") from error


@app.get("/orders/{order_id}/letters")
async def list_letters(order_id: int, mail: TheMail) -> tuple[Letter, ...]:
    """List what was written to the customer: the receipt comes soon after the order."""
    return await mail.letters(order_id)


@app.get("/recommendations/{sku}")
async def recommend(
    sku: str, catalogue: TheCatalogue, recommendations: TheRecommendations
) -> list[ProductOut]:
    """List what people buy together with this product."""
    await catalogue.find(sku)
    products = await recommendations.bought_together(sku)
    return [ProductOut.model_validate(product) for product in products]


@app.get("/reports/sales")
async def report_sales(orders: TheOrders, days: Annotated[int, Query(ge=1, le=365)] = 30) -> Sales:
    """Sum up the sales of the last days."""
    return await orders.sales(days)


@app.get("/reports/nightly")
async def list_reports(reports: TheReports) -> tuple[Report, ...]:
    """List what the last days brought, as it was written down each night."""
    return await reports.reports()


@app.get("/purchases")
async def list_purchases(purchasing: ThePurchasing) -> tuple[Purchase, ...]:
    """List what was ordered again, as it ran low."""
    return await purchasing.purchases()
