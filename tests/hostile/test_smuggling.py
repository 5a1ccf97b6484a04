"""Requests that two servers could read in two ways: refused, or read in exactly one."""

from __future__ import annotations

import select

import pytest

from tests.parity.servers import Server
from tests.parity.wire import Connection, ask

HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: probe\r\n\r\n"
ASK = b"POST /front HTTP/1.1\r\nHost: probe\r\n"
CHUNKED = ASK + b"Transfer-Encoding: chunked\r\n\r\n"

REFUSED = {
    "content-length and transfer-encoding": ASK
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "transfer-encoding and content-length": ASK
    + b"Transfer-Encoding: chunked\r\nContent-Length: 60\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "two different content-lengths": ASK
    + b"Content-Length: 0\r\nContent-Length: 40\r\n\r\n"
    + HIDDEN,
    "a list of content-lengths": ASK + b"Content-Length: 0, 40\r\n\r\n" + HIDDEN,
    "content-length negative": ASK + b"Content-Length: -1\r\n\r\n" + HIDDEN,
    "content-length with a plus": ASK + b"Content-Length: +40\r\n\r\n" + HIDDEN,
    "content-length in hex": ASK + b"Content-Length: 0x28\r\n\r\n" + HIDDEN,
    "content-length with a blank inside": ASK + b"Content-Length: 4 0\r\n\r\n" + HIDDEN,
    "content-length with an underscore": ASK + b"Content-Length: 4_0\r\n\r\n" + HIDDEN,
    "content-length past 64 bits": ASK + b"Content-Length: 18446744073709551617\r\n\r\n" + HIDDEN,
    "content-length empty": ASK + b"Content-Length:\r\n\r\n" + HIDDEN,
    "transfer-encoding of another kind": ASK + b"Transfer-Encoding: xchunked\r\n\r\n" + HIDDEN,
    "transfer-encoding chunked not last": ASK
    + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "transfer-encoding twice, the last unknown": ASK
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "transfer-encoding with a blank before the colon": ASK
    + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "transfer-encoding with a vertical tab": ASK
    + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "transfer-encoding with a nul": ASK + b"Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n" + HIDDEN,
    "transfer-encoding in a folded line": ASK
    + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"
    + HIDDEN,
    "a folded line": ASK + b"X-A: 1\r\n Content-Length: 40\r\n\r\n" + HIDDEN,
    "a first header that begins with a blank": b"POST /front HTTP/1.1\r\n Host: probe\r\n\r\n"
    + HIDDEN,
    "a header without a colon": ASK + b"Content-Length\r\n\r\n" + HIDDEN,
    "a header without a name": ASK + b": 40\r\n\r\n" + HIDDEN,
    "a header name with a blank": ASK + b"Content Length: 40\r\n\r\n" + HIDDEN,
    "a header name with a tab at its end": ASK + b"Content-Length\t: 40\r\n\r\n" + HIDDEN,
    "a header name with a nul": ASK + b"Content-\0Length: 40\r\n\r\n" + HIDDEN,
    "a header value with a nul": ASK + b"X-A: 1\x002\r\n\r\n" + HIDDEN,
    "a header value with a bare carriage return": ASK
    + b"X-A: 1\rContent-Length: 40\r\n\r\n"
    + HIDDEN,
    "headers that end in bare line feeds": ASK.replace(b"\r", b"")
    + b"Content-Length: 0\n\n"
    + HIDDEN,
    "a chunk size with garbage": CHUNKED + b"0x\r\n\r\n" + HIDDEN,
    "a chunk size with a prefix": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n" + HIDDEN,
    "a chunk size with a sign": CHUNKED + b"-1\r\nabc\r\n0\r\n\r\n" + HIDDEN,
    "a chunk size with a plus": CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n" + HIDDEN,
    "a chunk size with a blank before": CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n" + HIDDEN,
    "a chunk size past 64 bits": CHUNKED + b"10000000000000003\r\nabc\r\n0\r\n\r\n" + HIDDEN,
    "a chunk size that is empty": CHUNKED + b"\r\nabc\r\n0\r\n\r\n" + HIDDEN,
    "a chunk that ends without a line break": CHUNKED + b"3\r\nabcX0\r\n\r\n" + HIDDEN,
    "a chunk that ends in other bytes": CHUNKED + b"3\r\nabcXX0\r\n\r\n" + HIDDEN,
    "chunks that end in bare line feeds": CHUNKED + b"3\nabc\n0\n\n" + HIDDEN,
    "a chunk extension with a bare line feed": CHUNKED + b"3;a\nb\r\nabc\r\n0\r\n\r\n" + HIDDEN,
    "a request line with a blank in the target": b"GET /a /smuggled HTTP/1.1\r\n\r\n" + HIDDEN,
    "a request line with a nul": b"GET /a\0b HTTP/1.1\r\n\r\n" + HIDDEN,
    "a request line with bytes past ASCII in the method": b"G\xc9T / HTTP/1.1\r\n\r\n" + HIDDEN,
    "a request line with a tab": b"GET\t/\tHTTP/1.1\r\n\r\n" + HIDDEN,
    "a version that is none": b"GET / HTTP/1.x\r\n\r\n" + HIDDEN,
    "a version of many digits": b"GET / HTTP/11.1\r\n\r\n" + HIDDEN,
    "another protocol": b"GET / ICE/1.0\r\n\r\n" + HIDDEN,
    "a method of many letters": b"A" * 4000 + b" / HTTP/1.1\r\n\r\n" + HIDDEN,
}

# Each may be refused, or read so: these requests and no others reach the app.
ONE_WAY = {
    "the same content-length twice": (
        ASK + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc" + HIDDEN,
        ["POST /front", "GET /smuggled"],
    ),
    "a body that looks like a request": (
        ASK + b"Content-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
        ["POST /front"],
    ),
    "a chunk that looks like a request": (
        CHUNKED + b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n",
        ["POST /front"],
    ),
    "a body of GET": (
        b"GET /front HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
        ["GET /front"],
    ),
    "an absolute target": (
        b"GET http://elsewhere.test/front HTTP/1.1\r\nHost: probe\r\n\r\n",
        ["GET /front"],
    ),
    "line breaks in the target, percent-encoded": (
        b"GET /front%0d%0aContent-Length:%2040%0d%0a%0d%0a HTTP/1.1\r\nHost: probe\r\n\r\n",
        ["GET /front\r\nContent-Length: 40\r\n\r\n"],
    ),
    "chunked in HTTP/1.0": (
        b"POST /front HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
        ["POST /front"],
    ),
    "data after a connection that is to close": (
        ASK + b"Connection: close\r\nContent-Length: 0\r\n\r\n" + HIDDEN,
        ["POST /front"],
    ),
    "an upgrade to another protocol": (
        ASK
        + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN)
        + HIDDEN,
        ["POST /front"],
    ),
    "a trailer that looks like framing": (
        CHUNKED + b"0\r\nContent-Length: %d\r\n\r\n" % len(HIDDEN) + HIDDEN,
        ["POST /front", "GET /smuggled"],
    ),
    "a length in a header with an underscore": (
        ASK + b"Content_Length: %d\r\nContent-Length: 0\r\n\r\n" % len(HIDDEN) + HIDDEN,
        ["POST /front", "GET /smuggled"],
    ),
}


SILENCE_SECONDS = 0.2


def reached(server: Server) -> list[str]:
    """The requests that reached the app, without this room's own."""
    own = ("GET /reached", "GET /hello", "GET /pid")
    return [each for each in ask(server, "/reached").value() if each not in own]


def responses(server: Server, data: bytes) -> list[bytes]:
    """The status codes of all that a server answers until it closes."""
    with Connection(server) as connection:
        connection.send(data)
        return [part.split(b" ")[0] for part in connection.rest().split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_an_ambiguous_request_is_refused_and_nothing_after_it_is_read(
    server: Server, data: bytes
) -> None:
    before = reached(server)
    codes = responses(server, data)
    fresh = reached(server)[len(before) :]
    assert codes[-1:] == [b"400"]
    assert len(codes) == 1
    assert "GET /smuggled" not in fresh


@pytest.mark.parametrize(("data", "requests"), ONE_WAY.values(), ids=ONE_WAY)
def test_an_unusual_request_is_read_in_exactly_one_way_or_refused(
    server: Server, data: bytes, requests: list[str]
) -> None:
    before = reached(server)
    with Connection(server) as connection:
        connection.send(data)
        codes = answered(connection, len(requests))
        is_silent = not select.select([connection.socket], [], [], SILENCE_SECONDS)[0]
        assert is_silent or connection.is_closed()
    fresh = reached(server)[len(before) :]
    # A request refused in its body may have reached the app, whose answer then nobody gets.
    assert codes == [200] * len(requests) or codes == [200] * (len(codes) - 1) + [400]
    assert fresh == requests[: len(fresh)]


def answered(connection: Connection, count: int) -> list[int]:
    """The status codes of so many responses, or up to one that refuses."""
    codes: list[int] = []
    while len(codes) < count and 400 not in codes:
        codes.append(connection.answer().status)
    return codes


def test_trailers_never_become_headers(server: Server) -> None:
    with Connection(server) as connection:
        connection.send(CHUNKED + b"3\r\nabc\r\n0\r\nX-Trailer: 1\r\n\r\n")
        answer = connection.answer()
    assert answer.status == 400 or answer.value() == ("POST", "/front", b"abc", [])
