"""The load generator: wrk if it is installed, otherwise a small one of our own.

Both are closed loops: each connection sends its next request when the last is answered. The own one
is Python and takes far more CPU than wrk, so its rows only compare with one another.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import shutil
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

WRK = shutil.which("wrk")
CONNECTIONS = 32


@dataclass(frozen=True, kw_only=True)
class Rate:
    """What one run of load measured.

    Attributes:
        requests: How many were answered.
        seconds: How long it ran.
        p50_ms: Half of the answers took no longer.
        p99_ms: 99 of 100 answers took no longer.
        errors: Socket errors and answers other than 2xx and 3xx.
    """

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int

    @property
    def per_second(self) -> float:
        """Answered requests per second."""
        return self.requests / self.seconds


def generator() -> dict[str, str]:
    """Which generator is used, with its version, for the rows."""
    if not WRK:
        return {"load": "own asyncio client"}
    told = subprocess.run([WRK, "--version"], capture_output=True, text=True, check=False)
    return {"load": " ".join(told.stdout.split()[:2]) or "wrk"}


def load(port: int, path: str, seconds: float, *, connections: int = CONNECTIONS) -> Rate:
    """Keep so many connections busy for so many seconds."""
    return _wrk(port, path, seconds, connections) if WRK else _own(port, path, seconds, connections)


def _wrk(port: int, path: str, seconds: float, connections: int) -> Rate:
    script = Path(__file__).with_name("load.lua")
    options = ["-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "-s", str(script)]
    words = [str(WRK), *options, f"http://127.0.0.1:{port}{path}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("JSON "))
    return Rate(**json.loads(line.removeprefix("JSON ")))


def _own(port: int, path: str, seconds: float, connections: int) -> Rate:
    # A process of its own, so that the measuring one does not take part in the load.
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    arguments = (sender, port, path, seconds, connections)
    process = context.Process(target=_own_process, args=arguments)
    process.start()
    rate = receiver.recv()
    process.join()
    return rate


def _own_process(
    sender: multiprocessing.connection.Connection,  # type: ignore[name-defined]
    port: int,
    path: str,
    seconds: float,
    connections: int,
) -> None:
    sender.send(asyncio.run(_own_run(port, path, seconds, connections)))


async def _own_run(port: int, path: str, seconds: float, connections: int) -> Rate:
    began = time.perf_counter()
    loops = [_own_connection(port, path, began + seconds) for _ in range(connections)]
    spans = [span for found in await asyncio.gather(*loops) for span in found]
    cuts = statistics.quantiles(spans, n=100)
    return Rate(
        requests=len(spans),
        seconds=time.perf_counter() - began,
        p50_ms=cuts[49] * 1e3,
        p99_ms=cuts[98] * 1e3,
        errors=0,
    )


async def _own_connection(port: int, path: str, until: float) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET {path} HTTP/1.1\r\nHost: b\r\n\r\n".encode()
    spans: list[float] = []
    while (began := time.perf_counter()) < until:
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        spans.append(time.perf_counter() - began)
    writer.close()
    return spans
