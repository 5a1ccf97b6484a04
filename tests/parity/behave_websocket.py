"""WebSocket: the handshake, messages both ways, and limits."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from .launches import PLAIN, launch
from .registry import on
from .servers import Server
from .wire import Connection, ask, notes, request

SMALL = launch(
    ws_message_bytes_max="1000",
    ws_deflate=False,
    ws_ping_seconds="0.2",
    ws_ping_timeout_seconds="0.3",
    root_path="/api",
)
HANDSHAKE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
]


@contextmanager
def socket(server: Server, target: str, **how: Any) -> Iterator[ClientConnection]:
    """A WebSocket of an ordinary client."""
    assert not isinstance(server.address, str)
    host, port = server.address
    with connect(f"ws://{host}:{port}{target}", proxy=None, close_timeout=5, **how) as opened:
        yield opened


def handshake(server: Server, target: str, headers: list[tuple[str, str]]) -> object:
    """The answer to a raw handshake, its accept key and date blanked."""
    with Connection(server) as connection:
        connection.send(request(target, headers=headers))
        answer = connection.answer()
        return answer.shape()


def refusal(server: Server, target: str) -> object:
    """How a handshake is refused."""
    try:
        with socket(server, target):
            return "accepted"
    except InvalidStatus as error:
        found = error.response
        headers = [
            (k.lower(), "..." if k.lower() == "date" else v) for k, v in found.headers.raw_items()
        ]
        return found.status_code, headers, bytes(found.body or b"")


def scope(server: Server, target: str, **how: Any) -> dict[str, Any]:
    """The scope that the app saw, with ports and the key blanked."""
    with socket(server, target, **how) as opened:
        seen: dict[str, Any] = ast.literal_eval(str(opened.recv()))
    for name in ("client", "server"):
        seen[name] = (seen[name][0], "port")
    blank = (b"sec-websocket-key", b"host")
    seen["headers"] = [(k, b"..." if k.lower() in blank else v) for k, v in seen["headers"]]
    return seen


@on(PLAIN, "websocket", "the scope, whole")
def whole_scope(server: Server) -> object:
    headers = {"X-Mixed-Case": "1", "Cookie": "a=1"}
    seen = scope(server, "/scope/a%20b?q=%201", additional_headers=headers, subprotocols=["b", "a"])
    seen["state"] = seen["state"]["greeting"]
    return seen


@on(SMALL, "websocket", "`root_path` in the scope")
def rooted_scope(server: Server) -> object:
    seen = scope(server, "/scope/a%20b")
    return seen["root_path"], seen["path"], seen["raw_path"]


@on(PLAIN, "websocket", "the handshake's answer, whole")
def whole_handshake(server: Server) -> object:
    return handshake(server, "/echo", HANDSHAKE)


@on(PLAIN, "websocket", "the first message is `websocket.connect`")
def connect_message(server: Server) -> object:
    with socket(server, "/connect-message") as opened:
        return opened.recv()


@on(PLAIN, "websocket", "text is echoed as text, bytes as bytes")
def echo(server: Server) -> object:
    with socket(server, "/echo") as opened:
        seen: list[object] = []
        for message in ("caf\xe9 \U0001f375", b"\x00\xff", "", b""):
            opened.send(message)
            seen.append(opened.recv())
        return seen


@on(PLAIN, "websocket", "the keys of a received message")
def message_keys(server: Server) -> object:
    with socket(server, "/keys") as opened:
        opened.send("a")
        opened.send(b"b")
        return opened.recv(), opened.recv()


@on(PLAIN, "websocket", "a message in fragments arrives as one")
def fragments(server: Server) -> object:
    with socket(server, "/echo") as opened:
        opened.send(["one ", "two ", "three"])
        opened.send([b"a", b"b"])
        return opened.recv(), opened.recv()


@on(PLAIN, "websocket", "a ping is answered, also between fragments")
def ping(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/echo", headers=HANDSHAKE))
        connection.answer()
        mask = bytes(4)
        connection.send(b"\x01\x81" + mask + b"a" + b"\x89\x82" + mask + b"hi")
        pong = connection.take(4)
        connection.send(b"\x80\x81" + mask + b"b")
        return pong, connection.take(4)


@on(PLAIN, "websocket", "a subprotocol is offered, chosen and answered")
def subprotocol(server: Server) -> object:
    with socket(server, "/protocol?choose=b", subprotocols=["a", "b"]) as opened:
        return opened.subprotocol, opened.recv()


@on(PLAIN, "websocket", "headers of `websocket.accept` are sent")
def accept_headers(server: Server) -> object:
    return handshake(server, "/headers", HANDSHAKE)


@on(PLAIN, "websocket", "compression is agreed on where the client offers it")
def deflate(server: Server) -> object:
    offer = [*HANDSHAKE, ("Sec-WebSocket-Extensions", "permessage-deflate")]
    with socket(server, "/echo") as opened:
        opened.send("a" * 100_000)
        same = opened.recv() == "a" * 100_000
    return handshake(server, "/echo", offer), same


@on(SMALL, "websocket", "no compression with `ws_deflate=false`")
def no_deflate(server: Server) -> object:
    offer = [*HANDSHAKE, ("Sec-WebSocket-Extensions", "permessage-deflate")]
    return handshake(server, "/echo", offer)


@on(PLAIN, "websocket", "a close before the accept refuses with 403")
def rejects(server: Server) -> object:
    return refusal(server, "/reject?key=reject"), notes(server, "reject")


@on(PLAIN, "websocket", "`websocket.http.response` refuses with a response of the app's own")
def response(server: Server) -> object:
    return refusal(server, "/response?key=response"), notes(server, "response")


@on(PLAIN, "websocket", "an exception before the accept refuses with 500")
def raises(server: Server) -> object:
    return refusal(server, "/raises")


@on(PLAIN, "websocket", "an app that returns without accepting refuses with 500")
def nothing(server: Server) -> object:
    return refusal(server, "/nothing")


@on(PLAIN, "websocket", "a message before the accept raises in the app")
def send_first(server: Server) -> object:
    return refusal(server, "/send-first?key=first"), notes(server, "first")


@on(PLAIN, "websocket", "a handshake without a key")
def no_key(server: Server) -> object:
    return handshake(server, "/echo", [pair for pair in HANDSHAKE if "Key" not in pair[0]])


@on(PLAIN, "websocket", "a handshake of another version")
def wrong_version(server: Server) -> object:
    return handshake(server, "/echo", [*HANDSHAKE[:3], ("Sec-WebSocket-Version", "12")])


@on(PLAIN, "websocket", "a handshake by POST")
def by_post(server: Server) -> object:
    with Connection(server) as connection:
        connection.send(request("/echo", method="POST", headers=HANDSHAKE))
        return connection.answer().shape()


@on(PLAIN, "websocket", "a plain request to a WebSocket's path is HTTP")
def plain_request(server: Server) -> object:
    return ask(server, "/keys").status_line


@on(PLAIN, "websocket", "20 000 messages arrive in order")
def many(server: Server) -> object:
    with socket(server, "/slow?key=many", compression=None) as opened:
        ask(server, "/open?key=many")
        for _ in range(20_000):
            opened.send(b"12345")
    return notes(server, "many")
