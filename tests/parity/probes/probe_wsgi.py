"""A WSGI app with a few routes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]
HIDDEN = ("wsgi.input", "wsgi.errors")


def app(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer by the first part of the path."""
    return ROUTES[environ["PATH_INFO"].split("/")[1]](environ, start_response)


def show(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    seen = {
        name: value if isinstance(value, str | int | bool | tuple) else type(value).__name__
        for name, value in environ.items()
        if name not in HIDDEN
    }
    start_response("200 OK", [("content-type", "text/plain")])
    return [repr(seen).encode()]


def echo(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    data = environ["wsgi.input"].read()
    start_response("201 Created", [("content-length", str(len(data))), ("X-One", "1")])
    return [data]


def lines(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [line.strip() + b"|" for line in environ["wsgi.input"]]


def parts(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [])
    yield b"one"
    yield b"two"


def raises(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    raise ValueError("the WSGI app raises")


def raises_late(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [])
    yield b"one"
    raise ValueError("the WSGI app raises late")


def writes(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    write = start_response("200 OK", [])
    write(b"written ")
    return [b"and returned"]


def thread(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [repr(threading.current_thread() is threading.main_thread()).encode()]


ROUTES = {
    route.__name__: route
    for route in (show, echo, lines, parts, raises, raises_late, writes, thread)
}
