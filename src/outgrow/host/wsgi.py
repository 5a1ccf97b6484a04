"""A WSGI app as an ASGI app: run in threads by a2wsgi, its CPU time measured."""

from __future__ import annotations

import time
from copy import copy
from typing import TYPE_CHECKING, Any

from a2wsgi import WSGIMiddleware

from outgrow.host.arrival import arrival
from outgrow.host.line import Line
from outgrow.telemetry import LOOP_KEY, station_book

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from outgrow.telemetry import Visit

# In the scope: the request's use of a thread.
_VISIT_KEY = "outgrow.visit"


def wsgi_as_asgi(app: Callable[..., Any], threads: int) -> Callable[..., Any]:
    """Serve a WSGI app in a pool of threads.

    Args:
        app: The WSGI app.
        threads: Size of the pool; a further request waits for a free thread.
    """
    return _Threaded(app, threads)


class _Threaded:
    """Has a2wsgi serve requests; those that may not wait for ever stand in line before that."""

    def __init__(self, app: Callable[..., Any], threads: int) -> None:
        bridge: Any = WSGIMiddleware
        self._bridge = bridge(_Timed(app), workers=threads)
        self._line = Line(self._bridge.executor, threads)
        self._station = station_book.meet("threads wsgi", "threads", threads)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._bridge(scope, receive, send)
            return
        visit = scope[_VISIT_KEY] = self._station.visit(waits=True)
        try:
            await self._serve(scope, receive, send)
        finally:
            visit.give_up()

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        noted = arrival.get()
        if noted is None or not noted.late_ns:
            await self._bridge(scope, receive, send)
            return
        place = await self._line.place(noted)
        try:
            bridge = copy(self._bridge)
            bridge.executor = place  # so that the place is free once the thread is, not before
            await bridge(scope, receive, send)
        finally:
            place.give_back()


class _Timed:
    """Notes in the ASGI scope how much CPU time the thread spent on the request."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        begun = time.thread_time_ns()
        visit: Visit | None = environ.get("asgi.scope", {}).get(_VISIT_KEY)
        if visit is not None:
            visit.begin()
        try:
            return _TimedBody(self.app(environ, start_response), environ, begun, visit)
        except BaseException:
            if visit is not None:
                visit.end()
            raise


class _TimedBody:
    def __init__(
        self, body: Iterable[bytes], environ: dict[str, Any], begun: int, visit: Visit | None
    ) -> None:
        self.body = body
        self.environ = environ
        self.begun = begun
        self.visit = visit

    def __iter__(self) -> Iterator[bytes]:
        yield from self.body
        # Before the response ends, not in `close`, which comes after: then it is counted already.
        scope = self.environ.get("asgi.scope")
        if scope is not None:
            scope[LOOP_KEY] = time.thread_time_ns() - self.begun

    def close(self) -> None:
        try:
            getattr(self.body, "close", lambda: None)()
        finally:
            if self.visit is not None:
                self.visit.end()
