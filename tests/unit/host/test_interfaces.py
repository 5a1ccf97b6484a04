"""What kind of app something is, by its look."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import flask
import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Router, request_response

from outgrow.host.app import interface_of
from outgrow.model import Interface


async def asgi3(scope: Any, receive: Any, send: Any) -> None: ...


async def asgi3_other_names(first: Any, second: Any, third: Any) -> None: ...


async def asgi3_with_option(scope: Any, receive: Any, send: Any, debug: bool = False) -> None: ...


async def asgi3_keyword_only(
    scope: Any, receive: Any, send: Any, *, debug: bool = False
) -> None: ...


async def asgi3_open(*arguments: Any) -> None: ...


def asgi3_returns_coroutine(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
    return asgi3(scope, receive, send)


async def needs_more(scope: Any, receive: Any, send: Any, database: Any) -> None: ...


def asgi2(scope: Any) -> Callable[..., Awaitable[None]]:
    return functools.partial(asgi3, scope)


def wsgi(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    return [b""]


def wsgi_short_names(env: dict[str, Any], start: Any) -> Iterable[bytes]:
    return [b""]


def wsgi_generator(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield b""


def wrapped(app: Any) -> Any:
    @functools.wraps(app)
    def call(*arguments: Any, **named: Any) -> Any:
        return app(*arguments, **named)

    return call


def wrapped_async(app: Any) -> Any:
    async def call(*arguments: Any) -> None:
        await app(*arguments)

    return call


class Asgi3Instance:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class Asgi3Class:
    def __init__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def __await__(self) -> Iterator[Any]:
        return iter(())


class Asgi2Class:
    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None: ...


class WsgiClass:
    def __init__(self, environ: dict[str, Any], start_response: Any) -> None: ...

    def __iter__(self) -> Iterator[bytes]:
        return iter(())


class WsgiInstance:
    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return [b""]


class Methods:
    async def serve(self, scope: Any, receive: Any, send: Any) -> None: ...

    def serve_wsgi(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return [b""]

    @staticmethod
    async def static(scope: Any, receive: Any, send: Any) -> None: ...

    @classmethod
    async def of_class(cls, scope: Any, receive: Any, send: Any) -> None: ...


async def endpoint(_request: Request) -> Response:
    return PlainTextResponse("")


SHAPES: dict[str, tuple[Any, Interface | None]] = {
    "a coroutine function": (asgi3, "asgi3"),
    "a coroutine function with other names": (asgi3_other_names, "asgi3"),
    "a coroutine function with an option": (asgi3_with_option, "asgi3"),
    "a coroutine function with a named option": (asgi3_keyword_only, "asgi3"),
    "a coroutine function of any arguments": (asgi3_open, "asgi3"),
    "a function that returns a coroutine": (asgi3_returns_coroutine, "asgi3"),
    "a lambda of scope, receive and send": (lambda scope, receive, send: None, "asgi3"),
    "an instance with an async call": (Asgi3Instance(), "asgi3"),
    "a class to await": (Asgi3Class, "asgi3"),
    "a bound method": (Methods().serve, "asgi3"),
    "a static method": (Methods.static, "asgi3"),
    "a class method": (Methods.of_class, "asgi3"),
    "a decorated coroutine function": (wrapped(asgi3), "asgi3"),
    "a decorated instance": (wrapped_async(Asgi3Instance()), "asgi3"),
    "a partial": (functools.partial(asgi3_with_option, debug=True), "asgi3"),
    "a partial that fills a name": (functools.partial(needs_more, database=1), "asgi3"),
    "a partial of a partial": (
        functools.partial(functools.partial(needs_more, database=1)),
        "asgi3",
    ),
    "a partial of an instance": (functools.partial(Asgi3Instance()), "asgi3"),
    "Starlette": (Starlette(), "asgi3"),
    "a Starlette router": (Router(), "asgi3"),
    "a Starlette endpoint": (request_response(endpoint), "asgi3"),
    "a middleware around Starlette": (GZipMiddleware(Starlette()), "asgi3"),
    "FastAPI": (FastAPI(), "asgi3"),
    "Django's ASGI handler": (ASGIHandler, "asgi3"),
    "a function of scope": (asgi2, "asgi2"),
    "a class of scope": (Asgi2Class, "asgi2"),
    "a lambda of scope": (lambda scope: None, "asgi2"),
    "a WSGI function": (wsgi, "wsgi"),
    "a WSGI function with short names": (wsgi_short_names, "wsgi"),
    "a WSGI generator": (wsgi_generator, "wsgi"),
    "a WSGI lambda": (lambda environ, start_response: [], "wsgi"),
    "a WSGI class": (WsgiClass, "wsgi"),
    "a WSGI instance": (WsgiInstance(), "wsgi"),
    "a WSGI method": (Methods().serve_wsgi, "wsgi"),
    "a decorated WSGI function": (wrapped(wsgi), "wsgi"),
    "a WSGI partial": (functools.partial(wsgi), "wsgi"),
    "Flask": (flask.Flask("shop"), "wsgi"),
    "Django's WSGI handler": (WSGIHandler, "wsgi"),
    "a function of anything": (lambda *_arguments: None, None),
    "a function of two unknown things": (lambda left, right: None, None),
    "a function of one unknown thing": (lambda request: None, None),
    "a function of four things": (lambda one, two, three, four: None, None),
    "a sync function of three unknown things": (lambda one, two, three: None, None),
}


@pytest.mark.parametrize(("app", "interface"), SHAPES.values(), ids=SHAPES.keys())
def test_the_interface_of_an_app_is_seen_from_its_look(app: Any, interface: str | None) -> None:
    if app in (ASGIHandler, WSGIHandler):
        app = app.__new__(app)  # making one would need Django's settings
    assert interface_of(app) == interface
