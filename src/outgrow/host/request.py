"""One HTTP request and its response, between the app and the connection.

It does what uvicorn's own does, in less time: the parser has read the request, and what is left is
to check what the app sends, to write it, and to count the request when its response ends. What it
says to an app that errs is what uvicorn says, since people search for it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Literal

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.protocols.utils import get_client_addr, get_path_with_query_string

from outgrow.host.arrival import came_of, retry_after, status_for
from outgrow.host.line import LateError
from outgrow.telemetry import enter_segment, problem_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from outgrow.errors import CallError
    from outgrow.host.arrival import Arrival
    from outgrow.host.protocol import EdgeProtocol
    from outgrow.telemetry import Segment, Steps

_Kind = Literal["", "length", "coding", "connection"]

_NO_NAME = re.compile(rb'[\x00-\x1f\x7f()<>@,;:\\\[\]={} \t"]')
_NO_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_KINDS: dict[bytes, _Kind] = {
    b"content-length": "length",
    b"transfer-encoding": "coding",
    b"connection": "connection",
}
_NAMES_MAX = 1024
LINGER_BYTES_MAX = 32 * 1024 * 1024
REFUSED = "(refused)"
_LATE_HEAD = {
    "type": "http.response.start",
    "status": 503,
    "headers": [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"19"),
        (b"retry-after", b"1"),
    ],
}
_LATE_BODY = {"type": "http.response.body", "body": b"Service Unavailable"}
_names: dict[bytes, tuple[bytes, _Kind]] = {}
_logger = logging.getLogger("uvicorn.error")


class EdgeRequest(RequestResponseCycle):
    """One request and its response, counted when the response ends: by what the client got.

    Attributes:
        begun_ns: When its headers were complete, on the clock `perf_counter_ns`.
        status: Of its response; 0 before that begins.
        steps: Meters its time on the loop; None for most requests.
        is_counted: It ended and was counted, or was no request of the app.
        late_ns: From when on the app is not asked any more, but the request refused; 0 for never.
        arrival: What the services behind the app see of it; None where there are none.
        segment: Its part of a trace; None where nothing is recorded.
        wait_ns: From when its headers were complete to when the app began with it.
        received_bytes: Of its body, so far.
        sent_bytes: Of the body of its response, so far.
    """

    begun_ns = 0
    wait_ns = 0
    received_bytes = 0
    sent_bytes = 0
    late_ns = 0
    arrival: Arrival | None = None
    segment: Segment | None = None
    status = 0
    is_counted = False
    disconnected = False
    more_body = True
    response_started = False
    response_complete = False
    chunked_encoding: bool | None = None
    expected_content_length = 0

    # Not uvicorn's, which is given all that the protocol has, by name.
    def __init__(  # pyright: ignore[reportMissingSuperCall]
        self,
        protocol: EdgeProtocol,
        keep_alive: bool,
        steps: Steps | None,
    ) -> None:
        self.protocol = protocol
        self.scope = protocol.scope
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.logger = _logger
        self.waiting_for_100_continue = protocol.expect_100_continue
        self.message_event: Any = _Signal()
        self.keep_alive = keep_alive
        self.steps = steps
        self.body = bytearray()
        self.on_response: Callable[..., None] = protocol.on_response_complete
        self.begun_ns = perf_counter_ns()

    async def run_asgi(self, app: Any) -> None:
        """Have the app serve the request, unless it waited too long; see to it that it ends."""
        now_ns = perf_counter_ns()
        self.wait_ns = now_ns - self.begun_ns
        if self.late_ns and now_ns > self.late_ns:
            app = self._refuse
        if self.segment is not None:
            enter_segment(self.segment)
        try:
            result = await app(self.scope, self.receive, self.send)
        except LateError:
            await self._refuse(self.scope, self.receive, self.send)
        except BaseException as problem:
            is_refused = self._log_problem(problem)
            if not self.response_started:
                await self.send_500_response()
            elif not (is_refused and self.response_complete):
                self._break_off(is_failure=not isinstance(problem, asyncio.CancelledError))
        else:
            if result is not None:
                _logger.error("ASGI callable should return None, but returned '%s'.", result)
                self.transport.close()
            elif not self.response_started and not self.disconnected:
                _logger.error("ASGI callable returned without starting response.")
                await self.send_500_response()
            elif not self.response_complete and not self.disconnected:
                _logger.error("ASGI callable returned without completing response.")
                self._break_off()
        finally:
            self.on_response = _nothing
            if self.arrival is not None:
                self.arrival.refusal = None  # its traceback leads back to here
                self.arrival.raised = None
                self.arrival.scope = None

    def _break_off(self, *, is_failure: bool = True) -> None:
        """Close in the middle of the response: a failure for the client, and so for who counts.

        Args:
            is_failure: The app is to blame, and not the end of a drain.
        """
        if is_failure and not (self.is_counted or self.disconnected):
            self.protocol.count(self, 500)
        self.transport.close()

    def abandon(self) -> None:
        """Let the app hear that the client is gone, or not begin with it at all."""
        self.disconnected = True
        self.message_event.set()
        if self.arrival is not None:
            self.arrival.leave_line()

    async def _refuse(self, scope: Any, _receive: Any, send: Any) -> None:
        """Answer in the app's place; the connection stays, as a new one would cost us more."""
        if self.disconnected:
            return
        edge = self.protocol.edge
        edge.complain(
            "overloaded: refused a request that had waited too long; `wait_seconds_max` is %g",
            edge.wait_seconds_max,
        )
        if self.waiting_for_100_continue:
            self.keep_alive = False  # whether its body follows is the client's choice
        await send(_LATE_HEAD)
        # Only the app could have told its route; paths as they are would fill the table of routes.
        scope["path"] = REFUSED
        await send(_LATE_BODY)

    def _refusal(self, raised: BaseException | None) -> CallError | None:
        """The error of a service that the app let pass, so that the edge answers for it."""
        noted = self.arrival
        if noted is None or noted.refusal is None:
            return None
        raised = raised if raised is not None else noted.raised
        return noted.refusal if raised is None or came_of(raised, noted.refusal) else None

    def _log_problem(self, problem: BaseException) -> bool:
        """Log what the app raised; whether it is no more than a refusal."""
        refusal = self._refusal(problem)
        if refusal is None:
            if self.segment is not None:
                self.segment.error = problem_text(problem)
            _logger.error("Exception in ASGI application\n", exc_info=problem)
            return False
        # A traceback for each would cost more than refusing saves.
        scope: Any = self.scope
        self.protocol.edge.complain(
            "%s %s: %s", scope["method"], get_path_with_query_string(scope), refusal.text
        )
        return True

    async def send(self, message: Any) -> None:
        """Pass a message of the app on to the client.

        Raises:
            RuntimeError: The app sends what no response can be: a second head, a header that would
                split the response, more or less than its Content-Length.
        """
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if not self.response_started:
            if kind != "http.response.start":
                raise _unexpected("http.response.start", kind)
            self._send_head(message)
        elif self.response_complete:
            raise RuntimeError(
                f"Unexpected ASGI message '{kind}' sent, after response already completed."
            )
        elif kind != "http.response.body":
            raise _unexpected("http.response.body", kind)
        else:
            self._send_body(message.get("body", b""), is_last=not message.get("more_body"))

    def _send_head(self, message: Any) -> None:
        self.response_started = True
        self.waiting_for_100_continue = False
        protocol = self.protocol
        status = message["status"]
        seconds = None
        if status == 500 and (refusal := self._refusal(sys.exc_info()[1])) is not None:
            status, seconds = status_for(refusal), retry_after(refusal)
        self.status = status
        if status >= 500 and self.segment is not None:
            self._note_problem(self.segment)
        if protocol.access_log:
            self._log_access(status)
        lines = [STATUS_LINE[status]]
        says_close = False
        headers: Iterable[tuple[bytes, bytes]] = message.get("headers", ())
        defaults = protocol.server_state.default_headers
        for name, value in (*defaults, *headers) if defaults else headers:
            known = _names.get(name)
            start, kind = known if known is not None else _meet_name(name)
            if _NO_VALUE.search(value):
                raise RuntimeError("Invalid HTTP header value.")
            lines += (start, value, b"\r\n")
            if kind:
                says_close |= self._heed(kind, value)
        if seconds is not None:
            lines.append(b"retry-after: %d\r\n" % seconds)
        if not self.keep_alive and not says_close:
            lines.append(b"connection: close\r\n")
        if (
            self.chunked_encoding is None
            and status not in (204, 304)
            and self.scope["method"] != "HEAD"
        ):
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        lines.append(b"\r\n")
        self.transport.write(b"".join(lines))

    def _note_problem(self, segment: Segment) -> None:
        """Have the trace say why, where the app answers while it deals with an exception."""
        problem = sys.exc_info()[1]
        if problem is not None and not segment.error:
            segment.error = problem_text(problem)

    def _heed(self, kind: _Kind, value: bytes) -> bool:
        """Do what a header of the app says of the connection; whether it says to close it."""
        if kind == "length":
            if self.chunked_encoding is None:
                self.expected_content_length = int(value)
                self.chunked_encoding = False
        elif kind == "coding":
            if value.lower() == b"chunked":
                self.expected_content_length = 0
                self.chunked_encoding = True
        elif b"close" in [token.strip() for token in value.lower().split(b",")]:
            self.keep_alive = False
            return True
        return False

    def _send_body(self, body: bytes, *, is_last: bool) -> None:
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
        elif self.chunked_encoding:
            end = b"0\r\n\r\n" if is_last else b""
            self.transport.write(b"%x\r\n%b\r\n%b" % (len(body), body, end) if body else end)
            self.sent_bytes += len(body)
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("Response content longer than Content-Length")
            self.transport.write(body)
            self.sent_bytes += len(body)
        if is_last:
            if self.expected_content_length:
                raise RuntimeError("Response content shorter than Content-Length")
            self.response_complete = True
            self.protocol.count(self, self.status)
            self.message_event.set()
            if not self.keep_alive:
                self.protocol.end(linger_bytes=LINGER_BYTES_MAX if self.more_body else 0)
            self.on_response()

    def _log_access(self, status: int) -> None:
        scope: Any = self.scope
        self.protocol.access_logger.info(
            '%s - "%s %s HTTP/%s" %d',
            get_client_addr(scope),
            scope["method"],
            get_path_with_query_string(scope),
            scope["http_version"],
            status,
        )


class _Signal:
    """An asyncio.Event that costs nothing to make, as most requests never wait for it."""

    __slots__ = ("_event", "_is_set")

    def __init__(self) -> None:
        self._is_set = False
        self._event: asyncio.Event | None = None

    def set(self) -> None:
        self._is_set = True
        if self._event is not None:
            self._event.set()

    def clear(self) -> None:
        self._is_set = False
        if self._event is not None:
            self._event.clear()

    async def wait(self) -> None:
        if not self._is_set:
            if self._event is None:
                self._event = asyncio.Event()
            await self._event.wait()


def _nothing() -> None:
    pass


def _unexpected(wanted: str, kind: str) -> RuntimeError:
    return RuntimeError(f"Expected ASGI message '{wanted}', but got '{kind}'.")


def _meet_name(name: bytes) -> tuple[bytes, _Kind]:
    """Check a header's name once; apps use the same few names again and again."""
    if _NO_NAME.search(name):
        raise RuntimeError("Invalid HTTP header name.")
    lowered = name.lower()
    known = (lowered + b": ", _KINDS.get(lowered, ""))
    if len(_names) < _NAMES_MAX:
        _names[bytes(name)] = known
    return known
