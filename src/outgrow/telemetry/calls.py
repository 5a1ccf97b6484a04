"""Every request counted: by route, with errors, latency and time on the event loop.

`CountedApp` wraps an ASGI app. What it keeps are totals that only grow, so a window is the
difference of two snapshots, and a lost snapshot costs resolution but never a count.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import msgspec

from outgrow.telemetry.histogram import bucket_of
from outgrow.telemetry.routes import route_of
from outgrow.telemetry.steps import Steps

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

ROUTES_MAX = 256
OTHER_ROUTE = "(other)"
_METERED_ONE_IN = 8


class RouteTotals(msgspec.Struct):
    """What one route has done since its worker started.

    Attributes:
        method: HTTP method, or WEBSOCKET.
        route: Template such as `/items/{id}`.
        calls: Requests that ended.
        errors: Of these, how many ended with a status of 500 or more or an exception.
        duration_ns: Sum of the time from complete headers to the last byte of the response.
        metered: Requests whose steps on the event loop were timed (one in eight).
        loop_ns: Sum of these steps; for a WSGI app, CPU time of its threads.
        buckets: Requests by bucket of their duration, see `histogram`.
    """

    method: str
    route: str
    calls: int = 0
    errors: int = 0
    duration_ns: int = 0
    metered: int = 0
    loop_ns: int = 0
    buckets: dict[int, int] = msgspec.field(default_factory=dict[int, int])


class CallCounter:
    """The totals of one worker."""

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], RouteTotals] = {}
        self.started = 0
        self.in_flight = 0

    def totals_for(self, method: str, route: str) -> RouteTotals:
        """The totals of this route; past 256 routes, those of `(other)`."""
        totals = self.routes.get((method, route))
        if totals is None:
            if len(self.routes) >= ROUTES_MAX:
                method, route = "*", OTHER_ROUTE
            totals = self.routes.setdefault((method, route), RouteTotals(method, route))
        return totals

    def record(self, scope: Scope, status: int, duration_ns: int, loop_ns: int | None) -> None:
        """Count one request that ended.

        Args:
            scope: Its ASGI scope, as the app left it.
            status: Its HTTP status; 500 where none was sent.
            duration_ns: From complete headers to the last byte.
            loop_ns: Its time on the event loop, where that was metered.
        """
        method = scope["method"] if scope["type"] == "http" else "WEBSOCKET"
        totals = self.totals_for(method, route_of(scope, status))
        totals.calls += 1
        totals.duration_ns += duration_ns
        if status >= 500:
            totals.errors += 1
        bucket = bucket_of(duration_ns)
        buckets = totals.buckets
        buckets[bucket] = buckets.get(bucket, 0) + 1
        if loop_ns is not None:
            totals.metered += 1
            totals.loop_ns += loop_ns


class CountedApp:
    """An ASGI app that counts the requests to the app it wraps, and changes nothing else."""

    def __init__(self, app: App, counter: CallCounter) -> None:
        self.app = app
        self.counter = counter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on; count it when it ends."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        counter = self.counter
        counter.started += 1
        counter.in_flight += 1
        steps = Steps() if counter.started % _METERED_ONE_IN == 0 else None
        status = 500
        ended = 0
        begun = perf_counter_ns()

        # Not a coroutine: the one that `send` makes is awaited directly, which saves a frame.
        def counted_send(message: Message) -> Awaitable[None]:
            nonlocal status, ended
            kind = message["type"]
            if kind == "http.response.body":
                # Background work of the app may follow; the client's wait is over here.
                if not message.get("more_body"):
                    ended = perf_counter_ns()
            elif kind == "http.response.start":
                status = message["status"]
            elif kind == "websocket.accept":
                status = 101
            elif kind == "websocket.close" and status == 500:
                status = 403
            return send(message)

        try:
            if steps is None:
                await self.app(scope, receive, counted_send)
            else:
                await steps.of(self.app(scope, receive, counted_send))
        except BaseException:
            status = 500
            raise
        finally:
            counter.in_flight -= 1
            counter.record(
                scope,
                status,
                (ended or perf_counter_ns()) - begun,
                steps.total_ns if steps is not None else scope.get("outgrow.loop_ns"),
            )
        return None
