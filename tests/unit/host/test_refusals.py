"""A service that refuses a call makes the edge answer 503, in any framework, without user code."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
from collections.abc import Callable
from typing import Any

import django
import flask
import pytest
from django.conf import settings as django_settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import override_settings
from django.urls import path
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Route

from outgrow.errors import (
    CallError,
    DeadlineExceededError,
    OverloadedError,
    RemoteError,
    UnavailableError,
)
from outgrow.host.arrival import arrival, came_of, note_refusal
from outgrow.host.failing import watch_failures
from tests.unit.host.serving import Served, answer, serve

FULL = "orders has 256 calls to answer"


def call() -> Any:
    """What a call of a service does that is overloaded."""
    error = OverloadedError(FULL, retry_after_seconds=2.5)
    note_refusal(error)
    raise error


async def call_async() -> Any:
    return call()


async def call_in_task(*_: Any) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(call_async())


def raw_app(serving: Callable[[], Any]) -> Any:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            found = await serving()
            await answer(send, found or 200, b"served")

    return app


def fastapi_app(view: Callable[..., Any]) -> FastAPI:
    app = FastAPI()
    app.get("/")(view)
    return app


def starlette_app(*middleware: Middleware) -> Starlette:
    return Starlette(routes=[Route("/", call_in_task)], middleware=middleware)


async def passed_on(request: Any, call_next: Any) -> Any:
    return await call_next(request)


def flask_app(view: Callable[..., Any] = call) -> flask.Flask:
    app = flask.Flask("shop")
    app.add_url_rule("/", view_func=view)
    return app


def django_view(_request: Any) -> Any:
    return call()


async def django_async_view(_request: Any) -> Any:
    return await call_async()


URLS = (path("", django_view), path("async", django_async_view))


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


def response_of(app: Any, interface: Any = "asgi3", at: str = "/") -> tuple[int, dict[str, str]]:
    """Status and headers of an app in a process that hosts services."""
    found: list[tuple[int, dict[str, str]]] = []

    async def test(served: Served) -> None:
        served.edge.state.hosts_services = True
        client = await served.client()
        await client.ask(at, "Connection: close")
        found.append(await client.head())
        await client.rest()
        await served.until(lambda: not served.edge.in_flight)

    serve(test, app, interface, log_level="warning")
    return found[0]


# Made when the test runs: Django's need its settings.
APPS: dict[str, Callable[[], tuple[Any, str, str]]] = {
    "plain ASGI": lambda: (raw_app(call_async), "asgi3", "/"),
    "FastAPI, async": lambda: (fastapi_app(call_async), "asgi3", "/"),
    "FastAPI, in a thread": lambda: (fastapi_app(call), "asgi3", "/"),
    "Starlette, from a task group": lambda: (starlette_app(), "asgi3", "/"),
    "Starlette, behind a middleware that starts tasks": lambda: (
        starlette_app(Middleware(BaseHTTPMiddleware, dispatch=passed_on)),
        *("asgi3", "/"),
    ),
    "Django over ASGI, in a thread": lambda: (ASGIHandler(), "asgi3", "/"),
    "Django over ASGI, async": lambda: (ASGIHandler(), "asgi3", "/async"),
    "Django over WSGI": lambda: (WSGIHandler(), "wsgi", "/"),
    "Django over WSGI, async": lambda: (WSGIHandler(), "wsgi", "/async"),
    "Flask": lambda: (flask_app(), "wsgi", "/"),
}


@pytest.mark.usefixtures("django_urls")
@pytest.mark.parametrize("name", APPS)
def test_an_overloaded_service_is_a_503_in_every_framework(name: str) -> None:
    status, headers = response_of(*APPS[name]())
    assert (status, headers.get("retry-after")) == (503, "3")


@pytest.mark.parametrize(
    ("error", "status", "seconds"),
    [
        pytest.param(OverloadedError("", retry_after_seconds=0), 503, "1", id="overloaded"),
        pytest.param(
            OverloadedError("", retry_after_seconds=float("inf")), 503, "3600", id="for very long"
        ),
        pytest.param(UnavailableError(""), 503, "1", id="unavailable"),
        pytest.param(DeadlineExceededError(""), 504, None, id="too late"),
        pytest.param(RemoteError(""), 500, None, id="an error of the service itself"),
    ],
)
def test_each_error_of_a_call_has_its_status(
    error: CallError, status: int, seconds: str | None
) -> None:
    async def serving() -> None:
        note_refusal(error)
        raise error

    found, headers = response_of(raw_app(serving))
    assert (found, headers.get("retry-after")) == (status, seconds)


def test_an_app_that_deals_with_the_error_itself_is_not_overruled() -> None:
    async def serving() -> int:
        try:
            call()
        except OverloadedError:
            return 409
        return 200

    status, headers = response_of(raw_app(serving))
    assert (status, headers.get("retry-after")) == (409, None)


@pytest.mark.parametrize("behind", [raw_app, fastapi_app])
def test_another_error_after_a_refusal_stays_a_500(
    behind: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def serving() -> None:
        with contextlib.suppress(OverloadedError):
            call()
        raise ValueError("a mistake in what should have helped")

    assert response_of(behind(serving))[0] == 500
    assert "a mistake in what should have helped" in caplog.text


def mistake(*_: Any) -> Any:
    """A view that has dealt with a refusal, and then errs."""
    with contextlib.suppress(OverloadedError):
        call()
    raise ValueError("a mistake in what should have helped")


async def mistake_async(*_: Any) -> Any:
    return mistake()


def refused(*_: Any) -> Any:
    """A view that lets a refusal pass."""
    return call()


def another(*_: Any) -> Any:
    """A view whose error came of the refusal."""
    try:
        call()
    except OverloadedError as refusal:
        raise RuntimeError("no order") from refusal


FAILING: dict[str, tuple[Callable[[Any], Any], str]] = {
    "Flask": (flask_app, "wsgi"),
    "Django over WSGI": (lambda _: WSGIHandler(), "wsgi"),
    "Django over ASGI": (lambda _: ASGIHandler(), "asgi3"),
}


@pytest.mark.parametrize(
    ("view", "status"),
    [
        pytest.param(mistake, 500, id="another error"),
        pytest.param(another, 503, id="an error that came of it"),
        pytest.param(refused, 503, id="the refusal itself"),
    ],
)
@pytest.mark.parametrize("name", FAILING)
def test_in_threads_too_only_what_came_of_a_refusal_is_one(
    name: str, view: Callable[..., Any], status: int
) -> None:
    make, interface = FAILING[name]
    if not django_settings.configured:
        django_settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None)
        django.setup(set_prefix=False)
    with override_settings(ROOT_URLCONF=(path("", view),), MIDDLEWARE=[]):
        watch_failures()
        assert response_of(make(view), interface)[0] == status


@pytest.mark.usefixtures("django_urls")
def test_an_async_view_of_django_that_errs_after_a_refusal_is_a_500() -> None:
    with override_settings(ROOT_URLCONF=(path("", mistake_async),)):
        watch_failures()
        assert response_of(ASGIHandler())[0] == 500


def test_refusals_are_logged_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    assert response_of(fastapi_app(call_async), at="/?page=2")[0] == 503
    assert caplog.messages == [f"GET /?page=2: {FULL}"]
    assert not any(record.exc_info for record in caplog.records)


def test_a_refused_client_keeps_its_connection() -> None:
    async def test(served: Served) -> None:
        served.edge.state.hosts_services = True
        client = await served.client()
        for _ in range(2):
            await client.ask()
            assert (await client.response())[0] == 503

    serve(test, fastapi_app(call_async))


def test_a_refusal_is_counted_as_what_was_answered() -> None:
    async def test(served: Served) -> None:
        served.edge.state.hosts_services = True
        client = await served.client()
        await client.ask()
        await client.head()
        await served.until(lambda: served.edge.requests_total == 1)

    assert serve(test, fastapi_app(call_async)).calls() == {"GET /": (1, 1, 0)}


def test_each_request_has_an_arrival_of_its_own() -> None:
    seen: list[Any] = []

    async def serving() -> None:
        seen.append(arrival.get())

    async def test(served: Served) -> None:
        served.edge.state.hosts_services = True
        client = await served.client()
        for _ in range(2):
            await client.ask()
            await client.response()
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        for _ in range(2):
            await client.response()

    serve(test, raw_app(serving))
    assert len({id(one) for one in seen}) == 4
    assert all(one.begun_ns > 0 for one in seen)


def test_work_that_a_request_leaves_behind_keeps_its_own_arrival() -> None:
    seen: list[Any] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            seen.append(arrival.get())
            await answer(send, 200, b"served")
            seen.append(arrival.get())

    async def test(served: Served) -> None:
        served.edge.state.hosts_services = True
        client = await served.client()
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        for _ in range(2):
            await client.response()
        await served.until(lambda: len(seen) == 4)

    serve(test, app)
    assert seen[0] is seen[1] is not seen[2] is seen[3]


def test_without_services_nothing_is_noted() -> None:
    async def test(served: Served) -> None:
        client = await served.client()
        await client.ask()
        assert (await client.head())[0] == 500

    serve(test, raw_app(call_async))
    note_refusal(OverloadedError(FULL))
    assert arrival.get() is None


def test_what_came_of_a_refusal_is_found_through_causes_and_groups() -> None:
    refusal, other = OverloadedError(FULL), ValueError("other")
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = refusal
    assert came_of(refusal, refusal)
    assert came_of(wrapped, refusal)
    assert came_of(ExceptionGroup("two", [other, wrapped]), refusal)
    assert not came_of(ExceptionGroup("one", [other]), refusal)
    other.__context__, wrapped.__context__, wrapped.__cause__ = wrapped, other, None
    assert not came_of(other, refusal)
