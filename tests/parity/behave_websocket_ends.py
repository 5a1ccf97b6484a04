"""How a WebSocket ends: who closed, with which code, and what the other side sees."""

from __future__ import annotations

import select
from socket import SHUT_RDWR

from websockets.exceptions import ConnectionClosed

from .behave_websocket import HANDSHAKE, SMALL, socket
from .launches import PLAIN
from .registry import on
from .servers import Server
from .wire import Connection, ask, notes, request

MASK = bytes(4)


def end(server: Server, target: str) -> object:
    """The close frame that the client receives."""
    with socket(server, target) as opened:
        try:
            return opened.recv(timeout=8)
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else "no close frame"


def end_after(server: Server, data: bytes) -> bytes:
    """What the server sends when it is sent these frames, up to the end of the connection."""
    with Connection(server) as connection:
        connection.send(request("/echo?key=frames", headers=HANDSHAKE))
        connection.answer()
        connection.send(data)
        return connection.rest()


@on(PLAIN, "websocket_ends", "the app closes: 1000 by default")
def closes(server: Server) -> object:
    return end(server, "/close?key=1000"), notes(server, "1000")


@on(PLAIN, "websocket_ends", "the app closes with a code and a reason")
def closes_with_code(server: Server) -> object:
    return end(server, "/close?code=4321&reason=enough&key=4321"), notes(server, "4321")


@on(PLAIN, "websocket_ends", "the client closes with a code and a reason: the app sees them")
def client_closes(server: Server) -> object:
    with socket(server, "/echo?key=closes") as opened:
        opened.close(4002, "bye")
    return notes(server, "closes")


@on(PLAIN, "websocket_ends", "the client closes without a code: 1005")
def client_closes_bare(server: Server) -> object:
    return end_after(server, b"\x88\x80" + MASK), notes(server, "frames")


@on(PLAIN, "websocket_ends", "the connection drops: what the app sees")
def drops(server: Server) -> object:
    with socket(server, "/echo?key=drops") as opened:
        opened.send("a")
        opened.recv()
        opened.socket.shutdown(SHUT_RDWR)
    return notes(server, "drops")


@on(PLAIN, "websocket_ends", "sending to a client that is gone raises OSError in the app")
def send_to_gone(server: Server) -> object:
    with socket(server, "/send-to-gone?key=gone"):
        pass
    return notes(server, "gone", 2)


@on(PLAIN, "websocket_ends", "sending after the app's own close raises in the app")
def send_after_close(server: Server) -> object:
    return end(server, "/send-after-close?key=late"), notes(server, "late")


@on(PLAIN, "websocket_ends", "an exception after the accept: what the client sees")
def raises(server: Server) -> object:
    return end(server, "/raises-late")


@on(PLAIN, "websocket_ends", "an app that returns after the accept: what the client sees")
def returns(server: Server) -> object:
    return end(server, "/returns")


@on(SMALL, "websocket_ends", "a message past `ws_message_bytes_max` closes with 1009")
def too_big(server: Server) -> object:
    with socket(server, "/api/echo?key=big".removeprefix("/api"), compression=None) as opened:
        opened.send("a" * 1000)
        fits = len(opened.recv())
        opened.send("a" * 1001)
        try:
            opened.recv(timeout=8)
        except ConnectionClosed as closed:
            code = closed.rcvd and closed.rcvd.code
            return fits, code, [note["code"] for note in notes(server, "big")]


@on(SMALL, "websocket_ends", "a client that answers no ping is closed with 1011")
def no_pong(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/echo", headers=HANDSHAKE))
        connection.answer()
        data = connection.rest()
        return data[:2], data[-26:]


@on(PLAIN, "websocket_ends", "text that is no UTF-8 closes with 1007")
def no_text(server: Server) -> object:
    return end_after(server, b"\x81\x81" + MASK + b"\xff")


@on(PLAIN, "websocket_ends", "a frame without a mask closes with 1002")
def no_mask(server: Server) -> object:
    return end_after(server, b"\x81\x01a")


@on(PLAIN, "websocket_ends", "an unknown opcode closes with 1002")
def unknown_opcode(server: Server) -> object:
    return end_after(server, b"\x83\x80" + MASK)


@on(PLAIN, "websocket_ends", "an app that does not read holds the client back, and loses nothing")
def slow_app(server: Server) -> object:
    size = 1_000_000
    frame = b"\x82\xff" + size.to_bytes(8, "big") + MASK + bytes(size)
    with Connection(server) as connection:
        connection.send(request("/slow?key=slow", headers=HANDSHAKE))
        connection.answer()
        sent = _send_until_blocked(connection, frame * 40)
        ask(server, "/open?key=slow")
        connection.send((frame * 40)[sent:] + b"\x88\x80" + MASK)
        connection.rest()
    return sent < len(frame) * 30, notes(server, "slow")


def _send_until_blocked(connection: Connection, data: bytes) -> int:
    connection.socket.setblocking(False)
    sent = 0
    while sent < len(data) and select.select([], [connection.socket], [], 0.5)[1]:
        try:
            sent += connection.socket.send(data[sent : sent + 1_000_000])
        except BlockingIOError:
            continue
    connection.socket.settimeout(10)
    return sent
