"""uvicorn's HTTP protocol, with counting, limits on what a client may do, and a soft way to leave.

uvicorn's protocol has no limit on headers and no patience that ends; ours has both, kept by a sweep
over all connections twice a second, so that a request pays for none of it. Counting sits here, in
the request itself, since a wrapper around the app would cost twice as much.
"""

from __future__ import annotations

import logging
from contextvars import copy_context
from math import ceil
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote
from weakref import WeakSet

from httptools import parse_url
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from outgrow.host.arrival import Arrival, arrival
from outgrow.host.request import LINGER_BYTES_MAX, REFUSED, EdgeRequest
from outgrow.host.tracing import TraceHeaders, request_segment
from outgrow.telemetry import LOOP_KEY, Steps, recording

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sized

    from outgrow.model import Settings
    from outgrow.telemetry import CallCounter

WAIT_SECONDS = 0.5
_FOREVER_SECONDS = 1e9
_COMPLAINT_SECONDS = 1.0
_METERED_ONE_IN = 8
_CHUNK_FRAME_BYTES = 16
_LINGER_SECONDS = 2.0
_LINGER_BYTES = {408: 65_536, 413: LINGER_BYTES_MAX, 431: 1024 * 1024}
_HEEDED_NAMES = {b"expect", b"traceparent", b"tracestate"}
_FORWARDED_NAMES = {b"x-forwarded-for", b"x-forwarded-proto"}
_REASONS = {
    408: "Request Timeout",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}
_logger = logging.getLogger("uvicorn.error")


class EdgeState:
    """What all connections of one worker share.

    Attributes:
        settings: The limits.
        app: Serves the requests.
        app_behind_proxy: The same, for requests that a trusted proxy forwarded.
        counter: Counts them.
        heads: Requests whose headers came; every eighth is metered.
        is_draining: Each response from now on is the last of its connection.
        now_seconds: Time of the last tick, on the loop's clock; cheaper than asking it.
        hosts_services: Services run in this process, so calls may be refused.
        has_threads: The app runs in threads, where requests wait a second time.
        wait_ns_max: How long a request may wait once it was read; 0 for ever.
    """

    hosts_services = False
    has_threads = False

    def __init__(self, settings: Settings, app: Callable[..., Any], counter: CallCounter) -> None:
        self.settings = settings
        self.app = self.app_behind_proxy = app
        self._trusted: Container[str | None] = ()
        if settings.proxy_headers:
            proxied = ProxyHeadersMiddleware(app, settings.trusted_proxies)
            self.app_behind_proxy, self._trusted = proxied, proxied.trusted_hosts
        self.counter = counter
        self.heads = 0
        self.is_draining = False
        self.now_seconds = 0.0
        self.arriving: WeakSet[object] = WeakSet()
        self.wait_ns_max = 0
        self._silent_until = 0.0
        self.note_lag(0.0)

    @property
    def wait_seconds_max(self) -> float:
        """How long a request may wait before its app begins with it; 0 for ever."""
        chosen = self.settings.wait_seconds_max
        if chosen is None:
            return WAIT_SECONDS if self.hosts_services else 0.0
        return min(chosen, _FOREVER_SECONDS)

    def note_lag(self, lag_seconds: float) -> None:
        """Reckon anew how long requests may wait once they were read.

        Until then they waited too, for up to a turn of the loop. That is taken off; but no more
        than half of the limit, so that the first in line is served, however long a turn takes.

        Args:
            lag_seconds: How much later than it should a task has just run.
        """
        limit = self.wait_seconds_max
        self.wait_ns_max = ceil((limit - min(max(lag_seconds, 0.0), limit / 2)) * 1e9)

    def complain(self, text: str, *arguments: object) -> None:
        """Log a warning, unless there was one within this second."""
        if self.now_seconds >= self._silent_until:
            self._silent_until = self.now_seconds + _COMPLAINT_SECONDS
            _logger.warning(text, *arguments)

    def trusts(self, client: tuple[str, int] | None) -> bool:
        """Whether this client is a proxy whose X-Forwarded-* headers are believed."""
        return (client[0] if client else None) in self._trusted


class EdgeProtocol(HttpToolsProtocol):
    """One HTTP/1.1 connection."""

    def __init__(self, *args: Any, state: EdgeState, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.edge = state
        self.app = state.app
        self.read_at = state.now_seconds
        self.head_bytes = 0
        self.head_bytes_max = state.settings.header_bytes_max
        self.body_bytes = 0
        self.is_trusted_proxy = False
        # When its last response ended, while no next request has begun: uvicorn's timer for each
        # response costs more than all counting does.
        self.idle_since: float | None = None
        self.lingers_until: float | None = None
        self.linger_bytes = 0
        self._head: tuple[object, float] | None = None
        self._trace: TraceHeaders | None = None

    @property
    def _request(self) -> EdgeRequest | None:
        """The latest request; uvicorn calls it a cycle, and declares that there always is one."""
        return cast("EdgeRequest | None", self.cycle)

    @property
    def is_ending(self) -> bool:
        """Whether the connection takes nothing more."""
        return self.lingers_until is not None or self.transport.is_closing()

    # What the client sends.

    def connection_made(self, transport: Any) -> None:
        """A client connected."""
        self.edge.arriving.discard(self)
        super().connection_made(transport)
        # Whom to trust depends on the connection alone, so requests need not ask.
        self.is_trusted_proxy = self.edge.trusts(self.client)
        self.flow = _PipelineFlow(transport, self.pipeline)

    def data_received(self, data: bytes) -> None:
        """Parse what came; refuse a head that grows past its limit.

        What is no body counts as head: so do chunk extensions and trailers, which could otherwise
        go on for ever.
        """
        if self.lingers_until is not None:
            self.linger_bytes -= len(data)
            if self.linger_bytes < 0:
                self.transport.close()
            return
        self.read_at = self.edge.now_seconds
        self.idle_since = None
        self.head_bytes += len(data)
        if self.head_bytes > self.head_bytes_max:
            self._received_much(data)
            if self.head_bytes > self.head_bytes_max and not self.is_ending:
                self.refuse(431)
        else:
            HttpToolsProtocol.data_received(self, data)

    def _received_much(self, data: bytes) -> None:
        """Parse more bytes than a head may have; most of them may be a body."""
        served, self.app = self.app, _guarding_head(self.edge)
        super().data_received(data)
        self.app = served

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, as uvicorn does, and those that say of which trace the request is."""
        name = name.lower()
        if name in _HEEDED_NAMES:
            self._heed(name, value)
        self.headers.append((name, value))

    def _heed(self, name: bytes, value: bytes) -> None:
        if name == b"expect":
            if value.lower() == b"100-continue":
                self.expect_100_continue = True
            return
        if self._trace is None or self._trace.scope is not self.scope:
            self._trace = TraceHeaders(self.scope)
        self._trace.add(name, value)

    def on_headers_complete(self) -> None:
        """Start the app on the request, or let it wait for its turn; meter every eighth."""
        if self.lingers_until is not None:
            return  # it lies in the same packet as what was refused
        edge, parser, scope = (
            self.edge,
            cast("Any", self.parser),
            cast("dict[str, Any]", self.scope),
        )
        scope["method"] = parser.get_method().decode("ascii")
        version = parser.get_http_version()
        if version != "1.1":
            scope["http_version"] = version
        if parser.should_upgrade() and self._should_upgrade():
            return  # a WebSocket is no request
        self._locate(scope)
        self.head_bytes = 0
        app, steps = self.app, None
        if self.is_trusted_proxy and app is edge.app and _is_forwarded(self.headers):
            app = edge.app_behind_proxy
        edge.heads += 1
        if edge.heads % _METERED_ONE_IN == 1:
            steps = Steps()
            app = steps.around(app)
        before = self._request
        keep_alive = version != "1.0" and not edge.is_draining and parser.should_keep_alive()
        self.cycle = request = EdgeRequest(self, keep_alive, steps)
        if recording.is_on:
            request.segment = request_segment(request.begun_ns, scope, self._trace)
        # Trailers, which come after the body, are no headers: the app has this list already.
        self.headers = []
        if before is None or before.response_complete:
            self._begin(request, app, request.begun_ns)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((request, app))

    def _begin(self, request: EdgeRequest, app: Callable[..., Any], since_ns: int) -> None:
        """Hand the request to a task of its own, which can begin with it since this moment."""
        edge = self.edge
        if edge.wait_ns_max:
            request.late_ns = since_ns + edge.wait_ns_max
        if edge.hosts_services or edge.has_threads or recording.is_on:
            request.arrival = noted = Arrival(
                request.begun_ns,
                request.late_ns,
                scope=request.scope,
                counted=edge.counter.routes,
            )
            arrival.set(noted)  # the task copies the context
        task = self.loop.create_task(request.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def _locate(self, scope: dict[str, Any]) -> None:
        url = parse_url(self.url)
        raw_path, root = url.path, self.root_path
        path = raw_path.decode("ascii")
        if "%" in path:
            path = unquote(path)
        scope["path"] = root + path if root else path
        scope["raw_path"] = root.encode("ascii") + raw_path if root else raw_path
        scope["query_string"] = url.query or b""

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on."""
        self.head_bytes = max(0, self.head_bytes - len(body))
        cast("EdgeRequest", self.cycle).received_bytes += len(body)
        super().on_body(body)

    def on_chunk_complete(self) -> None:
        """A chunk of a body ended; its frame is no more than a chunk may have."""
        self.head_bytes = max(0, self.head_bytes - _CHUNK_FRAME_BYTES)

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for one."""
        self.server_state.total_requests += 1
        if self.is_ending:
            return
        self.flow.resume_reading()
        if self.pipeline:
            request, app = self.pipeline.pop()
            # Until now it waited for the response before it, which is no sign of overload. And this
            # is still the context of that one.
            copy_context().run(self._begin, cast("EdgeRequest", request), app, perf_counter_ns())
        else:
            self.idle_since = self.edge.now_seconds

    def count(self, request: EdgeRequest, status: int) -> None:
        """Count a request that ended; a status of 0 means that it was cut off."""
        request.is_counted = True
        scope: Any = request.scope
        if request.steps is not None:
            scope.setdefault(LOOP_KEY, request.steps.total_ns)  # unless threads did the work
        duration_ns = perf_counter_ns() - request.begun_ns
        segment = request.segment
        self.edge.counter.ended(scope, scope["method"], status, duration_ns, segment, request)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the request that this cut off, if any."""
        request = self._request
        if request is not None and not request.is_counted:
            self.count(request, 0)
        super().connection_lost(exc)
        if request is not None and not request.response_complete:
            request.abandon()

    # What happens with time.

    def sweep(self, now: float) -> None:
        """Close the connection if its client has used up our patience."""
        if self.transport.is_closing():
            return
        if self.lingers_until is not None:
            if now > self.lingers_until:
                self.transport.close()
        elif self.idle_since is not None:
            if now - self.idle_since >= self.timeout_keep_alive:
                self.transport.close()
        elif self._head_is_late(now):
            self.refuse(408, silently=self.head_bytes == 0)
        elif self._body_is_late(now):
            self.refuse(408, silently=self._request is None or self._request.response_complete)

    def _head_is_late(self, now: float) -> bool:
        request = self._request
        # While reading is paused, the rest of the head waits for us, not we for it.
        if self.flow.read_paused or (request is not None and request.scope is self.scope):
            self._head = None
            return False
        if self._head is None or self._head[0] is not request:
            self._head = (request, now)
        return now - self._head[1] > self.edge.settings.header_seconds

    def _body_is_late(self, now: float) -> bool:
        request = self._request
        if request is None or self.flow.read_paused:
            return False
        if now - self.read_at <= self.edge.settings.body_idle_seconds:
            return False
        # The rest of a body may come after its response; then nobody waits but we.
        return request.response_complete or (
            request.more_body and not request.waiting_for_100_continue
        )

    # How a connection ends.

    def refuse(self, status: int, *, silently: bool = False) -> None:
        """End the connection, with an answer where one can still be given."""
        request = self._request
        is_open = request is not None and not request.response_complete
        is_answered = request is not None and request.response_started
        if request is not None and self.scope is not request.scope:
            is_answered = is_open and is_answered  # the refused one is the next
        answers = not silently and not is_answered
        if answers:
            self.transport.write(_refusal(status))
        if is_open and request:
            request.abandon()
        self.end(linger_bytes=_LINGER_BYTES[status] if answers else 0)

    def end(self, *, linger_bytes: int = 0) -> None:
        """Close; where the client may still be sending, only once it has read our answer.

        Bytes that arrive at a closed socket make the kernel reset the connection, and the client
        would lose an answer that it has not read yet.

        Args:
            linger_bytes: How much of what it still sends is taken, and thrown away.
        """
        if linger_bytes and self.transport.can_write_eof():
            self.transport.write_eof()
            self.linger_bytes = linger_bytes
            self.lingers_until = self.edge.now_seconds + _LINGER_SECONDS
            if self.flow.read_paused:
                self.flow.read_paused = False
                self.transport.resume_reading()
        else:
            self.transport.close()

    def leave(self, *, closes_idle: bool) -> None:
        """Drain: end after the present response, or the next one where none is under way.

        An idle connection stays: its client may be sending a request this very moment, and would
        see it fail. It is closed where nobody could serve that request.
        """
        request = self._request
        if request is not None and not request.response_complete:
            if not request.response_started or closes_idle:
                request.keep_alive = False
        elif closes_idle:
            self.transport.close()


class LimitedProtocol(EdgeProtocol):
    """A connection where requests at once, or the size of bodies, are limited."""

    def on_headers_complete(self) -> None:
        """Start the app on the request, or one of our own that refuses it."""
        self.body_bytes = 0
        served = self.app
        status = self._refused_with()
        if status:
            self.app = _refusing(status)
        super().on_headers_complete()
        self.app = served

    def _refused_with(self) -> int:
        settings = self.edge.settings
        if settings.concurrency_max and len(self.tasks) >= settings.concurrency_max:
            return 503
        if settings.body_bytes_max and _announced_bytes(self.headers) > settings.body_bytes_max:
            return 413
        return 0

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on, unless it is one too many."""
        self.body_bytes += len(body)
        limit = self.edge.settings.body_bytes_max
        if not limit or self.body_bytes <= limit:
            super().on_body(body)
        elif not self.is_ending:
            done = self._request is None or self._request.response_complete
            self.refuse(413, silently=done)


class _PipelineFlow(FlowControl):
    """Reads no further while requests wait in line, or a client could pile them up for ever."""

    def __init__(self, transport: Any, pipeline: Sized) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        if self.read_paused and not self._pipeline:
            super().resume_reading()


def protocol_for(settings: Settings) -> type[EdgeProtocol]:
    """The protocol that keeps the limits which are set, and pays for no others."""
    is_limited = settings.concurrency_max or settings.body_bytes_max
    return LimitedProtocol if is_limited else EdgeProtocol


def _is_forwarded(headers: list[tuple[bytes, bytes]]) -> bool:
    # Not `any`, whose generator costs three times as much.
    for name, _ in headers:  # noqa: SIM110
        if name in _FORWARDED_NAMES:
            return True
    return False


def _announced_bytes(headers: list[tuple[bytes, bytes]]) -> int:
    for name, value in headers:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def _guarding_head(edge: EdgeState) -> Callable[..., Any]:
    """The app, but for requests whose head is past the limit."""

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        size = len(scope["raw_path"]) + len(scope["query_string"])
        size += sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        app = edge.app_behind_proxy if size <= edge.settings.header_bytes_max else _refusing(431)
        await app(scope, receive, send)

    return guarded


def _refusal(status: int) -> bytes:
    reason = _REASONS[status]
    return (
        f"HTTP/1.1 {status} {reason}\r\ncontent-type: text/plain; charset=utf-8\r\n"
        f"content-length: {len(reason)}\r\nconnection: close\r\n\r\n{reason}"
    ).encode("ascii")


def _refusing(status: int) -> Callable[..., Any]:
    """An app that refuses every request with this status."""
    body = _REASONS[status].encode("ascii")
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"connection", b"close"),
    ]
    if status == 503:
        headers.append((b"retry-after", b"1"))

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": headers})
        scope["path"] = REFUSED  # as only the app could have told its route
        await send({"type": "http.response.body", "body": body})

    return refuse
