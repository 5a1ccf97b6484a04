"""The picture of an app: who is there, and who calls whom."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from outgrow.host.review.picture import Picture, picture_of
from outgrow.host.review.targets import code_of
from tests.unit.host.review.reviewing import IMPORTS, write_files

SHOP = {
    "shop/__init__.py": "",
    "shop/stock.py": IMPORTS
    + """
from collections.abc import AsyncIterator
from outgrow import Database, from_env

class Smtp: ...

@provides
def open_smtp() -> Smtp: return Smtp()

@service(concurrent_calls_max=8)
class Stock:
    db: Database
    smtp: Smtp
    currency: str = from_env("EUR")
    token: str = from_env("hunter2", secret=True)
    limit: int = 5

    @operation(timeout=0.5, idempotent=True, queue_max=3)
    async def reserve(self, sku: str, *, quantity: int = 1) -> int: return 1
    @operation
    async def watch(self) -> AsyncIterator[list[int]]:
        yield [1]
    @operation
    def quote(self, sku: str | None) -> None: ...
""",
    "shop/orders.py": IMPORTS
    + """
from shop.stock import Stock
from shop.tools import restock

@service(name="buying")
class Orders:
    stock: Stock

    @operation
    async def place(self, sku: str) -> int:
        await call(self.stock.quote, sku)
        await self._later()
        return await self.stock.reserve(sku)

    async def _later(self) -> None:
        await restock(self.stock)
        print([stock for stock in self.stock.watch()])
""",
    "shop/tools.py": IMPORTS
    + """
from shop.stock import Stock
async def restock(stock: Stock) -> None:
    await client(Stock).reserve("tea")
    await client(Stock).reserve("tea")
""",
    "shop/api.py": IMPORTS
    + """
from shop.orders import Orders
from typing import Annotated

def app() -> None: ...

def route(function): return function

@route
async def order(orders: Annotated[Orders, uses(Orders)]) -> None:
    await orders.place("tea")
    await again(orders)

async def again(orders: Annotated[Orders, uses(Orders)]) -> None:
    await orders.place("tea")

at_once = client(Orders).place
""",
}


def pictured(folder: Path, *targets: str) -> Picture:
    write_files(folder, SHOP)
    return picture_of(code_of(targets))


def test_services_come_before_those_that_they_call(tmp_path: Path) -> None:
    picture = pictured(tmp_path, "shop.api:app")
    assert [(each.name, each.cls) for each in picture.services] == [
        ("buying", "shop.orders.Orders"),
        ("stock", "shop.stock.Stock"),
    ]
    assert [(each.file, each.line) for each in picture.services] == [
        ("shop/orders.py", 7),
        ("shop/stock.py", 12),
    ]


def test_an_operation_is_told_with_its_limits(tmp_path: Path) -> None:
    stock = pictured(tmp_path, "shop.api:app").services[1]
    assert [dataclasses.asdict(each) for each in stock.operations[:2]] == [
        {
            "name": "reserve",
            "kind": "async",
            "parameters": (
                {"name": "sku", "type": "str", "default": None, "is_keyword_only": False},
                {"name": "quantity", "type": "int", "default": "1", "is_keyword_only": True},
            ),
            "result": "int",
            "timeout_seconds": 0.5,
            "idempotent": True,
            "concurrent_calls_max": None,
            "queue_max": 3,
        },
        {
            "name": "watch",
            "kind": "stream",
            "parameters": (),
            "result": "list[int]",
            "timeout_seconds": None,
            "idempotent": False,
            "concurrent_calls_max": None,
            "queue_max": None,
        },
    ]
    assert (stock.operations[2].kind, stock.operations[2].result) == ("thread", "None")
    assert stock.operations[2].parameters[0].type == "str | None"
    assert stock.concurrent_calls_max == 8


def test_a_field_is_told_with_where_its_value_comes_from(tmp_path: Path) -> None:
    orders, stock = pictured(tmp_path, "shop.api:app").services
    assert [(each.name, each.kind, each.service) for each in orders.fields] == [
        ("stock", "service", "stock")
    ]
    assert [(each.name, each.kind, each.type) for each in stock.fields] == [
        ("db", "resource", "Database"),
        ("smtp", "provided", "Smtp"),
        ("currency", "environment", "str"),
        ("token", "environment", "str"),
        ("limit", "value", "int"),
    ]
    assert [each.default for each in stock.fields] == [None, None, "'EUR'", None, "5"]
    assert [each.variable for each in stock.fields[2:4]] == ["STOCK_CURRENCY", "STOCK_TOKEN"]
    assert [each.is_secret for each in stock.fields[2:4]] == [False, True]
    assert stock.fields[1].provider == "open_smtp"
    assert stock.database is not None
    assert (stock.database.kind, stock.database.variable) == ("sqlite", "STOCK_DATABASE_URL")


def test_links_begin_at_operations_and_edges(tmp_path: Path) -> None:
    picture = pictured(tmp_path, "shop.api:app")
    calls = [
        (each.caller_kind, each.caller, each.function, each.called, each.operation)
        for each in picture.links
        if each.kind == "call"
    ]
    assert calls == [
        ("edge", "web", "order", "buying", "place"),
        ("edge", "web", "", "buying", "place"),
        ("service", "buying", "place", "stock", "quote"),
        ("service", "buying", "place", "stock", "reserve"),
        ("service", "buying", "place", "stock", "watch"),
    ]
    fields = [
        (each.caller, each.function, each.called) for each in picture.links if each.kind == "field"
    ]
    assert fields == [("buying", "stock", "stock")]
    assert [(each.name, each.app) for each in picture.edges] == [("web", "shop.api:app")]


def test_a_module_that_is_no_edge_calls_by_its_own_name(tmp_path: Path) -> None:
    picture = pictured(tmp_path, ".")
    assert [(each.name, each.app) for each in picture.edges] == [("shop.api", "")]


def test_a_client_that_is_asked_for_instead_of_a_field_is_a_link(tmp_path: Path) -> None:
    source = IMPORTS + (
        "@service\nclass Stock:\n    @operation\n    async def a(self) -> None: ...\n"
        "@service\nclass Orders:\n    @operation\n    async def b(self) -> None:\n"
        "        await client(Stock).a()\n"
    )
    write_files(tmp_path, {"shop.py": source})
    picture = picture_of(code_of(["."]))
    assert [(each.kind, each.caller, each.function, each.called) for each in picture.links] == [
        ("call", "orders", "b", "stock"),
        ("client", "orders", "b", "stock"),
    ]


def test_services_in_a_circle_are_pictured_all_the_same(tmp_path: Path) -> None:
    source = IMPORTS + "@service\nclass B:\n    a: 'A'\n@service\nclass A:\n    b: B\n"
    write_files(tmp_path, {"shop.py": source})
    assert [each.name for each in picture_of(code_of(["."])).services] == ["a", "b"]


def test_what_cannot_be_read_is_counted(tmp_path: Path) -> None:
    source = IMPORTS + "@service\nclass A:\n    b: 'Nowhere'\n    c: int = 1\n"
    write_files(tmp_path, {"shop.py": source})
    (service,) = picture_of(code_of(["."])).services
    assert (service.problem_count, [each.name for each in service.fields]) == (1, ["c"])


def test_the_picture_is_the_same_each_time_and_holds_no_secret(tmp_path: Path) -> None:
    first = json.dumps(dataclasses.asdict(pictured(tmp_path, "shop.api:app")))
    assert first == json.dumps(dataclasses.asdict(pictured(tmp_path, "shop.api:app")))
    assert "hunter2" not in first
