"""Who calls a service from outside of all others: the route of the request, where that is known."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import django
import flask
import pytest
from django.conf import settings as django_settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path
from fastapi import APIRouter, Depends, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import Response
from starlette.routing import Mount, Route

from outgrow.telemetry import watch_frameworks
from outgrow.wire import deadline, edge_name, is_edge
from outgrow.wire.deadline import current
from tests.unit.host.serving import WAIT_SECONDS, Served, answer, serve

callers: list[str] = []


def note() -> None:
    """What a call notes that this code would make."""
    with deadline(1.0):
        frame = current.get()
        assert frame is not None
        callers.append(frame.operation)


async def raw_app(scope: Any, _receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        note()
        await answer(send, 200, b"")


async def view(_request: Any) -> Response:
    note()
    return Response()


def fastapi_app(endpoint: Callable[..., Any]) -> FastAPI:
    router = APIRouter(prefix="/items")
    router.add_api_route("/{number}", endpoint)
    app = FastAPI()
    app.include_router(router, prefix="/v1")
    return app


def in_thread(number: int) -> None:
    note()


async def in_loop(number: int) -> None:
    note()


async def depending(number: int, _: Annotated[None, Depends(note)]) -> None:
    """The dependency calls."""


async def noting_first(request: Any, call_next: Any) -> Any:
    note()
    return await call_next(request)


def flask_app() -> flask.Flask:
    app = flask.Flask("shop")

    def flask_view(number: int) -> str:
        note()
        return ""

    app.add_url_rule("/v1/items/<int:number>", view_func=flask_view)
    return app


def django_view(_request: Any, number: int) -> Any:
    note()
    return HttpResponse(b"")


async def django_async_view(_request: Any, number: int) -> Any:
    note()
    return HttpResponse(b"")


URLS = (path("v1/items/<int:number>", django_view), path("a/items/<int:number>", django_async_view))
STARLETTE = Starlette(routes=[Mount("/v1", routes=[Route("/items/{number}", view)])])
EARLY = Starlette(
    routes=[Route("/v1/items/{number}", lambda _: Response())],
    middleware=[Middleware(BaseHTTPMiddleware, dispatch=noting_first)],
)
TEMPLATE = "GET /v1/items/{number}"
# Made when the test runs: Django's need its settings.
APPS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "plain ASGI, which has no routes": (lambda: raw_app, "asgi3", "web"),
    "FastAPI, async": (lambda: fastapi_app(in_loop), "asgi3", TEMPLATE),
    "FastAPI, in a thread": (lambda: fastapi_app(in_thread), "asgi3", TEMPLATE),
    "FastAPI, a dependency": (lambda: fastapi_app(depending), "asgi3", TEMPLATE),
    "Starlette, mounted": (lambda: STARLETTE, "asgi3", TEMPLATE),
    "Starlette, a middleware, before there is a route": (lambda: EARLY, "asgi3", "web"),
    "Django over ASGI": (ASGIHandler, "asgi3", "GET /v1/items/<int:number>"),
    "Django over WSGI": (WSGIHandler, "wsgi", "GET /v1/items/<int:number>"),
    "Flask": (flask_app, "wsgi", "GET /v1/items/<int:number>"),
}


@pytest.fixture
def django_urls() -> Any:
    if not django_settings.configured:
        django_settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None)
        django.setup(set_prefix=False)
    with override_settings(ROOT_URLCONF=URLS, MIDDLEWARE=[]):
        yield
    with warnings.catch_warnings():  # what Django leaves open where a view fails
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def asked(app: Any, interface: Any, at: str) -> list[str]:
    async def test(served: Served) -> None:
        served.edge.state.hosts_services = True
        client = await served.client()
        await client.ask(at)
        await client.head()
        # A request that is cut off leaves its body to the garbage.
        async with asyncio.timeout(WAIT_SECONDS):
            while served.edge.in_flight:
                await asyncio.sleep(0)

    watch_frameworks()
    callers.clear()
    serve(test, app, interface, log_level="warning")
    return callers


@pytest.mark.usefixtures("django_urls")
@pytest.mark.parametrize("name", APPS)
def test_a_call_within_a_request_comes_from_its_route(name: str) -> None:
    make, interface, caller = APPS[name]
    assert asked(make(), interface, "/v1/items/7") == [caller]
    assert is_edge(caller)


@pytest.mark.usefixtures("django_urls")
def test_async_views_of_django_have_a_route_as_well() -> None:
    assert asked(ASGIHandler(), "asgi3", "/a/items/7") == ["GET /a/items/<int:number>"]


def test_a_path_is_a_route_once_requests_to_it_were_served() -> None:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            note()
            await answer(send, 404 if scope["path"] == "/guess" else 200, b"")

    async def test(served: Served) -> None:
        served.edge.state.hosts_services = True
        client = await served.client()
        for at in ("/trees/7", "/guess", "/guess", "/trees/8"):
            await client.ask(at)
            await client.head()
        await client.ask("/trees/9", method="POST")
        await client.head()

    callers.clear()
    serve(test, app)
    assert callers == ["web", "web", "web", "GET /trees/{}", "web"]


def test_a_call_outside_of_requests_comes_from_the_edge() -> None:
    assert (edge_name(), is_edge(edge_name())) == ("edge", True)


@pytest.mark.parametrize("operation", ["Orders.place", "made.<locals>.Orders.place"])
def test_an_operation_is_no_edge(operation: str) -> None:
    assert not is_edge(operation)
