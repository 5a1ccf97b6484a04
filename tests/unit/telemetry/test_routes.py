"""Requests are counted by the template that the framework routed them by."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import django
import flask
import pytest
from django.conf import settings as django_settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse
from django.test.utils import override_settings
from django.urls import include, path
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from outgrow.host.wsgi import wsgi_as_asgi
from outgrow.telemetry import CallCounter, watch_frameworks
from outgrow.telemetry.calls import OTHER_ROUTE, ROUTES_MAX
from tests.unit.telemetry.asking import asked


def answer(_request: Any, **_parameters: object) -> Any:
    return PlainTextResponse(b"fine")


def answer_django(_request: Any, **_parameters: object) -> HttpResponse:
    return HttpResponse(b"fine")


def plain_scope(path: str) -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": path, "root_path": ""}


ORDERS = [Route("/orders/{id:int}", answer)]


def starlette_app() -> Starlette:
    return Starlette(
        routes=[
            Route("/items/{id}", answer),
            Mount("/shop", routes=ORDERS),
            Mount("/deep", routes=[Mount("/deeper", routes=ORDERS)]),
        ]
    )


def test_starlette_routes_are_counted_by_template() -> None:
    assert asked(starlette_app(), "/items/1", "/items/2") == ["GET /items/{id} 2"]


@pytest.mark.parametrize("prefix", ["/shop", "/deep/deeper"])
def test_a_mounted_route_has_the_prefix_of_its_mount(prefix: str) -> None:
    assert asked(starlette_app(), f"{prefix}/orders/7") == [f"GET {prefix}/orders/{{id}} 1"]


def test_a_path_under_a_proxy_does_not_change_the_template() -> None:
    routes = asked(starlette_app(), "/api/shop/orders/7", root_path="/api")
    assert routes == ["GET /shop/orders/{id} 1"]


def test_a_method_that_is_not_allowed_is_counted_with_the_route() -> None:
    assert asked(starlette_app(), "/items/1", method="POST") == ["POST /items/{id} 1"]


def test_unknown_paths_are_one_route() -> None:
    assert asked(starlette_app(), "/a", "/b.php", "/wp/c") == ["GET (not found) 3"]


def test_the_same_routes_mounted_twice_are_counted_apart() -> None:
    app = Starlette(routes=[Mount("/v1", routes=ORDERS), Mount("/v2", routes=ORDERS)])
    routes = asked(app, "/v1/orders/1", "/v2/orders/1")
    assert routes == ["GET /v1/orders/{id} 1", "GET /v2/orders/{id} 1"]


def test_a_mount_with_a_parameter_is_counted_by_template() -> None:
    app = Starlette(routes=[Mount("/of/{tenant}", routes=ORDERS)])
    assert asked(app, "/of/acme/orders/1") == ["GET /of/{tenant}/orders/{id} 1"]


def test_an_app_that_is_no_router_is_counted_by_its_mount(tmp_path: Path) -> None:
    (tmp_path / "page.css").write_text("x")
    app = Starlette(routes=[Mount("/static", app=StaticFiles(directory=tmp_path))])
    assert asked(app, "/static/none.css") == ["GET /static/{path} 1"]


def fastapi_app() -> FastAPI:
    router = APIRouter(prefix="/items")

    @router.get("/{number}")
    def item(number: int) -> int:
        return number

    outer = APIRouter()
    outer.include_router(router, prefix="/deep")
    inner = FastAPI()
    inner.include_router(router)
    app = FastAPI()
    app.include_router(router, prefix="/a")
    app.include_router(router, prefix="/b")
    app.include_router(outer)
    app.mount("/inner", inner)
    return app


def test_the_prefixes_of_included_routers_are_part_of_the_route() -> None:
    routes = asked(fastapi_app(), "/a/items/1", "/b/items/1", "/b/items/2", "/deep/items/1")
    assert routes == [
        "GET /a/items/{number} 1",
        "GET /b/items/{number} 2",
        "GET /deep/items/{number} 1",
    ]


def test_a_mounted_fastapi_app_has_the_prefix_of_its_mount() -> None:
    assert asked(fastapi_app(), "/inner/items/1") == ["GET /inner/items/{number} 1"]


def test_a_request_that_is_not_valid_is_counted_with_its_route() -> None:
    assert asked(fastapi_app(), "/a/items/x") == ["GET /a/items/{number} 1"]


def flask_app() -> flask.Flask:
    app = flask.Flask("shop")
    app.add_url_rule("/items/<int:number>", view_func=json.dumps)
    return app


def test_flask_routes_are_counted_by_rule_once_flask_is_watched() -> None:
    watch_frameworks()
    app = wsgi_as_asgi(flask_app(), 1)
    assert asked(app, "/items/1", "/items/2") == ["GET /items/<int:number> 2"]
    assert asked(app, "/none") == ["GET (not found) 1"]


@pytest.fixture
def django_urls() -> Any:
    if not django_settings.configured:
        django_settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None)
        django.setup(set_prefix=False)
    inner = ([path("<int:number>/", answer_django)], "inner")
    urls = (path("items/<int:number>/", answer_django), path("shop/", include(inner)))
    watch_frameworks()
    with override_settings(ROOT_URLCONF=urls, MIDDLEWARE=[]):
        yield


@pytest.mark.usefixtures("django_urls")
@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_django_routes_are_counted_by_pattern(kind: str) -> None:
    app = ASGIHandler() if kind == "asgi" else wsgi_as_asgi(WSGIHandler(), 1)
    routes = asked(app, "/items/1/", "/items/2/", "/shop/3/")
    assert routes == ["GET /items/<int:number>/ 2", "GET /shop/<int:number>/ 1"]


@pytest.mark.usefixtures("django_urls")
def test_a_path_that_django_does_not_know_is_not_found() -> None:
    assert asked(ASGIHandler(), "/nothing/") == ["GET (not found) 1"]


def test_frameworks_can_be_watched_twice() -> None:
    watch_frameworks()
    watch_frameworks()
    assert asked(wsgi_as_asgi(flask_app(), 1), "/items/1") == ["GET /items/<int:number> 1"]


@pytest.mark.parametrize(
    ("path", "route"),
    [
        pytest.param("/about/team", "/about/team", id="words"),
        pytest.param("/items/17", "/items/{}", id="a number"),
        pytest.param("/x/550e8400-e29b-41d4-a716-446655440000", "/x/{}", id="a UUID"),
        pytest.param("/x/deadbeefcafe", "/x/{}", id="hexadecimal"),
        pytest.param("/x/a@b.example", "/x/{}", id="a mail address"),
        pytest.param("/x/" + "y" * 40, "/x/{}", id="a long word"),
        pytest.param("/a/b/c/d/e/f/g/h/i/j", "/a/b/c/d/e/f/g/...", id="a deep path"),
        pytest.param("/", "/", id="the root"),
    ],
)
def test_a_path_without_a_template_is_made_general(path: str, route: str) -> None:
    counter = CallCounter()
    counter.ended(plain_scope(path), "GET", 200, 1)
    assert list(counter.routes) == [("GET", route)]


def test_an_app_that_names_its_template_is_believed() -> None:
    counter = CallCounter()
    scope = plain_scope("/x/1") | {"path_template": "/x/{name:str}"}
    counter.ended(scope, "GET", 200, 1)
    assert list(counter.routes) == [("GET", "/x/{name:str}")]


def test_past_256_routes_all_others_are_one() -> None:
    counter = CallCounter()
    for number in range(10_000):
        letters = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        counter.ended(plain_scope(f"/{letters}z"), "GET", 200, 1)
    assert len(counter.routes) == ROUTES_MAX + 1
    assert counter.routes["*", OTHER_ROUTE].calls == 10_000 - ROUTES_MAX
    assert counter.calls == 10_000


def test_long_paths_of_strangers_take_no_memory() -> None:
    counter = CallCounter()
    tracemalloc.start()
    try:
        for number in range(300):
            counter.ended(plain_scope(f"/{number}" + "x" * 50_000), "GET", 404, 1)
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
    finally:
        tracemalloc.stop()
