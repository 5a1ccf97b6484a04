"""uvicorn's HTTP protocol, with limits on what a client may do and a soft way to leave.

uvicorn's protocol has no limit on headers and no patience that ends; ours has both, kept by one
sweep a second over all connections, so that a request pays for two time stamps and no timer.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from outgrow.model import Settings

_REASONS = {
    408: "Request Timeout",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


@dataclass
class EdgeState:
    """What all connections of one worker share.

    Attributes:
        settings: The limits.
        now_seconds: Time of the last tick, on the loop's clock; cheaper than asking it.
        is_draining: Each response from now on is the last of its connection.
    """

    settings: Settings
    now_seconds: float = 0.0
    is_draining: bool = False


class EdgeProtocol(HttpToolsProtocol):
    """One HTTP/1.1 connection."""

    def __init__(self, *args: Any, state: EdgeState, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.edge = state
        self.served = self.app
        self.head_since = state.now_seconds
        self.head_bytes = 0
        self.in_head = True
        self.body_bytes = 0
        self.read_at = 0.0
        self.unread: tuple[int, float] = (0, 0.0)

    # What the client sends.

    def data_received(self, data: bytes) -> None:
        """Parse what came; refuse a head that grows past its limit."""
        self.read_at = self.edge.now_seconds
        super().data_received(data)
        if self.in_head:
            self.head_bytes += len(data)
            if self.head_bytes > self.edge.settings.header_bytes_max:
                self.refuse(431)

    def on_message_begin(self) -> None:
        """A request's first byte came."""
        super().on_message_begin()
        self.in_head = True
        self.body_bytes = 0
        if not self.head_since:
            self.head_since = self.edge.now_seconds

    def on_headers_complete(self) -> None:
        """Start the app on the request, or one of our own that refuses it."""
        self.in_head = False
        self.head_since = 0.0
        self.head_bytes = 0
        self.app = self._server_of_this_request()
        super().on_headers_complete()
        request = self._request
        if self.edge.is_draining and request is not None:
            request.keep_alive = False

    @property
    def _request(self) -> RequestResponseCycle | None:
        """The latest request; uvicorn calls it a cycle, and declares that there always is one."""
        return cast("RequestResponseCycle | None", self.cycle)

    def _server_of_this_request(self) -> Any:
        settings = self.edge.settings
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > settings.header_bytes_max:
            return _refusing(431)
        if settings.concurrency_max and len(self.tasks) >= settings.concurrency_max:
            return _refusing(503)
        if settings.body_bytes_max and self._announced_bytes() > settings.body_bytes_max:
            return _refusing(413)
        return self.served

    def _announced_bytes(self) -> int:
        for name, value in self.headers:
            if name == b"content-length" and value.isdigit():
                return int(value)
        return 0

    def on_body(self, body: bytes) -> None:
        """Pass a piece of the body on, unless it is one too many."""
        limit = self.edge.settings.body_bytes_max
        if limit:
            self.body_bytes += len(body)
            if self.body_bytes > limit:
                if not self.cycle.response_started:
                    self.refuse(413)
                return
        super().on_body(body)

    # What happens with time.

    def sweep(self, now: float) -> None:
        """Close the connection if its client has used up our patience."""
        settings = self.edge.settings
        if self.transport.is_closing():
            return
        if self.head_since and now - self.head_since > settings.header_seconds:
            self.refuse(408, silently=self.in_head and self.head_bytes == 0)
        elif self._body_is_late(now):
            self.refuse(408)
        elif self._reader_is_asleep(now):
            self.transport.abort()

    def _body_is_late(self, now: float) -> bool:
        cycle = self._request
        return (
            cycle is not None
            and cycle.more_body
            and not cycle.response_complete
            and not cycle.waiting_for_100_continue
            and not self.flow.read_paused
            and now - self.read_at > self.edge.settings.body_idle_seconds
        )

    def _reader_is_asleep(self, now: float) -> bool:
        size = self.transport.get_write_buffer_size()
        if size == 0 or size != self.unread[0]:
            self.unread = (size, now)
            return False
        return now - self.unread[1] > self.edge.settings.write_idle_seconds

    # How a connection ends.

    def refuse(self, status: int, *, silently: bool = False) -> None:
        """End the connection, with an answer where one can still be given."""
        cycle = self._request
        is_answered = cycle is not None and cycle.response_started and not cycle.response_complete
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if not silently and not is_answered and not self.transport.is_closing():
            self.transport.write(_refusal(status))
        self.transport.close()

    def leave(self, *, closes_idle: bool) -> None:
        """Drain: end after the present response, or the next one where none is under way.

        An idle connection stays: its client may be sending a request this very moment, and would
        see it fail. It is closed where nobody could serve that request.
        """
        cycle = self._request
        if cycle is not None and not cycle.response_complete:
            if not cycle.response_started or closes_idle:
                cycle.keep_alive = False
        elif closes_idle:
            self.transport.close()


def _refusal(status: int) -> bytes:
    reason = _REASONS[status]
    return (
        f"HTTP/1.1 {status} {reason}\r\ncontent-type: text/plain; charset=utf-8\r\n"
        f"content-length: {len(reason)}\r\nconnection: close\r\n\r\n{reason}"
    ).encode("ascii")


def _refusing(status: int) -> Any:
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
        await send({"type": "http.response.body", "body": body})
        await asyncio.sleep(0)

    return refuse
