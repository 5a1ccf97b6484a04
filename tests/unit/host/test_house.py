"""Services inside apps that know nothing of them: web frameworks, scripts and threads."""

from __future__ import annotations

import asyncio
import threading
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from flask import Flask
from litestar import Litestar, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, SkipValidation
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from outgrow import call, client, on_start, on_stop, operation, service, uses, wait
from outgrow.errors import OverloadedError

stopped: list[str] = []


@service
class Prices:
    @operation
    async def of(self, sku: str) -> int:
        return len(sku)

    @operation
    def slow_of(self, sku: str) -> int:
        return len(sku) * 2

    @operation
    async def refuse(self) -> None:
        raise OverloadedError("full", retry_after_seconds=3)

    @on_stop
    async def end(self) -> None:
        stopped.append("prices")


@pytest.fixture(autouse=True)
def nothing_stopped() -> None:
    stopped.clear()


def test_a_route_of_fastapi_is_given_a_client() -> None:
    app = FastAPI()

    @app.get("/prices/{sku}")
    async def price(sku: str, prices: Annotated[Prices, Depends(uses(Prices))]) -> int:
        return await prices.of(sku) + await call(prices.slow_of, sku)

    assert answer_of(app, "/prices/tea") == 9


def test_a_handler_of_litestar_is_given_a_client() -> None:
    # Litestar takes nothing but an instance itself for a dataclass, unless told not to look.
    @get("/prices/{sku:str}", dependencies={"prices": Provide(uses(Prices))})
    async def price(sku: FromPath[str], prices: NamedDependency[SkipValidation[Prices]]) -> int:
        return await prices.of(sku) + await call(prices.slow_of, sku)

    app = Litestar([price], logging_config=None)  # the log belongs to all tests
    assert answer_of(app, "/prices/tea") == 9


def test_an_endpoint_of_starlette_asks_for_a_client() -> None:
    async def price(request: Request) -> JSONResponse:
        prices = await uses(Prices)()
        return JSONResponse(await prices.of(request.path_params["sku"]))

    assert answer_of(Starlette(routes=[Route("/prices/{sku}", price)]), "/prices/tea") == 3


def answer_of(app: Any, path: str) -> Any:
    """What an ASGI app answers, without a server around it."""

    async def browse() -> Any:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as browser:
            return (await browser.get(path)).raise_for_status().json()

    return asyncio.run(browse())


def test_a_view_of_flask_waits_for_a_client() -> None:
    app = Flask("prices")
    prices = client(Prices)

    @app.get("/prices/<sku>")
    def price(sku: str) -> str:
        return str(wait(prices.of(sku)) + prices.slow_of(sku))

    assert app.test_client().get("/prices/tea").text == "9"


def test_services_stop_when_their_loop_ends() -> None:
    async def script() -> int:
        return await client(Prices).of("tea")

    assert asyncio.run(script()) == 3
    assert "prices" in stopped


def test_one_loop_after_another_has_services_of_its_own() -> None:
    ended: list[int] = []

    @service
    class Counter:
        @operation
        async def next(self) -> int:
            return len(ended)

        @on_stop
        async def end(self) -> None:
            ended.append(1)

    counter = client(Counter)

    async def script() -> int:
        return await counter.next()

    assert [asyncio.run(script()) for _ in range(3)] == [0, 1, 2]


def test_a_thread_waits_on_the_loop_that_runs_the_services() -> None:
    prices = client(Prices)
    got: list[Any] = []

    async def app() -> None:
        await prices.of("x")
        thread = threading.Thread(target=lambda: got.append(wait(prices.of("tea"))))
        thread.start()
        await asyncio.to_thread(thread.join)

    asyncio.run(app())
    assert got == [3]


def test_a_dependency_says_its_type() -> None:
    assert uses(Prices).__annotations__ == {"return": Prices}


def test_what_is_asked_for_later_joins_what_runs() -> None:
    made: list[str] = []

    @service
    class Inner:
        @on_start
        async def begin(self) -> None:
            made.append("inner")

        @operation
        async def one(self) -> int:
            return 1

    @service
    class Outer:
        inner: Inner

        @operation
        async def two(self) -> int:
            return 1 + await self.inner.one()

    async def script() -> list[int]:
        return [await client(Inner).one(), await client(Outer).two()]

    assert asyncio.run(script()) == [1, 2]
    assert made == ["inner"]
