"""A client that a function is given as a parameter is followed, from whoever passes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from outgrow.host.review.picture import picture_of
from outgrow.host.review.targets import code_of
from tests.unit.host.review.reviewing import IMPORTS, Reviewed, lines, write_files

PRICES = """
@service
class Prices:
    shelves: int = 12

    @operation
    async def of(self, sku: str) -> int:
        return 1

    @operation
    def quote(self, sku: str) -> int:
        return counted(self)

def counted(prices: "Prices") -> int:
    return prices.shelves
"""
HEAD = """
import asyncio, functools
from typing import Annotated
import views
from prices import Prices
from views import shown

class Depends:
    def __init__(self, maker): ...

def route(function): return function

"""
ROUTE = "@route\nasync def home(prices: Annotated[Prices, Depends(uses(Prices))], after):\n    "
VIEWS = """
from prices import Prices

async def shown(prices: Prices, sku: str) -> int:
    return prices.shelves
"""
REACHED = (
    "views.py:6 OG204 `shown` uses `prices.shelves`: `shelves` is not an operation of `Prices`"
)


def written(route: str, views: str = VIEWS) -> dict[str, str]:
    return {"prices.py": PRICES, "views.py": views, "api.py": HEAD + route}


@pytest.mark.parametrize(
    "route",
    [
        pytest.param(ROUTE + "await shown(prices, 'tea')", id="by position"),
        pytest.param(ROUTE + "await views.shown(sku='tea', prices=prices)", id="by name"),
        pytest.param(ROUTE + "given = prices\n    await shown(given, 'tea')", id="by another name"),
        pytest.param(ROUTE + "await shown(prices, *['tea'])", id="before a list"),
        pytest.param(ROUTE + "after.add_task(shown, prices, 'tea')", id="in a task"),
        pytest.param(ROUTE + "asyncio.to_thread(shown, sku='x', prices=prices)", id="in a thread"),
        pytest.param(ROUTE + "functools.partial(shown, prices)", id="in part"),
        pytest.param(
            ROUTE + "return await asyncio.gather(*[shown(prices, each) for each in 'ab'])",
            id="in a loop",
        ),
        pytest.param("async def home():\n    await shown(client(Prices), 'tea')", id="asked for"),
        pytest.param("own = client(Prices)\ndef home():\n    shown(own, 'tea')", id="of a module"),
        pytest.param(
            ROUTE + "await first(prices)\nasync def first(one: Prices): await second(two=one)\n"
            "async def second(two: 'Prices | None' = None): await shown(two, 'tea')",
            id="from hand to hand",
        ),
        pytest.param(
            ROUTE + "await first(prices, 3)\n"
            "async def first(one: Prices, n): await second(one, n - 1)\n"
            "async def second(two: Prices, n): await first(two, n) if n else await shown(two, '')",
            id="from hand to hand in a circle",
        ),
        pytest.param(
            "class Page:\n    async def get(self, prices: Prices):\n"
            "        await shown(prices, 'tea')\n" + ROUTE + "await Page().get(prices)",
            id="through a method",
        ),
        pytest.param(
            "class Page:\n    @staticmethod\n    async def get(prices: Prices):\n"
            "        await shown(prices, 'tea')\n" + ROUTE + "await Page.get(prices)",
            id="through a method without an object",
        ),
        pytest.param(
            "class Page:\n    async def get(self, prices: Prices):\n"
            "        await self._rest(prices)\n    async def _rest(self, prices: Prices):\n"
            "        await shown(prices, 'tea')\n" + ROUTE + "await Page.get(Page(), prices)",
            id="through a method of the same object",
        ),
        pytest.param(
            ROUTE + "async def inner(): await shown(prices, 'tea')\n    await inner()",
            id="from a function within",
        ),
    ],
)
def test_reaching_through_is_found_where_the_client_was_passed(
    reviewed: Reviewed, route: str
) -> None:
    assert lines(reviewed(written(route), "api")) == [REACHED]


@pytest.mark.parametrize(
    "route",
    [
        pytest.param("", id="nothing"),
        pytest.param("async def home(): await shown(Prices(), 'tea')", id="an object"),
        pytest.param(
            ROUTE + "await shown(prices, 'tea')\ndef main(): shown(Prices(shelves=3), 'tea')",
            id="a client, and an object elsewhere",
        ),
        pytest.param(
            ROUTE + "await first(prices)\nasync def first(one: Prices): await shown(one, '')\n"
            "async def main(): await first(Prices())",
            id="from hand to hand, either",
        ),
        pytest.param(
            "class Fake(Prices): ...\n" + ROUTE + "await shown(prices, 'tea')\n"
            "def main(): shown(Fake(), 'tea')",
            id="a client, and a fake elsewhere",
        ),
        pytest.param(ROUTE + "await shown(*[prices, 'tea'])", id="who knows which"),
        pytest.param(ROUTE + "await shown('tea', prices)", id="to another parameter"),
        pytest.param("async def home(other): await shown(other, 'tea')", id="who knows what"),
    ],
)
def test_what_may_be_an_object_is_left_alone(reviewed: Reviewed, route: str) -> None:
    assert lines(reviewed(written(route), "api")) == []


def test_a_service_may_pass_itself_to_its_own_functions(reviewed: Reviewed) -> None:
    route = ROUTE + "from prices import counted\n    counted(prices)"
    assert lines(reviewed(written(route), "api")) == []


def test_other_rules_hold_for_a_client_that_is_passed(reviewed: Reviewed) -> None:
    views = VIEWS.replace("return prices.shelves", "return prices.quote(sku)")
    (found,) = reviewed(written(ROUTE + "await shown(prices, 'tea')", views), "api")
    assert (found.code, found.file, found.line) == ("OG209", "views.py", 6)


def test_a_framework_passes_clients_to_routes_in_another_module(reviewed: Reviewed) -> None:
    views = (
        "from prices import Prices\ndef get(function): return function\n"
        "@get\nasync def listed(prices: Prices): return prices.shelves\n"
        "async def unused(prices: Prices): return prices.shelves\n"
    )
    route = "app = (views, {'prices': Depends(uses(Prices))})\n"
    found = reviewed(written(route.replace("shown", ""), views + "shown = None\n"), "api")
    assert [(each.file, each.line) for each in found] == [("views.py", 5)]


CALLING = VIEWS.replace("return prices.shelves", "return await prices.of(sku)")


@pytest.mark.parametrize(
    "call",
    [
        pytest.param("await shown(prices, 'tea')", id="called"),
        pytest.param("after.add_task(shown, prices, 'tea')", id="handed on"),
        pytest.param(
            "await first(prices)\nasync def first(one: Prices): await shown(one, 'tea')",
            id="called by one that is called",
        ),
        pytest.param(
            "await first(prices, 2)\nasync def first(one: Prices, n): await second(one, n)\n"
            "async def second(two: Prices, n): await first(two, n - 1); await shown(two, 'tea')",
            id="called by those that call one another",
        ),
    ],
)
def test_the_calls_of_a_function_are_those_of_the_route_that_calls_it(
    tmp_path: Path, call: str
) -> None:
    files = written(ROUTE + call + "\napp = route(home)\n", CALLING)
    write_files(tmp_path, {name: IMPORTS + text for name, text in files.items()})
    (link,) = picture_of(code_of(["api:app"])).links
    assert (link.caller, link.function, link.called) == ("web", "home", "prices")
    assert (link.operation, link.file, link.line) == ("of", "views.py", 6)


def test_the_calls_of_a_function_are_those_of_the_operation_that_calls_it(tmp_path: Path) -> None:
    orders = (
        "from prices import Prices\nfrom views import shown\n"
        "@service\nclass Orders:\n    prices: Prices\n"
        "    @operation\n    async def place(self) -> int: return await shown(self.prices, 'tea')\n"
    )
    files = {"prices.py": PRICES, "views.py": CALLING, "orders.py": orders}
    write_files(tmp_path, {name: IMPORTS + text for name, text in files.items()})
    links = picture_of(code_of(["orders"])).links
    assert [(each.kind, each.caller, each.function, each.called) for each in links] == [
        ("field", "orders", "prices", "prices"),
        ("call", "orders", "place", "prices"),
    ]
