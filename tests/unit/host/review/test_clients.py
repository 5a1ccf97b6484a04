"""A client is its operations and nothing else, however it was come by."""

from __future__ import annotations

import pytest

from tests.unit.host.review.reviewing import Reviewed, lines

STOCK = """
@service
class Stock:
    size: int = 5

    @operation
    async def reserve(self, sku: str) -> int:
        return 1

    @operation
    def quote(self, sku: str) -> int:
        return 1

    @operation
    async def watch(self) -> "AsyncIterator[int]":
        yield 1

    def count(self) -> int:
        return self._counted()

    def _counted(self) -> int:
        return self.size

from collections.abc import AsyncIterator
"""


def in_orders(body: str) -> str:
    """A service with a client of `Stock`, and an operation with this body."""
    indented = "\n".join(f"        {line}" for line in body.splitlines())
    return f"""{STOCK}
@service
class Orders:
    stock: Stock

    @operation
    async def place(self, sku: str) -> None:
{indented}
"""


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(
            "print(self.stock.size)",
            "`Orders.place` uses `self.stock.size`: `size` is not an operation of `Stock`",
            id="a field",
        ),
        pytest.param(
            "self.stock.count()",
            "`Orders.place` uses `self.stock.count`: `count` is not an operation of `Stock`",
            id="a method without a mark",
        ),
        pytest.param(
            "self.stock._counted()",
            "`Orders.place` uses `self.stock._counted`: `_counted` is not an operation of `Stock`",
            id="a private method",
        ),
        pytest.param(
            "self.stock.size = 3",
            "`Orders.place` uses `self.stock.size`: `size` is not an operation of `Stock`",
            id="a field that is set",
        ),
        pytest.param(
            "s = self.stock\nprint(s.size)",
            "`Orders.place` uses `s.size`: `size` is not an operation of `Stock`",
            id="through another name",
        ),
        pytest.param(
            "a, b = self.stock, 1\nprint(a.size)",
            "`Orders.place` uses `a.size`: `size` is not an operation of `Stock`",
            id="through one of two names",
        ),
        pytest.param(
            "if s := self.stock:\n    print(s.size)",
            "`Orders.place` uses `s.size`: `size` is not an operation of `Stock`",
            id="through a name within an expression",
        ),
        pytest.param(
            "print(client(Stock).size)",
            "`Orders.place` uses `client(Stock).size`: `size` is not an operation of `Stock`",
            id="through a client that is asked for",
        ),
        pytest.param(
            "print(getattr(self.stock, 'size'))",
            "`Orders.place` uses `getattr(self.stock, 'size')`: `size` is not an operation of "
            "`Stock`",
            id="through getattr",
        ),
        pytest.param(
            "def inner():\n    return self.stock.size\ninner()",
            "`Orders.place.inner` uses `self.stock.size`: `size` is not an operation of `Stock`",
            id="in a function within",
        ),
        pytest.param(
            "print([self.stock.size for _ in range(3)], lambda: 1)",
            "`Orders.place` uses `self.stock.size`: `size` is not an operation of `Stock`",
            id="in a comprehension",
        ),
    ],
)
def test_reaching_through_a_client_is_found(reviewed: Reviewed, body: str, text: str) -> None:
    (found,) = reviewed(in_orders(body))
    assert (found.code, found.text) == ("OG204", text)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("await self.stock.reserve(sku)", id="an operation"),
        pytest.param("return await call(self.stock.quote, sku)", id="a def through call"),
        pytest.param("async for n in self.stock.watch(): print(n)", id="a stream"),
        pytest.param("assert isinstance(self.stock, Stock)", id="what class it is"),
        pytest.param("print(self.stock.__class__, self.sku)", id="its class, and an own name"),
        pytest.param("Stock(size=3).count()", id="an object made by hand"),
        pytest.param("stock = Stock()\nstock.count()\nstock.quote('x')", id="another by hand"),
        pytest.param("s = self.stock\ns = Stock()\ns.count()", id="a name given two things"),
        pytest.param("self = object()\nprint(self.stock.size)", id="another self"),
        pytest.param(
            "import asyncio\nawait asyncio.gather(self.stock.reserve(sku))", id="gathered"
        ),
        pytest.param("print(getattr(self.stock, sku))", id="getattr of who knows what"),
        pytest.param("for s in [self.stock]: print(s.size)", id="out of a list"),
    ],
)
def test_ordinary_use_is_left_alone(reviewed: Reviewed, body: str) -> None:
    assert lines(reviewed(in_orders(body))) == []


EDGE = """
from typing import Annotated
from shop import Stock

class Depends:
    def __init__(self, maker): ...

"""


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(
            "async def home(stock: Annotated[Stock, Depends(uses(Stock))]):\n    stock.size",
            id="annotated",
        ),
        pytest.param(
            "async def home(stock: 'Annotated[Stock, Depends(uses(Stock))]'):\n    stock.size",
            id="annotated in quotes",
        ),
        pytest.param(
            "Given = Annotated[Stock, Depends(uses(Stock))]\n"
            "async def home(stock: Given):\n    stock.size",
            id="annotated by another name",
        ),
        pytest.param(
            "async def home(stock: Stock = Depends(uses(Stock))):\n    stock.size",
            id="by default",
        ),
        pytest.param(
            "async def home(*, stock: Stock = Depends(uses(Stock))):\n    stock.size",
            id="by default, as a keyword",
        ),
        pytest.param(
            "routes = {'stock': uses(Stock)}\nasync def home(stock: Stock):\n    stock.size",
            id="by a table beside it",
        ),
        pytest.param("stock = client(Stock)\ndef home():\n    stock.size", id="at the top"),
        pytest.param(
            "async def home():\n    stock = await uses(Stock)()\n    stock.size", id="awaited"
        ),
        pytest.param(
            "class View:\n    def __init__(self):\n        self.stock = client(Stock)\n"
            "    def get(self):\n        self.stock.size",
            id="held by an object",
        ),
    ],
)
def test_reaching_through_is_found_in_an_edge(reviewed: Reviewed, handler: str) -> None:
    (found,) = reviewed({"shop.py": STOCK, "api.py": EDGE + handler}, "api")
    assert (found.file, found.code) == ("api.py", "OG204")
    assert "stock.size" in found.text


def test_a_client_is_known_in_a_module_that_imports_it(reviewed: Reviewed) -> None:
    (found,) = reviewed(
        {
            "shop.py": STOCK,
            "clients.py": "from shop import Stock\nstock = client(Stock)\n",
            "views.py": "import clients\ndef home():\n    return clients.stock.size\n",
        }
    )
    assert lines([found]) == [
        "views.py:4 OG204 `home` uses `clients.stock.size`: `size` is not an operation of `Stock`"
    ]


def test_a_plain_parameter_may_be_an_object_made_by_hand(reviewed: Reviewed) -> None:
    files = {"shop.py": STOCK, "tools.py": "from shop import Stock\ndef f(s: Stock): s.count()\n"}
    assert reviewed(files) == []


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        pytest.param(
            "self.stock.size",
            "Add an operation to `Stock` that gives what is needed, or call one of: reserve, "
            "quote, watch",
            id="a field",
        ),
        pytest.param(
            "self.stock.count",
            "Mark it with `@operation`, or call one of: reserve, quote, watch",
            id="a method",
        ),
        pytest.param("self.stock.reserv", "Call one of: reserve, quote, watch", id="no name of it"),
    ],
)
def test_the_hint_says_what_to_do_instead(reviewed: Reviewed, body: str, hint: str) -> None:
    (found,) = reviewed(in_orders(body))
    assert found.hint == hint


def test_a_service_from_a_class_above_it_is_a_client_too(reviewed: Reviewed) -> None:
    (found,) = reviewed(
        STOCK
        + """
class WithStock:
    stock: Stock

    def peek(self) -> int:
        return self.stock.size

@service
class Orders(WithStock):
    stock: Stock
"""
    )
    assert found.text.startswith("`WithStock.peek` uses `self.stock.size`")


@pytest.mark.parametrize(
    ("body", "text", "hint"),
    [
        pytest.param(
            "self.stock.quote(sku)",
            "`Orders.place` calls `Stock.quote` directly, and a `def` blocks the event loop",
            "Write `await call(self.stock.quote, sku)`",
            id="a def without call",
        ),
        pytest.param(
            "def inner():\n    self.stock.quote(sku=sku)\ninner()",
            "`Orders.place.inner`, which `Orders.place` calls, calls `Stock.quote` directly",
            "Write `await call(self.stock.quote, sku=sku)`",
            id="a def without call in what async code calls",
        ),
        pytest.param(
            "self.stock.reserve(sku)",
            "`Orders.place` calls `Stock.reserve` without `await`, so it never runs",
            "Write `await` before it",
            id="dropped",
        ),
        pytest.param(
            "call(self.stock.quote, sku)",
            "`Orders.place` calls `Stock.quote` without `await`, so it never runs",
            "Write `await` before it",
            id="a def through call, dropped",
        ),
        pytest.param(
            "self.stock.watch()",
            "`Orders.place` calls `Stock.watch` without `async for`, so it never runs",
            "Write `async for` before it",
            id="a stream, dropped",
        ),
        pytest.param(
            "wait(self.stock.reserve(sku))",
            "`Orders.place` waits on the event loop, which cannot go on until it has",
            "Write `await` instead of `wait(...)`",
            id="wait in async code",
        ),
        pytest.param(
            "def inner():\n    wait(self.stock.reserve(sku))\ninner()",
            "`Orders.place.inner`, which `Orders.place` calls, waits on the event loop, which "
            "cannot go on until it has",
            "Write `await` instead of `wait(...)`",
            id="wait in what async code calls",
        ),
    ],
)
def test_a_call_that_cannot_work_is_found(
    reviewed: Reviewed, body: str, text: str, hint: str
) -> None:
    (found,) = reviewed(in_orders(body))
    assert (found.code, found.hint) == ("OG209", hint)
    assert text in found.text


def test_blocking_is_fine_in_a_thread(reviewed: Reviewed) -> None:
    source = STOCK + (
        "import asyncio, outgrow\n"
        "def view(): return wait(client(Stock).reserve('tea'))\n"
        "def plain(): client(Stock).quote('tea')\n"
        "async def apart(): return await asyncio.to_thread(lambda: client(Stock).quote('tea'))\n"
        "def other(): return outgrow.wait(call(client(Stock).quote, 'tea'))\n"
        "async def home(): return await asyncio.to_thread(view)\n"
        "async def lazy(): await asyncio.to_thread(lambda: wait(client(Stock).reserve('x')))\n"
        "async def more(): return await asyncio.wait([])\n"
    )
    assert lines(reviewed(source)) == []


def test_wait_is_found_in_an_async_handler_of_an_edge(reviewed: Reviewed) -> None:
    (found,) = reviewed(
        STOCK + "import outgrow as og\nasync def home(): og.wait(client(Stock).reserve('x'))\n"
    )
    assert found.code == "OG209"


def test_what_is_wrong_is_told_in_full_although_a_client_is_made_at_import(
    reviewed: Reviewed,
) -> None:
    source = """
        class Plain: ...

        @service
        class Stock:
            other: "Orders"

            @operation
            async def first(self, a, b): ...

            @operation
            async def second(self) -> complex: ...

        @service
        class Orders:
            stock: Stock

        plain, first = client(Plain), client(Stock).first
    """
    assert [each.code for each in reviewed(source)] == [
        *("OG205", "OG203", "OG203", "OG203", "OG203", "OG201"),
    ]


@pytest.mark.parametrize("asks", ["client", "uses"])
def test_asking_for_what_is_no_service_is_found(reviewed: Reviewed, asks: str) -> None:
    (found,) = reviewed(f"class Plain: ...\ndef view(): return {asks}(Plain)\n")
    assert lines([found]) == [
        f"shop.py:3 OG201 `{asks}(Plain)` asks for `Plain`, which is no service"
    ]
