"""A WSGI app as an ASGI app: run in threads by a2wsgi, its CPU time measured."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from a2wsgi import WSGIMiddleware

from outgrow.host.arrival import arrival
from outgrow.telemetry import LOOP_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


def wsgi_as_asgi(app: Callable[..., Any], threads: int) -> Callable[..., Any]:
    """Serve a WSGI app in a pool of threads.

    Args:
        app: The WSGI app.
        threads: Size of the pool; a further request waits for a free thread.
    """
    bridge: Any = WSGIMiddleware
    return bridge(_Timed(app), workers=threads)


_LATE_BODY = b"Service Unavailable"
_LATE_HEADERS = [
    ("content-type", "text/plain; charset=utf-8"),
    ("content-length", str(len(_LATE_BODY))),
    ("retry-after", "1"),
]


class _Timed:
    """Notes in the ASGI scope how much CPU time the thread spent on the request.

    It refuses one that waited too long for a thread.
    """

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        noted = arrival.get()
        if noted is not None and noted.is_late:
            start_response("503 Service Unavailable", _LATE_HEADERS)
            return [_LATE_BODY]
        begun = time.thread_time_ns()
        return _TimedBody(self.app(environ, start_response), environ, begun)


class _TimedBody:
    def __init__(self, body: Iterable[bytes], environ: dict[str, Any], begun: int) -> None:
        self.body = body
        self.environ = environ
        self.begun = begun

    def __iter__(self) -> Iterator[bytes]:
        yield from self.body
        # Before the response ends, not in `close`, which comes after: then it is counted already.
        scope = self.environ.get("asgi.scope")
        if scope is not None:
            scope[LOOP_KEY] = time.thread_time_ns() - self.begun

    def close(self) -> None:
        getattr(self.body, "close", lambda: None)()
