"""Clients that take their time: slow headers, slow bodies, half-closed sockets, no reading."""

from __future__ import annotations

import contextlib
import select
import socket
from typing import TYPE_CHECKING

from tests.parity.servers import Server
from tests.parity.wire import Connection, ask, request

if TYPE_CHECKING:
    from .conftest import Neighbour

DRIBBLES_MAX = 80
DRIBBLE_SECONDS = 0.1
STEPS = 16
BLOCKED_SECONDS = 1.0


def is_cut_while_dribbling(connection: Connection, byte: bytes) -> bool:
    """Send a byte whenever the server says nothing for a while; whether it ends that."""
    for _ in range(DRIBBLES_MAX):
        if select.select([connection.socket], [], [], DRIBBLE_SECONDS)[0]:
            return True
        try:
            connection.send(byte)
        except OSError:
            return True
    return False


def status_of(data: bytes) -> bytes:
    """The status code of the first response; empty where there is none."""
    return data.split(b" ")[1] if data else b""


def test_a_client_that_sends_nothing_is_closed(server: Server) -> None:
    with Connection(server) as connection:
        assert status_of(connection.rest()) in (b"", b"408")


def test_headers_that_stop_half_way_are_closed(server: Server, neighbour: Neighbour) -> None:
    with Connection(server) as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: probe\r\nX-A: ")
        assert neighbour.is_served()
        assert status_of(connection.rest()) in (b"", b"408")


def test_headers_that_dribble_are_cut_although_bytes_keep_coming(server: Server) -> None:
    with Connection(server) as connection:
        connection.send(b"GET / HTTP/1.1\r\nHost: probe\r\nX-A: ")
        assert is_cut_while_dribbling(connection, b"a")


def test_slow_headers_of_a_second_request_are_cut_too(server: Server) -> None:
    with Connection(server) as connection:
        connection.send(request("/hello"))
        assert connection.answer().status == 200
        connection.send(b"GET / HTTP/1.1\r\nX-A: ")
        assert is_cut_while_dribbling(connection, b"a")


def test_fifty_slow_clients_at_once_are_all_cut(server: Server, neighbour: Neighbour) -> None:
    slow = [Connection(server) for _ in range(50)]
    for connection in slow:
        connection.send(b"GET / HTTP/1.1\r\nX-A: ")
    assert neighbour.is_served()
    assert all(status_of(connection.rest()) in (b"", b"408") for connection in slow)
    for connection in slow:
        connection.socket.close()


def test_a_body_that_stops_half_way_is_cut_and_the_app_is_told(server: Server) -> None:
    headers = [("Content-Length", "10")]
    with Connection(server) as connection:
        connection.send(request("/echo?half", method="POST", headers=headers) + b"12345")
        assert status_of(connection.rest()) in (b"", b"408")
    assert ask(server, "/notes?half").value() == [None]


def test_a_chunked_body_that_stops_half_way_is_cut(server: Server) -> None:
    headers = [("Transfer-Encoding", "chunked")]
    with Connection(server) as connection:
        connection.send(request("/echo?chunked", method="POST", headers=headers) + b"5\r\n123")
        assert status_of(connection.rest()) in (b"", b"408")
    assert ask(server, "/notes?chunked").value() == [None]


def test_a_body_that_comes_slowly_but_steadily_is_served(server: Server) -> None:
    headers = [("Content-Length", str(STEPS))]
    with Connection(server) as connection:
        connection.send(request("/echo", method="POST", headers=headers))
        for _ in range(STEPS):
            assert not select.select([connection.socket], [], [], DRIBBLE_SECONDS)[0]
            connection.send(b"a")
        assert connection.answer().value()[2] == b"a" * STEPS


def test_a_client_is_not_blamed_for_an_app_that_reads_late(server: Server) -> None:
    assert ask(server, "/late", method="POST", body=b"x" * 3_000_000).value() == 3_000_000


def test_a_client_that_shuts_its_writing_side_still_gets_its_response(server: Server) -> None:
    with Connection(server) as connection:
        connection.send(request("/echo"))
        connection.socket.shutdown(socket.SHUT_WR)
        assert connection.answer().status == 200


def test_a_half_closed_client_in_mid_body_is_closed_and_the_app_is_told(server: Server) -> None:
    headers = [("Content-Length", "10")]
    with Connection(server) as connection:
        connection.send(request("/echo?shut", method="POST", headers=headers) + b"12345")
        connection.socket.shutdown(socket.SHUT_WR)
        assert status_of(connection.rest()) in (b"", b"400", b"408")
    assert ask(server, "/notes?shut").value() == [None]


def test_a_client_that_never_reads_is_cut_and_the_app_is_told(
    server: Server, neighbour: Neighbour
) -> None:
    with Connection(server) as connection:
        connection.send(request("/download?unread"))
        assert neighbour.is_served()
        (sent,) = ask(server, "/notes?unread").value()
        assert sent < 640


def test_a_client_that_reads_slowly_but_steadily_gets_everything(server: Server) -> None:
    with Connection(server) as connection:
        connection.send(request("/download?steady", headers=[("Connection", "close")]))
        read = 0
        for _ in range(STEPS):
            select.select([], [], [], DRIBBLE_SECONDS)
            read += len(connection.take(500_000))
        assert read + len(connection.rest()) > 64_000_000


def test_a_client_that_pipelines_and_never_reads_is_held_back(
    server: Server, neighbour: Neighbour
) -> None:
    flood = request("/front", headers=[("X-A", "a" * 4000)]) * 20_000
    with Connection(server) as connection:
        assert sent_until_blocked(connection, flood) < len(flood) // 2
        assert neighbour.is_served()


def sent_until_blocked(connection: Connection, data: bytes) -> int:
    """Send until the kernel takes no more for a while, or the server cuts; how many bytes went."""
    connection.socket.setblocking(False)
    sent = 0
    with contextlib.suppress(ConnectionError):
        while sent < len(data) and select.select([], [connection.socket], [], BLOCKED_SECONDS)[1]:
            sent += connection.socket.send(data[sent : sent + 400_000])
    return sent
