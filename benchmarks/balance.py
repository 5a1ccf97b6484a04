"""How evenly connections spread over two workers: the share of the busier one."""

from __future__ import annotations

import socket
from collections import Counter
from contextlib import ExitStack

from . import servers
from .harness import Measurements, publish, turned
from .servers import Server

CONTENDERS = [servers.uvicorn(), servers.gunicorn(), servers.granian(), servers.outgrow()]
REQUEST = b"GET /pid HTTP/1.1\r\nHost: b\r\n\r\n"
WARM_REQUESTS = 4


def run(rounds: int, _: float) -> None:
    """Spread long and short connections over two workers of each contender, once a round."""
    measured = Measurements("balance")
    with ExitStack() as stack:
        running = [
            stack.enter_context(servers.serving(each, "raw:app", workers=2)) for each in CONTENDERS
        ]
        for server in running:
            server.until_answering()
            server.until_workers(2)
        for number in range(rounds + 4):
            for server in turned(running, number):
                _measure(measured, server)
    publish(measured)


def _measure(measured: Measurements, server: Server) -> None:
    for count in (8, 32):
        share = _busier_percent(_long(server, count))
        measured.add(server.name, f"busier of two: {count} long", share, "%")
    short = Counter(server.answers() for _ in range(1000))
    assert None not in short, f"{server.name} refused a connection"
    measured.add(server.name, "busier of two: 1000 short", _busier_percent(short), "%")


def _long(server: Server, count: int) -> Counter[int | None]:
    with ExitStack() as stack:
        address = ("127.0.0.1", server.port)
        wires = [
            stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(count)
        ]
        for _ in range(WARM_REQUESTS):
            for wire in wires:
                _pid(wire)
        return Counter(_pid(wire) for wire in wires)


def _pid(wire: socket.socket) -> int:
    wire.sendall(REQUEST)
    answer = b""
    while b"\r\n\r\n" not in answer or not answer.partition(b"\r\n\r\n")[2]:
        answer += wire.recv(65536)
    return int(answer.partition(b"\r\n\r\n")[2])


def _busier_percent(found: Counter[int | None]) -> float:
    return 100 * max(found.values()) / sum(found.values())
