"""Bodies both ways: chunked and large uploads, streams seen piece by piece, back-pressure."""

from __future__ import annotations

import contextlib
import hashlib
import select
import time

from .launches import PLAIN
from .registry import Difference, on
from .servers import Server
from .wire import Connection, ask, notes, open_gate, request

CHUNKED = [("Transfer-Encoding", "chunked")]
MEGABYTE = b"m" * 1_000_000


def chunked(server: Server, data: bytes) -> bytes:
    """What the echo probe makes of a chunked body."""
    with Connection(server) as connection:
        connection.send(request("/echo", method="POST", headers=CHUNKED) + data)
        return connection.answer().body


@on(PLAIN, "bodies", "a chunked upload reaches the app decoded")
def chunked_upload(server: Server) -> object:
    return chunked(server, b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")


@on(PLAIN, "bodies", "chunk extensions and trailers are passed over")
def chunk_extras(server: Server) -> object:
    return chunked(server, b"3;a=b\r\nabc\r\n0\r\nX-After: 1\r\n\r\n")


@on(
    PLAIN,
    "bodies",
    "a trailer is no header",
    differs=Difference(
        uvicorn=True,
        outgrow=False,
        reason="a trailer that turns up among the headers gets past every proxy and middleware"
        " that looks at headers; RFC 9110 6.5.1 forbids to merge them unasked",
    ),
)
def trailer(server: Server) -> object:
    with Connection(server) as connection:
        headers = [*CHUNKED, ("Content-Type", "text/plain")]
        connection.send(request("/scope-after-body", method="POST", headers=headers))
        connection.send(b"3\r\nabc\r\n0\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
        return b"x-forwarded-for" in dict(connection.answer().value()["headers"])


@on(PLAIN, "bodies", "an upload that comes byte by byte")
def slow_upload(server: Server) -> object:
    with Connection(server) as connection:
        for byte in request("/echo", method="POST", body=b"abc"):
            connection.send(bytes([byte]))
        return connection.answer().body


@on(PLAIN, "bodies", "an upload of 24 MB arrives whole")
def large_upload(server: Server) -> object:
    answer = ask(server, "/digest", method="POST", body=MEGABYTE * 24)
    return answer.value() == (24_000_000, hashlib.sha256(MEGABYTE * 24).hexdigest()[:16])


@on(PLAIN, "bodies", "a chunked upload of 24 MB arrives whole")
def large_chunked(server: Server) -> object:
    data = b"%x\r\n%s\r\n" % (len(MEGABYTE), MEGABYTE) * 24 + b"0\r\n\r\n"
    with Connection(server) as connection:
        connection.send(request("/digest", method="POST", headers=CHUNKED) + data)
        return connection.answer().value()[0]


def sent_until_blocked(connection: Connection, limit: int) -> int:
    """Send until the kernel takes no more for a while; how many bytes went."""
    connection.socket.setblocking(False)
    sent = 0
    while sent < limit and select.select([], [connection.socket], [], 0.5)[1]:
        with contextlib.suppress(BlockingIOError):
            sent += connection.socket.send(MEGABYTE)
    connection.socket.settimeout(10)
    return sent


@on(PLAIN, "bodies", "an app that does not read holds the client back")
def upload_waits(server: Server) -> object:
    limit = 64 * len(MEGABYTE)
    with Connection(server) as connection:
        headers = [("Content-Length", str(limit))]
        connection.send(request("/hold?key=pressure", method="POST", headers=headers))
        is_held_back = sent_until_blocked(connection, limit) < limit // 2
        open_gate(server, "pressure")
        return is_held_back, connection.answer().body


@on(PLAIN, "bodies", "a client that does not read holds the app back, and gets all in the end")
def download_waits(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/counts-sent?key=sent", headers=[("Connection", "close")]))
        connection.until(b"\r\n\r\n")
        sent = settled(server)
        total = sum(len(chunk) for chunk in connection.chunks())
        return 0 < sent < 40, total, len(notes(server, "sent", 64))


def settled(server: Server) -> int:
    """How many parts the app has sent, once that number stands still."""
    before, now = -1, 0
    while before != now:
        end = time.monotonic() + 0.3
        while time.monotonic() < end:
            before, now = now, len(notes(server, "sent", 1))
    return now


@on(PLAIN, "bodies", "a response before the body was read; the connection goes on")
def early_response(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/hello", method="POST", body=b"abc") + request("/hello"))
        return connection.answer().shape(), connection.answer().status_line


@on(PLAIN, "bodies", "a response before a large body was sent; the rest is drained")
def early_response_large(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/hello", method="POST", headers=[("Content-Length", "3000000")]))
        early = connection.answer().status_line
        connection.send(MEGABYTE * 3 + request("/hello"))
        return early, connection.answer().status_line


@on(PLAIN, "bodies", "a stream is seen piece by piece")
def stream(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/gated-parts?key=stream"))
        connection.until(b"\r\n\r\n")
        first = connection.chunk()
        open_gate(server, "stream")
        return first, connection.chunks()


@on(PLAIN, "bodies", "server-sent events are seen one by one")
def events(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/gated-parts?key=events&kind=text/event-stream"))
        head = connection.until(b"\r\n\r\n")
        first = connection.chunk()
        open_gate(server, "events")
        return b"content-type: text/event-stream" in head, first, connection.chunks()


@on(PLAIN, "bodies", "two streams on two connections go on side by side")
def two_streams(server: Server) -> object:
    with Connection(server) as one, Connection(server) as two:
        one.send(request("/gated-parts?key=side"))
        two.send(request("/gated-parts?key=side"))
        firsts = [each.until(b"data: 1\n\n")[-9:] for each in (one, two)]
        open_gate(server, "side")
        return firsts, [each.until(b"data: 2\n\n")[-9:] for each in (one, two)]
