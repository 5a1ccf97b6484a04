"""An observer's process over a folder: how soon it answers after its spawn, and opens a week."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from outgrow.placement import Asked, Leave, Observe, Seat, Watching
from outgrow.wire import Channel, channel_pair

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .harness import Measurements

ANSWER_SECONDS = 30.0
ROUNDS = 5


def measure_opening(
    found: Measurements, name: str, folder: Path, period_ns: tuple[int, int] | None = None
) -> None:
    """Start observers one after another.

    Args:
        found: What is measured goes here.
        name: Of the folder, for people.
        folder: What they keep.
        period_ns: Which is looked at as a whole, where there is one: what the page asks for its
            charts and its table of operations.
    """
    for _ in range(ROUNDS):
        with _observing(folder) as (port, began):
            _ask(port, "now")
            found.add("outgrow", f"{name}: its first answer", _since_ms(began), "ms")
            if period_ns is None:
                continue
            first_ms, last_ms = (at_ns // 10**6 for at_ns in period_ns)
            looked = time.perf_counter()
            for asked in ("series", "operations"):
                _ask(port, f"{asked}?from={first_ms}&to={last_ms}")
            found.add("outgrow", f"{name}: opens all of it", _since_ms(looked), "ms")
            found.add("outgrow", f"{name}: both", _since_ms(began), "ms")


@contextmanager
def _observing(folder: Path) -> Iterator[tuple[int, float]]:
    """An observer as a supervisor starts it; its port, and when it was spawned.

    The socket listens before, so that the first request is answered as soon as it can be.
    """
    ours, theirs = channel_pair()
    with socket.create_server(("127.0.0.1", 0)) as page, theirs:
        port = page.getsockname()[1]
        began = time.perf_counter()
        words = [sys.executable, "-m", "outgrow.dashboard", str(theirs.fileno())]
        process = subprocess.Popen(words, pass_fds=[theirs.fileno()])
        channel = Channel[Watching | Asked](ours, Watching | Asked)
        channel.send(Observe(Seat(app="bench", store=str(folder))), (page.fileno(),))
    try:
        yield port, began
    finally:
        channel.send(Leave())
        process.wait(ANSWER_SECONDS)
        ours.close()


def _ask(port: int, target: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", f"/api/{target}")
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
    finally:
        connection.close()


def _since_ms(began: float) -> float:
    return (time.perf_counter() - began) * 1e3
