"""Connections: how long they live, what may be sent on them, and what is no HTTP."""

from __future__ import annotations

from contextlib import suppress
from socket import SHUT_WR
from threading import Thread

from .launches import PLAIN, launch
from .registry import Difference, on
from .servers import Server
from .wire import Connection, ask, notes, open_gate, raw, request

BRIEF = launch(keep_alive_seconds="1")
CLOSE = ("Connection", "close")


def first_line(server: Server, data: bytes) -> bytes:
    """The first line of what a server answers and closes."""
    return raw(server, data).split(b"\r\n")[0]


@on(PLAIN, "connections", "HTTP/1.1 keeps the connection")
def keeps(server: Server) -> object:
    with Connection(server) as connection:
        seen: list[object] = []
        for _ in range(3):
            connection.send(request("/hello"))
            seen.append(connection.answer().header("connection"))
        return seen


@on(PLAIN, "connections", "`Connection: close` is answered in kind")
def closes(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/hello", headers=[CLOSE]))
        return connection.answer().header("connection"), connection.is_closed()


@on(PLAIN, "connections", "HTTP/1.0 closes")
def old(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/hello", version="1.0"))
        answer = connection.answer()
        return answer.status_line, answer.header("connection"), connection.is_closed()


@on(PLAIN, "connections", "HTTP/1.0 with `Connection: keep-alive` closes as well")
def old_keep_alive(server: Server) -> object:
    with Connection(server) as connection:
        headers = [("Connection", "keep-alive")]
        connection.send(request("/hello", version="1.0", headers=headers))
        return connection.answer().header("connection"), connection.is_closed()


@on(PLAIN, "connections", "an app's `connection: close` closes")
def app_closes(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/says-close"))
        return connection.answer().shape(), connection.is_closed()


@on(BRIEF, "connections", "an idle connection is closed after `keep_alive_seconds`")
def idle(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/hello"))
        connection.answer()
        return connection.is_closed()


@on(BRIEF, "connections", "a request that takes longer than `keep_alive_seconds` is not cut")
def not_idle(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/waits-after-body"))
        connection.answer()
        connection.send(request("/hold?key=longer"))
        notes(server, "longer")
        with Connection(server) as other:
            other.send(request("/hello"))
            other.answer()
            other.is_closed()
        open_gate(server, "longer")
        return connection.answer().body


@on(PLAIN, "connections", "pipelined requests are answered in order")
def pipelined(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(b"".join(request(f"/status?code={code}") for code in (201, 202, 203)))
        return [connection.answer().status for _ in range(3)]


def pushed(connection: Connection, data: bytes) -> None:
    """Send beside whoever reads; a server that closes ends it."""
    with suppress(OSError):
        connection.send(data)


@on(PLAIN, "connections", "800 pipelined requests of 1 kB are all answered")
def pipelined_many(server: Server) -> object:
    count = 800
    data = request("/hello", headers=[("Cookie", "c" * 900)]) * count
    with Connection(server) as connection:
        Thread(target=pushed, args=(connection, data), daemon=True).start()
        codes: list[int] = []
        while len(codes) < count and codes[-1:] in ([], [200]):
            codes.append(connection.answer().status)
        return codes.count(200), codes[-1]


@on(PLAIN, "connections", "a pipelined request waits for the slow one before it")
def pipelined_slow(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/hold?key=pipe") + request("/status?code=202"))
        notes(server, "pipe")
        open_gate(server, "pipe")
        return [connection.answer().status for _ in range(2)]


@on(PLAIN, "connections", "a pipelined POST and GET keep their bodies apart")
def pipelined_post(server: Server) -> object:
    with Connection(server) as connection:
        post = request("/echo", method="POST", body=b"abc")
        connection.send(post + request("/hello") + post)
        return [connection.answer().body for _ in range(3)]


@on(PLAIN, "connections", "what comes after a request with `Connection: close` is not answered")
def after_close(server: Server) -> object:
    data = raw(server, request("/hello", headers=[CLOSE]) + request("/hello"))
    return data.count(b"HTTP/1.1 ")


@on(PLAIN, "connections", "`Expect: 100-continue` is answered when the app reads")
def expects(server: Server) -> object:
    with Connection(server) as connection:
        headers = [("Expect", "100-continue"), ("Content-Length", "3")]
        connection.send(request("/echo", method="POST", headers=headers))
        interim = connection.answer()
        connection.send(b"abc")
        return interim.shape(), connection.answer().body


@on(PLAIN, "connections", "`Expect: 100-continue` is not answered when the app does not read")
def expects_in_vain(server: Server) -> object:
    with Connection(server) as connection:
        headers = [("Expect", "100-continue"), ("Content-Length", "3")]
        connection.send(request("/hello", method="POST", headers=headers))
        return connection.answer().status_line


@on(PLAIN, "connections", "empty lines before a request are passed over")
def empty_lines(server: Server) -> object:
    return first_line(server, b"\r\n\r\n" + request("/hello", headers=[CLOSE]))


@on(PLAIN, "connections", "what is no HTTP gets 400 and is closed")
def no_http(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(b"this is no HTTP\r\n\r\n")
        return connection.answer().shape(), connection.is_closed()


@on(PLAIN, "connections", "an unknown method gets 400")
def unknown_method(server: Server) -> object:
    return first_line(server, request("/hello", method="FETCH"))


@on(PLAIN, "connections", "a method in lower case gets 400")
def lower_method(server: Server) -> object:
    return first_line(server, request("/hello", method="get"))


@on(PLAIN, "connections", "a request line without a version, as in HTTP/0.9")
def ancient(server: Server) -> object:
    return first_line(server, b"GET /hello\r\n\r\n")


@on(PLAIN, "connections", "HTTP/1.1 without `Host` is served")
def no_host(server: Server) -> object:
    return first_line(server, b"GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n")


@on(PLAIN, "connections", "the preface of HTTP/2 is refused")
def preface(server: Server) -> object:
    return first_line(server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")


@on(PLAIN, "connections", "a TLS greeting on a plain port is refused")
def tls_greeting(server: Server) -> object:
    return first_line(server, bytes.fromhex("16030100050100000100") + b"\r\n\r\n")


@on(PLAIN, "connections", "a request line of 8 kB is served")
def long_line(server: Server) -> object:
    return ask(server, "/scope?" + "q" * 8000).status_line


@on(PLAIN, "connections", "an upgrade to an unknown protocol is served as plain HTTP")
def unknown_upgrade(server: Server) -> object:
    with Connection(server) as connection:
        headers = [("Connection", "Upgrade"), ("Upgrade", "tea")]
        connection.send(request("/hello", headers=headers))
        answer = connection.answer()
        return answer.shape()


@on(PLAIN, "connections", "an upgrade to h2c is served as HTTP/1.1")
def h2c(server: Server) -> object:
    headers = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c")]
    return ask(server, "/hello", headers=[*headers, ("HTTP2-Settings", "AAMAAABk")]).status_line


@on(PLAIN, "connections", "CONNECT")
def connect(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("elsewhere.test:80", method="CONNECT", headers=[CLOSE]))
        connection.socket.shutdown(SHUT_WR)
        return connection.rest().split(b"\r\n")[0]


@on(PLAIN, "connections", "headers of 60 kB are served")
def large_headers(server: Server) -> object:
    return ask(server, "/hello", headers=[("X-A", "a" * 60_000)]).status_line


@on(
    PLAIN,
    "connections",
    "headers of 200 kB",
    differs=Difference(
        uvicorn="HTTP/1.1 200 OK",
        outgrow="HTTP/1.1 431 Request Header Fields Too Large",
        reason="headers are held in memory, so they have a limit: `header_bytes_max`, 64 KiB by"
        " default; uvicorn with httptools has none",
    ),
)
def huge_headers(server: Server) -> object:
    return ask(server, "/hello", headers=[("X-A", "a" * 200_000)]).status_line


@on(
    PLAIN,
    "connections",
    "a client that has sent its request and shuts its writing side: taken for one that left",
)
def half_closed(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/waits-after-body"))
        connection.socket.shutdown(SHUT_WR)
        return connection.rest().split(b"\r\n")[0]
