"""What counting costs: one request through our protocol and through uvicorn's, without a network.

Each runs in a process of its own, since ours replaces a class of uvicorn's when it is imported. A
transport that throws away what it is given stands in for the socket, and the app does nothing, so
that what is left is the protocol. `python -m benchmarks.count NAME` is one such process.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from uvicorn.server import ServerState

from .harness import Measurements, publish, turned

CALLS = 2000
SLICES = 60
REQUEST = b"GET /items/1 HTTP/1.1\r\nHost: b\r\nUser-Agent: b\r\nAccept: */*\r\n\r\n"
NAMES = ["uvicorn", "outgrow"]
_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"5")],
}
_BODY = {"type": "http.response.body", "body": b"hello"}


def run(rounds: int, _: float) -> None:
    """CPU time of one request in each protocol, and of the counter alone."""
    measured = Measurements("count")
    for number in range(rounds):
        found = {name: _in_process(name) for name in turned([*NAMES, "counter"], number)}
        for name in NAMES:
            measured.add(name, "CPU of one request in the protocol", found[name], "us")
        measured.add("outgrow", "added", found["outgrow"] - found["uvicorn"], "us")
        measured.add("outgrow", "of this the counter", found["counter"], "us")
    publish(measured)


def _in_process(name: str) -> float:
    words = [sys.executable, "-m", "benchmarks.count", name]
    root = Path(__file__).parents[1]
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=True)
    return float(done.stdout)


async def _measure(name: str) -> float:
    """The quietest tenth of many slices, in microseconds of CPU."""
    once = _count_once() if name == "counter" else _serve_once(name)
    spent: list[float] = []
    for _ in range(SLICES):
        gc.collect()
        began = time.thread_time_ns()
        for _ in range(CALLS):
            once()
            await asyncio.sleep(0)  # the app's task runs
        spent.append((time.thread_time_ns() - began) / CALLS / 1e3)
    return statistics.quantiles(spent, n=10)[0] - await _empty_turn()


async def _empty_turn() -> float:
    began = time.thread_time_ns()
    for _ in range(CALLS):
        await asyncio.sleep(0)
    return (time.thread_time_ns() - began) / CALLS / 1e3


def _serve_once(name: str) -> Callable[[], None]:
    config = uvicorn.Config(_nothing, http="httptools", access_log=False)
    config.load()
    given: dict[str, Any] = {"config": config, "server_state": ServerState(), "app_state": {}}
    protocol: Any = _ours(given) if name == "outgrow" else config.http_protocol_class(**given)
    protocol.connection_made(_Nowhere({"sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2)}))
    return lambda: protocol.data_received(REQUEST)


def _ours(given: dict[str, Any]) -> asyncio.Protocol:
    from outgrow.host.protocol import EdgeState, protocol_for
    from outgrow.model import Settings
    from outgrow.telemetry import CallCounter

    settings = Settings(app="nothing:app", access_log=False)
    state = EdgeState(settings, _nothing, CallCounter())
    return protocol_for(settings)(**given, state=state)


def _count_once() -> Callable[[], None]:
    from outgrow.telemetry import CallCounter

    counter, scope = CallCounter(), {"type": "http", "path": "/items/1"}
    return lambda: counter.ended(scope, "GET", 200, 1_000_000)


class _Nowhere(asyncio.Transport):
    """A connection whose bytes go nowhere."""

    def write(self, data: Any) -> None:
        del data

    def is_closing(self) -> bool:
        return False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        del high, low

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    await send(_START)
    await send(_BODY)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(runner.run(_measure(sys.argv[1])))
