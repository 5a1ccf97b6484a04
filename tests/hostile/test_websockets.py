"""WebSocket clients that mean harm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.parity.behave_websocket import HANDSHAKE
from tests.parity.servers import Server
from tests.parity.wire import Connection, ask, request

if TYPE_CHECKING:
    from .conftest import Neighbour

MASK = bytes(4)


def frame(opcode: int, data: bytes, *, final: bool = True) -> bytes:
    """A masked frame of less than 126 bytes."""
    return bytes([opcode | 0x80 * final, 0x80 | len(data)]) + MASK + data


def opened(server: Server, key: str) -> Connection:
    """A raw WebSocket."""
    connection = Connection(server)
    connection.send(request(f"/talk?{key}", headers=HANDSHAKE))
    assert connection.answer().status == 101
    return connection


def test_a_client_that_never_reads_is_cut_and_the_app_is_told(
    server: Server, neighbour: Neighbour
) -> None:
    with opened(server, "ws-unread") as connection:
        connection.send(frame(1, b"flood"))
        assert neighbour.is_served()
        assert ask(server, "/notes?ws-unread").value()


def test_a_frame_that_promises_too_much_is_refused_before_it_comes(server: Server) -> None:
    with opened(server, "ws-huge") as connection:
        connection.send(b"\x82\xff" + (2**62).to_bytes(8, "big") + MASK)
        assert connection.rest()[:4] == b"\x88" + connection_close_length() + b"\x03\xf1"


def connection_close_length() -> bytes:
    """The length byte of the close frame for a message that is too big."""
    reason = b"frame with 4611686018427387904 bytes exceeds limit of 16777216 bytes"
    return bytes([2 + len(reason)])


def test_fragments_without_end_are_cut_at_the_message_limit(server: Server) -> None:
    piece = b"\x00\xff" + (1_000_000).to_bytes(8, "big") + MASK + bytes(1_000_000)
    with opened(server, "ws-fragments") as connection:
        connection.send(frame(2, b"a", final=False))
        sent = 0
        try:
            for _ in range(100):
                connection.send(piece)
                sent += 1
        except OSError:
            pass
        assert sent < 100


def test_a_control_frame_that_is_too_long_is_refused(server: Server) -> None:
    with opened(server, "ws-control") as connection:
        connection.send(b"\x89\xfe\x00\x7e" + MASK + bytes(126))
        assert connection.rest()[2:4] == b"\x03\xea"


def test_requests_after_a_refused_upgrade_are_not_answered(server: Server) -> None:
    with Connection(server) as connection:
        bad = [pair for pair in HANDSHAKE if pair[0] != "Sec-WebSocket-Key"]
        connection.send(request("/talk", headers=bad) + request("/smuggled-upgrade"))
        assert connection.rest().count(b"HTTP/1.1 ") == 1
    assert "GET /smuggled-upgrade" not in ask(server, "/reached").value()
