"""An app as people write them, in which nothing is wrong: a review must find nothing."""

from __future__ import annotations

from tests.unit.host.review.reviewing import Reviewed, lines

TYPES = """
import enum
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NewType, Protocol, TypedDict
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import msgspec
from pydantic import BaseModel, Field

Cents = NewType("Cents", int)

class SoldOutError(Exception):
    def __init__(self, sku: str) -> None:
        super().__init__(sku)
        self.sku = sku

class State(enum.StrEnum):
    OPEN = "open"
    SHIPPED = "shipped"

@dataclass(frozen=True, kw_only=True)
class Line:
    sku: str
    quantity: int
    unit: Cents
    tags: tuple[str, ...] = ()

@dataclass
class Order:
    id: UUID
    state: State
    placed_at: datetime
    lines: list[Line] = field(default_factory=list)
    due: date | None = None

class Row(TypedDict):
    sku: str
    total: Decimal

class Page(msgspec.Struct, frozen=True):
    items: tuple[Line, ...]
    next: str | None = None

class Body(BaseModel):
    sku: str = Field(min_length=1)
    quantity: int = 1

class Bigger(Body):
    note: str = ""

T = TypeVar("T")

class Listing(BaseModel, Generic[T]):
    items: list[Annotated[T, Field(title="unhashable", json_schema_extra={})]]

class Sender(Protocol):
    async def send(self, to: str, text: str) -> None: ...
"""

STOCK = """
import asyncio, functools, threading, time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from outgrow import Database, database, from_env, on_start, on_stop
from sqlalchemy import MetaData, text

from types_ import Cents, Line, Page, SoldOutError

NAMES = Path(__file__).read_text()

class Shared:
    @operation
    async def health(self) -> bool:
        return True

@service(name="stock", concurrent_calls_max=8)
class Stock(Shared):
    db: Database = database(tables=MetaData())
    low: int = from_env(5)
    token: str = from_env("t", secret=True)
    names: list[str] | None = None

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._prices: dict[str, Cents] = {}

    @on_start
    async def warm(self) -> None:
        with open(__file__) as file:
            self._prices = {line: Cents(1) for line in file}

    @on_stop
    def cool(self) -> None:
        time.sleep(0)

    @property
    def size(self) -> int:
        return len(self._prices)

    @operation(timeout=1.0, idempotent=True)
    async def price(self, sku: str) -> Cents:
        return self._prices.get(sku, Cents(0))

    @operation
    async def reserve(self, sku: str, *, quantity: int = 1) -> Line:
        async with self.db.begin() as session:
            left = (await session.execute(text("select 1"))).scalar_one()
        if left < quantity:
            raise SoldOutError(sku)
        with self._lock:
            self._prices[sku] = Cents(left)
        return Line(sku=sku, quantity=quantity, unit=self._price(sku))

    @operation
    def report(self, path: str) -> bytes:
        with self._lock:
            time.sleep(0)
        return Path(path).read_bytes()

    @operation
    async def pages(self, start: str | None = None) -> AsyncIterator[Page]:
        for _ in range(self.size):
            yield Page(items=(), next=start)
            await asyncio.sleep(0)

    @operation
    async def table(self, wanted: Mapping[str, int]) -> dict[str, list[Line]]:
        rows = await asyncio.to_thread(self._read, "a")
        return {sku: [] for sku in wanted if rows}

    def _price(self, sku: str) -> Cents:
        return self._prices[sku]

    @staticmethod
    def _read(path: str) -> str:
        return Path(path).read_text()
"""

ORDERS = """
import asyncio
import functools
from datetime import UTC, datetime
from uuid import uuid4

from outgrow import Baggage, deadline
from pydantic import Field
from typing import Annotated, Any, Literal
from stock import Stock
from types_ import Line, Listing, Order, Row, Sender, SoldOutError, State

tenant = Baggage("tenant", str)

@service
class Mail:
    sender: Sender

    @operation
    async def receipt(self, order: Order, to: str) -> None:
        await self.sender.send(to, f"{order.id} {order.placed_at.isoformat()}")

@service
class Orders:
    stock: Stock
    mail: Mail

    @operation
    async def place(self, skus: list[str], to: str) -> Order:
        stock = self.stock
        lines = await asyncio.gather(*(stock.reserve(sku, quantity=2) for sku in skus))
        one = functools.partial(self.stock.price, "tea")
        async with asyncio.timeout(1), asyncio.TaskGroup() as group:
            group.create_task(self.stock.health())
            task = asyncio.create_task(one())
        task.result()
        waiting = [self.stock.price(sku) for sku in skus]
        for each in waiting:
            await each
        order = Order(uuid4(), State.OPEN, datetime.now(UTC), list(lines))
        with deadline(2.0):
            await asyncio.wait_for(self.mail.receipt(order, to), 1)
        return order

    @operation
    async def ship(self, order: Order) -> Order:
        match order.state:
            case State.OPEN:
                order.state = State.SHIPPED
        order.lines = [line async for page in self.stock.pages() for line in page.items]
        report = await call(self.stock.report, "a.txt")
        assert isinstance(self.stock, Stock), report
        return order

    @operation
    def bill(self, sku: str) -> Row:
        price = wait(self.stock.price(sku))
        self.stock.report("a.txt")
        return {"sku": sku, "total": price}

    @operation
    async def odd(
        self,
        number: Annotated[int, Field(json_schema_extra={})],
        pairs: dict[str, Annotated[int, Field(json_schema_extra={})]],
        way: Literal["up", "down"] = "up",
        anything: dict[str, Any] | None = None,
    ) -> dict[str, Annotated[int, Field(json_schema_extra={})]]:
        return pairs

    @operation
    async def listing(self) -> Listing[int]:
        listed = await self.odd(1, {})
        return Listing[int](items=list(listed.values()))

    @operation
    async def again(self) -> dict[str, Annotated[int, Field(json_schema_extra={})]]:
        return await self.odd(1, {})

    @operation
    async def audit(self) -> list[str]:
        try:
            await restock(self.stock, "tea")
        except SoldOutError as problem:
            return [problem.sku]
        return await self._all()

    async def _all(self) -> list[str]:
        return [str(await self.stock.price(sku)) for sku in ("a", "b")]

async def restock(stock: Stock, sku: str) -> Line:
    return await stock.reserve(sku)
"""

API = """
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI
from flask import Flask
from orders import Orders
from outgrow import App
from stock import Stock
from types_ import Bigger, Body, Order, Sender

app = FastAPI()
router = APIRouter()
flask = Flask("flask")
stock = client(Stock)
Buying = Annotated[Orders, Depends(uses(Orders))]

class Smtp:
    async def send(self, to: str, text: str) -> None: ...

@provides
async def open_sender() -> Sender:
    return Smtp()

@router.post("/orders")
async def place(body: Bigger, orders: Buying) -> str:
    order = await orders.place([body.sku], "a@b.c")
    return str(order.id)

@router.get("/price/{sku}")
def price(sku: str, orders: Buying) -> int:
    return wait(stock.price(sku))

@flask.get("/price/<sku>")
def flask_price(sku: str) -> str:
    stock.report("a")
    return str(wait(client(Stock).price(sku)))

async def script() -> None:
    by_hand = Stock(names=[])
    by_hand.size, by_hand._prices, by_hand.report("a")
    print(stock, repr(stock), stock == by_hand)

app.include_router(router)
shop = App(name="shop", services=[Orders], edges={"web": "api:app"})
"""


def test_nothing_is_found_where_nothing_is_wrong(reviewed: Reviewed) -> None:
    files = {"types_.py": TYPES, "stock.py": STOCK, "orders.py": ORDERS, "api.py": API}
    assert lines(reviewed(files)) == []
    assert lines(reviewed(files, "api:app")) == []
