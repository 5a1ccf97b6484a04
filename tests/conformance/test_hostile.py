"""A hostile sender over a real connection: refused, counted by reason, and memory stays bounded."""

from __future__ import annotations

import gzip
import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from outgrow.telemetry import resident_bytes
from outgrow.telemetry.otlp.limits import ITEMS_MAX, NAMES_MAX
from tests.conformance.serving import DAY_NS, Receiving, receiving

MEBIBYTE = 1024**2
MILLION = 1_000_000
NOW_NS = time.time_ns()
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
        span = spans.add(trace_id=b"t" * 16, span_id=b"s" * 8, name=f"GET /{number}", kind=1)
        span.start_time_unix_nano = span.end_time_unix_nano = NOW_NS
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
    assert lost(ours) == {
        "requests of traces by OTLP (size)": 5,
        "requests of traces by OTLP (broken)": 5,
        "spans by OTLP (names)": 10_000,
    }


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_million_names_are_refused_and_remembered_as_a_count(ours: Receiving) -> None:
    assert post(ours, spans_named(0, ITEMS_MAX)) == 200
    before = resident_bytes()
    most = before
    for first in range(ITEMS_MAX, MILLION, ITEMS_MAX):
        assert post(ours, spans_named(first, ITEMS_MAX)) == 200
        most = max(most, resident_bytes())
    assert most - before < 150 * MEBIBYTE
    assert ours.receiver.counts.items == {"traces": NAMES_MAX}
    assert lost(ours) == {"spans by OTLP (names)": MILLION - NAMES_MAX}
    ours.archive.write(is_all=True)
    assert ours.archive.health().kept_bytes < 16 * MEBIBYTE


def lost(ours: Receiving) -> dict[str, int]:
    """What the archive tells of today that was not kept."""
    return dict(ours.archive.lost(NOW_NS - DAY_NS, time.time_ns() + 10**9))
