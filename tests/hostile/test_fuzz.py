"""Bytes at random, and requests with a few bytes wrong: the worker stays alive, the same one."""

from __future__ import annotations

import contextlib
import socket

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.parity.servers import Server
from tests.parity.wire import Connection, ask, request

WHOLE = (
    request("/front?fuzz", headers=[("X-A", "1"), ("Cookie", "a=b")]),
    request("/front?fuzz", method="POST", body=b"abcdef"),
    request("/front?fuzz", method="POST", headers=[("Transfer-Encoding", "chunked")])
    + b"3\r\nabc\r\n0\r\n\r\n",
    request(
        "/talk?fuzz",
        headers=[
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
        ],
    )
    + b"\x81\x85"
    + bytes(4)
    + b"hello"
    + b"\x88\x80"
    + bytes(4),
)
TOKENS = (b"\r\n", b"\n", b"\0", b" ", b":", b",", b"chunked", b"0", b"-1", b"\xff", b"HTTP/1.1")


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good request in which a few places were overwritten, inserted or cut out."""
    data = draw(st.sampled_from(WHOLE))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 5)))
        piece = draw(st.sampled_from(TOKENS) | st.binary(max_size=4))
        data = data[:start] + piece + data[end:]
    return data


def attack(server: Server, data: bytes) -> None:
    """Send bytes, stop sending, read until the server closes."""
    with Connection(server) as connection, contextlib.suppress(ConnectionError, BrokenPipeError):
        connection.send(data)
        connection.socket.shutdown(socket.SHUT_WR)
        connection.rest()


FUZZ = settings(
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@FUZZ
@given(data=st.binary(max_size=200))
def test_random_bytes_leave_the_worker_alive(server: Server, worker: int, data: bytes) -> None:
    attack(server, data)
    assert ask(server, "/pid").value() == worker


@FUZZ
@given(data=damaged())
def test_damaged_requests_leave_the_worker_alive(server: Server, worker: int, data: bytes) -> None:
    attack(server, data)
    assert ask(server, "/pid").value() == worker
