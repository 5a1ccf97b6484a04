"""Streams and WebSockets at a reload: kept for drain_seconds, then closed and told so."""

from __future__ import annotations

import http.client
import signal
import time
from typing import TYPE_CHECKING

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from .harness import wait_until

if TYPE_CHECKING:
    from .conftest import Record, Start

DRAIN_SECONDS = 2


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_websocket_outlives_a_reload_for_drain_seconds_then_closes_with_1012(
    start: Start, record: Record
) -> None:
    server = start("--drain-seconds", str(DRAIN_SECONDS)).until_ready(1)
    with connect(f"ws://127.0.0.1:{server.port}/ws", open_timeout=10) as socket:
        old = int(socket.recv(timeout=10))
        server.send(signal.SIGHUP)  # SIGHUP: `apply` would wait for the drain
        wait_until(lambda: server.get("/pid")["pid"] != old, 20, "the new version to answer")
        turned_at = time.monotonic()
        socket.send("still here")
        assert socket.recv(timeout=10) == "still here"
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=20)
    assert closed.value.rcvd is not None, "cut without a close frame"
    assert closed.value.rcvd.code == 1012
    record(
        fault="WebSocket at a reload",
        metric="kept after the new version answers",
        value=time.monotonic() - turned_at,
        unit="s",
        target=f"<= {DRAIN_SECONDS} s",
    )
    server.until_whole(1, without=(old,))


@pytest.mark.timeout(60)
def test_a_stream_outlives_a_reload_for_drain_seconds(start: Start, record: Record) -> None:
    server = start("--drain-seconds", str(DRAIN_SECONDS)).until_ready(1)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", "/stream")
    response = connection.getresponse()
    old = int(response.readline())
    server.send(signal.SIGHUP)
    wait_until(lambda: server.get("/pid")["pid"] != old, 20, "the new version to answer")
    turned_at = time.monotonic()
    assert int(response.readline()) == old
    lines = _rest(response)
    assert set(lines) == {old}
    record(
        fault="stream at a reload",
        metric="kept after the new version answers",
        value=time.monotonic() - turned_at,
        unit="s",
        target=f"<= {DRAIN_SECONDS} s",
    )
    connection.close()
    server.until_whole(1, without=(old,))


@pytest.mark.timeout(60)
def test_a_websocket_is_closed_with_1012_at_a_stop(start: Start) -> None:
    server = start("--drain-seconds", "1").until_ready(1)
    with connect(f"ws://127.0.0.1:{server.port}/ws", open_timeout=10) as socket:
        socket.recv(timeout=10)
        server.send(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=20)
    assert closed.value.rcvd is not None, "cut without a close frame"
    assert closed.value.rcvd.code == 1012
    server.until_gone(15)


def _rest(response: http.client.HTTPResponse) -> list[int]:
    lines: list[int] = []
    while True:
        try:
            line = response.readline()
        except (OSError, http.client.IncompleteRead):
            return lines
        if not line.strip():
            return lines
        lines.append(int(line))
