"""The same answers in FastAPI, the order as a response model."""

import os

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel
from raw import ORDER


class Line(BaseModel):
    """One line of an order."""

    sku: str
    name: str
    quantity: int
    price_cents: int


class Order(BaseModel):
    """An order of about 1 kB."""

    id: int
    email: str
    lines: list[Line]
    total_cents: int


app = FastAPI()
_order = Order.model_validate(ORDER)


@app.get("/", response_class=PlainTextResponse)
async def hello() -> str:
    """5 bytes."""
    return "hello"


@app.get("/order")
async def order() -> Order:
    """About 1 kB of JSON."""
    return _order


@app.get("/pid", response_class=PlainTextResponse)
async def pid() -> str:
    """This process's id."""
    return str(os.getpid())
