"""A hostile sender over a real connection: refused, counted by reason, and memory stays bounded."""

from __future__ import annotations

import gzip
import http.client
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from outgrow.telemetry import resident_bytes
from tests.conformance.serving import Receiving, receiving

MEBIBYTE = 1024**2
HEAD = "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Receiving]:
    with receiving(tmp_path) as found:
        yield found


@contextmanager
def connected(ours: Receiving) -> Iterator[socket.socket]:
    address = urlsplit(ours.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as sock:
        yield sock


def post(ours: Receiving, body: bytes, **headers: str) -> int:
    """The status of the answer to a body."""
    connection = http.client.HTTPConnection(urlsplit(ours.url).netloc, timeout=15)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(
        "POST", "/v1/traces", body, {"content-type": "application/x-protobuf", **named}
    )
    status = connection.getresponse().status
    connection.close()
    return status


def spans_named(first: int, count: int) -> bytes:
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for number in range(first, first + count):
        spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name=f"GET /{number}", kind=1)
    return request.SerializeToString()


def test_ten_gigabytes_claimed_are_refused_before_any_is_sent(ours: Receiving) -> None:
    with connected(ours) as sock:
        sock.sendall(f"{HEAD}Content-Length: {10 * 1024**3}\r\n\r\n".encode())
        assert sock.recv(1000).startswith(b"HTTP/1.1 413")
    assert ours.receiver.counts.refused_requests == {("traces", "size"): 1}


def test_a_sender_without_a_length_is_cut_off_when_it_is_too_much(ours: Receiving) -> None:
    piece = b"100000\r\n" + bytes(MEBIBYTE) + b"\r\n"
    sent = 0
    with connected(ours) as sock:
        sock.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        try:
            for _ in range(200):
                sock.sendall(piece)
                sent += MEBIBYTE
        except OSError:
            pass
    assert sent < 64 * MEBIBYTE
    assert ours.receiver.counts.refused_requests == {("traces", "size"): 1}


def test_bombs_nonsense_and_a_flood_of_names_leave_memory_as_it_was(ours: Receiving) -> None:
    bomb = gzip.compress(bytes(200 * MEBIBYTE), compresslevel=1)
    assert post(ours, spans_named(0, 10)) == 200
    before = resident_bytes()
    for _ in range(5):
        assert post(ours, bomb, content_encoding="gzip") == 413
        assert post(ours, b"\x0a\xff\xff\xff\xff\x0f" * 1000) == 400
    for first in range(0, 20_000, 1000):
        assert post(ours, spans_named(first, 1000)) == 200
    grown = resident_bytes() - before
    assert grown < 150 * MEBIBYTE
    counts = ours.receiver.counts
    assert counts.refused_requests == {("traces", "size"): 5, ("traces", "broken"): 5}
    assert counts.refused_items == {("traces", "names"): 10_000}
    assert counts.items == {"traces": 10_010}
