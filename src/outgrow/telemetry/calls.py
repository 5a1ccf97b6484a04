"""Every request counted: by route, with errors, latency and time on the event loop.

What is kept are totals that only grow, so a window is the difference of two snapshots, and a lost
snapshot costs resolution but never a count. A request pays for a look-up and some additions.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from outgrow.telemetry.arrivals import ArrivalBook, Arrivals
from outgrow.telemetry.histogram import bucket_of
from outgrow.telemetry.routes import ROUTE_KEY, route_of
from outgrow.telemetry.steps import LOOP_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from outgrow.telemetry.keeping import Keeper, Sieve
    from outgrow.telemetry.traces import Segment

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]
    # The last keeps alive what the others are found by.
    _Known = tuple["RouteTotals", Sieve | None, ArrivalBook, object]

ROUTES_MAX = 256
OTHER_ROUTE = "(other)"
_KNOWN_MAX = 4096
_PATH_CHARACTERS_MAX = 200


class RouteTotals(msgspec.Struct):
    """What one route has done since its worker started.

    Attributes:
        method: HTTP method, or WEBSOCKET.
        route: Template such as `/items/{id}`.
        calls: Requests that ended.
        errors: Of these, how many ended with a status of 500 or more, or were left in the middle of
            their response by an app that failed.
        timeouts: Of these, how many ended with 504, as a deadline was over.
        client_errors: Of `calls`, how many ended with a status of 400 to 499.
        cut_off: Of `calls`, how many ended without a whole response: the client left, or a drain
            ended it.
        duration_ns: Sum of the time from complete headers to the last byte of the response.
        metered: Requests whose steps on the event loop were timed.
        loop_ns: Sum of these steps; for a WSGI app, CPU time of its threads.
        wait_ns: Of `duration_ns`, what passed before the app began with them.
        received_bytes: Of their bodies.
        sent_bytes: Of the bodies of their responses.
        buckets: Requests by bucket of their duration, see `histogram`.
    """

    method: str
    route: str
    calls: int = 0
    errors: int = 0
    timeouts: int = 0
    client_errors: int = 0
    cut_off: int = 0
    duration_ns: int = 0
    metered: int = 0
    loop_ns: int = 0
    wait_ns: int = 0
    received_bytes: int = 0
    sent_bytes: int = 0
    buckets: dict[int, int] = msgspec.field(default_factory=dict[int, int])


class Carried(Protocol):
    """What one request carried.

    Attributes:
        wait_ns: Of its duration, what passed before the app began with it.
        received_bytes: Of its body.
        sent_bytes: Of the body of its response.
    """

    wait_ns: int
    received_bytes: int
    sent_bytes: int


class CallCounter:
    """The totals of one worker.

    Args:
        keeper: Decides which traces are kept; None where there are none.

    Attributes:
        routes: Totals by method and template; at most 256, then `(other)`.
    """

    def __init__(self, keeper: Keeper | None = None) -> None:
        self._keeper = keeper
        self.routes: dict[tuple[str, str], RouteTotals] = {}
        # By what identifies a route most cheaply. Holds the objects too, or their ids could recur.
        self._known: dict[tuple[object, ...], _Known] = {}
        self._arrivals: dict[tuple[str, str], ArrivalBook] = {}

    def ended(
        self,
        scope: Scope,
        method: str,
        status: int,
        duration_ns: int,
        segment: Segment | None = None,
        carried: Carried | None = None,
    ) -> None:
        """Count one request that ended.

        Args:
            scope: Its ASGI scope, as the app left it.
            method: Its HTTP method, or WEBSOCKET.
            status: Its HTTP status; 0 where it got no whole response, but 500 where its app is to
                blame for that.
            duration_ns: From complete headers to the last byte.
            segment: Its part of a trace, which ends as well; None where nothing is recorded.
            carried: What it carried; None where that is not known, as of a WebSocket.
        """
        route: Any = scope.get("route")
        if route is None:
            path = scope.get(ROUTE_KEY) or scope["path"]
            key = (path if len(path) <= _PATH_CHARACTERS_MAX else "", method, status == 404)
        else:
            included: Any = scope.get("fastapi")
            context = included.get("effective_route_context") if included else None
            # The same route may be mounted in several places.
            key = (id(context or route), method, scope.get("root_path"))
        known = self._known.get(key)
        if known is None:
            known = self._meet(key, scope, method, status, route)
        totals = known[0]
        totals.calls += 1
        totals.duration_ns += duration_ns
        if carried is not None:
            totals.wait_ns += carried.wait_ns
            totals.received_bytes += carried.received_bytes
            totals.sent_bytes += carried.sent_bytes
        if status >= 400:
            if status < 500:
                totals.client_errors += 1
            else:
                totals.errors += 1
                totals.timeouts += status == 504
        elif status == 0:
            totals.cut_off += 1
        bucket = bucket_of(duration_ns)
        buckets = totals.buckets
        buckets[bucket] = buckets.get(bucket, 0) + 1
        loop_ns = scope.get(LOOP_KEY)
        if loop_ns is not None:
            totals.metered += 1
            totals.loop_ns += loop_ns
        if segment is not None and known[1] is not None:
            known[2].came(segment.begun_ns)
            known[1].end(segment, segment.begun_ns + duration_ns, status, method)

    def routes_now(self) -> list[RouteTotals]:
        """The totals of all routes; from any thread."""
        return list(self.routes.values())

    def arrivals(self, *, is_last: bool) -> list[Arrivals]:
        """How evenly the requests of each route came, up to some seconds ago; for one thread.

        Only while traces are recorded.

        Args:
            is_last: Up to now, as nothing more comes.
        """
        return [book.close(is_last=is_last) for book in list(self._arrivals.values())]

    @property
    def calls(self) -> int:
        """Requests that ended, over all routes."""
        return sum(totals.calls for totals in list(self.routes.values()))

    def _meet(
        self,
        key: tuple[object, ...],
        scope: Scope,
        method: str,
        status: int,
        route: object,
    ) -> _Known:
        """Find the totals of a route seen for the first time, and remember the way to them."""
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        kept = (route, scope.get("fastapi", {}).get("effective_route_context"))
        totals = self._totals_of(method, route_of(scope, status))
        sieve = None
        if self._keeper is not None:
            sieve = self._keeper.sieve(f"{totals.method} {totals.route}")
        known = (totals, sieve, self._arrivals_of(totals), kept)
        self._known[key] = known
        return known

    def _totals_of(self, method: str, route: str) -> RouteTotals:
        totals = self.routes.get((method, route))
        if totals is None:
            if len(self.routes) >= ROUTES_MAX:
                method, route = "*", OTHER_ROUTE
            totals = self.routes.setdefault((method, route), RouteTotals(method, route))
        return totals

    def _arrivals_of(self, totals: RouteTotals) -> ArrivalBook:
        key = (totals.method, totals.route)
        if key not in self._arrivals:
            self._arrivals[key] = ArrivalBook(f"{totals.method} {totals.route}")
        return self._arrivals[key]


class CountedWebSockets:
    """An ASGI app that counts the WebSockets to the app it wraps, and changes nothing else.

    HTTP requests are counted by the protocol, which is cheaper. A WebSocket counts when it closes,
    as what its client got: 101 where it was accepted, 500 where the app failed before it was over,
    0 where the client left before there was an answer. Its duration is how long it was open.

    Args:
        app: The app.
        counter: Counts them.
        begin: Begins the segment of a trace, of its headers and the moment.
    """

    def __init__(
        self,
        app: App,
        counter: CallCounter,
        begin: Callable[[Any, int], Segment | None] | None = None,
    ) -> None:
        self.app = app
        self.counter = counter
        self._begin = begin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the call on; count it when it ends."""
        if scope["type"] != "websocket":
            return await self.app(scope, receive, send)
        begun = perf_counter_ns()
        segment = self._begin(scope["headers"], begun) if self._begin is not None else None
        status, is_over = 0, False

        async def noting_receive() -> Message:
            nonlocal is_over
            message = await receive()
            is_over |= message["type"] == "websocket.disconnect"
            return message

        async def noting_send(message: Message) -> None:
            nonlocal status, is_over
            status = status or _web_socket_status(message)
            try:
                await send(message)
            except OSError:  # the client has left
                is_over = True
                raise

        try:
            await self.app(scope, noting_receive, noting_send)
        except Exception:
            status = status if is_over else 500
            raise
        finally:
            if not (status or is_over):
                status = 500  # it was left without an answer, and the server gives this one
            spent_ns = perf_counter_ns() - begun
            self.counter.ended(scope, "WEBSOCKET", status, spent_ns, segment)
        return None


def _web_socket_status(message: Message) -> int:
    """The status with which a message of the app answers a WebSocket; 0 where it does not."""
    if message["type"] == "websocket.http.response.start":
        return message["status"]
    return {"websocket.accept": 101, "websocket.close": 403}.get(message["type"], 0)
