"""Requests that are too big: each limit answers with its own status, and the connection ends."""

from __future__ import annotations

import contextlib

import pytest

from tests.parity.servers import Server
from tests.parity.wire import Connection, ask, request

from .conftest import BODY_BYTES_MAX, HEADER_BYTES_MAX

BIG = HEADER_BYTES_MAX * 2
ENDLESS_BYTES = 30_000_000


def refusal(server: Server, data: bytes) -> tuple[int, bool]:
    """The status with which it is refused, and whether the connection ends then."""
    with Connection(server) as connection:
        with contextlib.suppress(OSError):
            connection.send(data)
        return connection.answer().status, connection.is_closed()


HEADERS = {
    "one header": [("X-A", "a" * BIG)],
    "many headers": [(f"X-{number}", "a" * 40) for number in range(BIG // 40)],
    "many headers of nothing": [(f"X-{number}", "") for number in range(BIG // 4)],
    "a long name": [("X-" + "a" * BIG, "1")],
}


@pytest.mark.parametrize("headers", HEADERS.values(), ids=HEADERS)
def test_headers_past_the_limit_get_431(server: Server, headers: list[tuple[str, str]]) -> None:
    assert refusal(server, request("/front", headers=headers)) == (431, True)


def test_headers_past_the_limit_are_refused_before_they_end(server: Server) -> None:
    unfinished = request("/front", headers=[("X-A", "a" * BIG)]).removesuffix(b"\r\n\r\n")
    assert refusal(server, unfinished) == (431, True)


def test_headers_without_end_are_refused_while_they_come(server: Server) -> None:
    with Connection(server) as connection:
        connection.send(b"GET / HTTP/1.1\r\n")
        sent = 0
        try:
            while sent < 50_000_000:
                connection.send(b"X-A: " + b"a" * 60_000 + b"\r\n")
                sent += 60_000
        except OSError:
            pass
        assert sent < 50_000_000


def test_headers_without_end_behind_a_request_in_flight_are_refused_too(server: Server) -> None:
    with Connection(server) as connection:
        connection.send(request("/late") + b"GET / HTTP/1.1\r\n")
        sent = 0
        try:
            while sent < ENDLESS_BYTES:
                connection.send(b"X-A: " + b"a" * 60_000 + b"\r\n")
                sent += 60_000
        except OSError:
            pass
        assert sent < ENDLESS_BYTES


def test_a_large_body_that_nobody_reads_is_not_taken_for_headers(server: Server) -> None:
    data = b"x" * BODY_BYTES_MAX
    with Connection(server) as connection:
        connection.send(
            request("/pid", method="POST", headers=[("Content-Length", str(len(data)))])
        )
        assert connection.answer().status == 200
        connection.send(data + request("/pid"))
        assert connection.answer().status == 200


def test_a_request_line_past_the_limit_is_refused(server: Server) -> None:
    status, is_closed = refusal(server, request("/front?" + "q" * BIG))
    assert status in (414, 431)
    assert is_closed


def test_headers_just_below_the_limit_are_served(server: Server) -> None:
    headers = [("X-A", "a" * (HEADER_BYTES_MAX - 200))]
    assert ask(server, "/front", headers=headers).status == 200


def test_headers_of_each_request_on_a_connection_are_counted_alone(server: Server) -> None:
    with Connection(server) as connection:
        for _ in range(4):
            connection.send(request("/front", headers=[("X-A", "a" * (HEADER_BYTES_MAX - 200))]))
            assert connection.answer().status == 200


def test_pipelined_requests_are_counted_one_by_one(server: Server) -> None:
    with Connection(server) as connection:
        connection.send(request("/front", headers=[("X-A", "a" * 4000)]) * 6)
        assert [connection.answer().status for _ in range(6)] == [200] * 6


def test_a_head_that_begins_behind_whole_requests_is_counted_from_its_own_start(
    server: Server,
) -> None:
    data = request("/front", headers=[("X-A", "a" * 4000)]) * 6
    with Connection(server) as connection:
        connection.send(data[:-100])
        first = [connection.answer().status for _ in range(5)]
        connection.send(data[-100:])
        assert [*first, connection.answer().status] == [200] * 6


def test_a_body_whose_length_is_past_the_limit_gets_413_before_it_comes(server: Server) -> None:
    headers = [("Content-Length", str(BODY_BYTES_MAX + 1))]
    with Connection(server) as connection:
        connection.send(request("/front", method="POST", headers=headers))
        assert connection.answer().status == 413


def test_a_client_that_sends_its_whole_body_first_still_reads_the_refusal(server: Server) -> None:
    size = BODY_BYTES_MAX * 2
    with Connection(server) as connection:
        headers = [("Content-Length", str(size))]
        connection.send(request("/front", method="POST", headers=headers))
        for _ in range(20):
            connection.send(b"x" * (size // 20))
        assert connection.rest()[:12] == b"HTTP/1.1 413"


def test_a_client_that_expects_to_continue_is_told_413(server: Server) -> None:
    headers = [("Content-Length", str(BODY_BYTES_MAX + 1)), ("Expect", "100-continue")]
    with Connection(server) as connection:
        connection.send(request("/front", method="POST", headers=headers))
        assert connection.answer().status == 413


def test_a_chunked_body_past_the_limit_is_cut(server: Server) -> None:
    chunk = b"%x\r\n%s\r\n" % (100_000, b"x" * 100_000)
    with Connection(server) as connection:
        headers = [("Transfer-Encoding", "chunked")]
        connection.send(request("/front?cut", method="POST", headers=headers))
        for _ in range(2 * BODY_BYTES_MAX // 100_000):
            connection.send(chunk)
        assert connection.rest()[:12] == b"HTTP/1.1 413"
    assert ask(server, "/notes?cut").value() == [None]


def test_a_body_at_the_limit_is_served(server: Server) -> None:
    answer = ask(server, "/late", method="POST", body=b"x" * BODY_BYTES_MAX)
    assert answer.value() == BODY_BYTES_MAX


def sent_before_refusal(server: Server, start: bytes, piece: bytes) -> int:
    """How many bytes of an endless line or list the server takes before it refuses."""
    headers = [("Transfer-Encoding", "chunked")]
    sent = 0
    with Connection(server) as connection:
        connection.send(request("/front", method="POST", headers=headers) + start)
        with contextlib.suppress(OSError):
            while sent < ENDLESS_BYTES:
                connection.send(piece)
                sent += len(piece)
    return sent


def test_trailers_without_end_are_refused_while_they_come(server: Server) -> None:
    piece = b"X-A: aaaaaaaa\r\n" * 5000
    assert sent_before_refusal(server, b"0\r\n", piece) < ENDLESS_BYTES


def test_a_chunk_extension_without_end_is_refused_while_it_comes(server: Server) -> None:
    assert sent_before_refusal(server, b"3;", b"a" * 75_000) < ENDLESS_BYTES


def test_chunks_of_one_byte_with_long_extensions_are_refused(server: Server) -> None:
    piece = b"1;" + b"a" * 1000 + b"\r\nx\r\n"
    assert sent_before_refusal(server, b"", piece * 75) < ENDLESS_BYTES
