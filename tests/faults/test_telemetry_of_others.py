"""Prometheus, Sentry and OpenTelemetry in the app keep working, neither replaced nor doubled."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from .harness import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Start
    from .harness import Supervised

pytestmark = pytest.mark.timeout(60)


def test_prometheus_counts_over_workers_and_reloads(start: Start, tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    folder = tmp_path / "prometheus"
    folder.mkdir()
    env = {"PROMETHEUS_MULTIPROC_DIR": str(folder)}
    server = start("--workers", "2", app="prometheus_app:app", env=env).until_ready(2)
    first = {server.get("/order", method="POST")["pid"] for _ in range(40)}
    assert len(first) == 2
    server.reload()
    server.until_whole(2, without=tuple(first))
    # One that drains still serves what it was given before.
    wait_until(
        lambda: not first & {each["pid"] for each in server.status()["workers"]},
        15,
        "the end of the workers before",
    )
    second = {server.get("/order", method="POST")["pid"] for _ in range(40)}
    assert not first & second
    assert "orders_total 80.0" in _text(server, "/metrics")


@pytest.mark.slow
def test_sentry_reports_one_exception_once(start: Start) -> None:
    pytest.importorskip("sentry_sdk")
    with _sentry_dummy() as (port, events):
        env = {"SENTRY_DSN": f"http://key@127.0.0.1:{port}/1"}
        server = start("--workers", "2", app="sentry_app:app", env=env).until_ready(2)
        for number in range(1, 4):
            assert "Internal Server Error" in _text(server, "/fail")
            wait_until(lambda number=number: len(events) >= number, 15, f"event {number}")
        server.reload()
        server.until_whole(2)
        assert "Internal Server Error" in _text(server, "/fail")
        wait_until(lambda: len(events) >= 4, 15, "the event of the new version")
        assert server.stop() == 0  # stopping flushes what the SDK still holds
    assert events == ["reported once"] * 4


def test_a_provider_of_the_app_gets_exactly_its_spans(start: Start, tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.sdk")
    server = start("--workers", "2", app="tracing_app:app").until_ready(2)
    assert all(server.get("/traced")["own"] for _ in range(10))
    server.reload()
    assert all(server.get("/traced")["own"] for _ in range(10))
    assert server.stop() == 0
    lines = [line for path in tmp_path.glob("spans-*.log") for line in path.read_text().split("\n")]
    assert [line for line in lines if line] == ["place-order"] * 20


def _text(server: Supervised, target: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=15)
    try:
        connection.request("GET", target, headers={"Connection": "close"})
        return connection.getresponse().read().decode()
    finally:
        connection.close()


@contextmanager
def _sentry_dummy() -> Iterator[tuple[int, list[str]]]:
    events: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            plain = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
            events.extend(_messages(plain))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    dummy = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=dummy.serve_forever, daemon=True).start()
    try:
        yield dummy.server_address[1], events
    finally:
        dummy.shutdown()
        dummy.server_close()


def _messages(envelope: bytes) -> list[str]:
    lines = [line for line in envelope.split(b"\n") if line.startswith(b"{")]
    found: list[str] = []
    for before, payload in pairwise(lines):
        if json.loads(before).get("type") == "event":
            values = json.loads(payload)["exception"]["values"]
            found.append(values[-1]["value"])
    return found
