"""A real worker that reports, and an observer that keeps nothing but a ledger of what it hears."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from outgrow.host import Begin, Drain, Listen, Ready, Watch
from outgrow.host import Report as FromWorker
from outgrow.model import Settings
from outgrow.telemetry import ObserverAddress, Origin, Report
from outgrow.wire import Channel

WAIT_SECONDS = 15.0
APP = """
import asyncio
import logging
import time

from outgrow import call, client, operation, service


@service(concurrent_calls_max=2, queue_max=50, threads_max=2)
class Stock:
    @operation
    async def reserve(self, seconds: float) -> int:
        await asyncio.sleep(seconds)
        return 1

    @operation
    def count(self) -> int:
        time.sleep(0.002)
        return 2


stock = client(Stock)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    status, path = 200, scope["path"]
    if path == "/work":
        await stock.reserve(0.001)
    elif path == "/wait":
        await stock.reserve(0.1)
    elif path == "/threads":
        await call(stock.count)
    elif path == "/fail":
        logging.getLogger("shop").error("it fails")
        status = 500
    elif path == "/block":
        time.sleep(0.3)
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})
"""


class Ledger:
    """Notes what workers report, as an archive would get it.

    Attributes:
        heard: Greetings, in their order.
        reports: By epoch.
        left: Epochs whose connection ended.
    """

    def __init__(self) -> None:
        self.heard: list[Origin] = []
        self.reports: dict[str, list[Report]] = {}
        self.left_epochs: list[str] = []

    def hear(self, origin: Origin) -> None:
        self.heard.append(origin)

    def take(self, origin: Origin, report: Report) -> None:
        self.reports.setdefault(origin.epoch, []).append(report)

    def left(self, origin: Origin) -> None:
        self.left_epochs.append(origin.epoch)

    def calls(self, route: str, epoch: str | None = None) -> int:
        """How many requests of a route were told of; of all epochs, or of one."""
        totals: dict[str, int] = {}
        for name, reports in self.reports.items():
            for report in reports:
                for each in report.routes:
                    if f"{each.method} {each.route}" == route and epoch in (None, name):
                        totals[name] = each.calls
        return sum(totals.values())

    def latest(self, kind: str, name: str) -> Any:
        """The newest totals of this kind whose name, operation or callee this is; None so far."""
        for reports in self.reports.values():
            for report in reversed(reports):
                for each in getattr(report, kind):
                    called = getattr(each, "callee", "") or getattr(each, "operation", "")
                    if (called or each.name) == name:
                        return each
        return None

    def callers(self, callee: str) -> dict[str, int]:
        """How often each caller has called this so far."""
        links = [link for report in self.all for link in report.links if link.callee == callee]
        return {link.caller: link.calls for link in links}

    @property
    def all(self) -> list[Report]:
        """All reports."""
        return [report for reports in self.reports.values() for report in reports]


class LiveWorker:
    """A worker process, started as the supervisor does it, but without one.

    Args:
        folder: Where its app is.
        observer: Where it reports; a path.
        app: Its source.
        settings: Other than usual.
    """

    def __init__(self, folder: Path, observer: Path, app: str = APP, **settings: Any) -> None:
        (folder / "watched_app.py").write_text(app)
        ours, theirs = socket.socketpair()
        chosen: dict[str, Any] = {
            "app": "watched_app:app",
            "access_log": False,
            "app_dir": str(folder),
        } | settings
        made = Settings(**chosen)
        watch = Watch(ObserverAddress(path=str(observer)), "shop", {"commit": "abc"})
        ours.settimeout(WAIT_SECONDS)
        self.channel: Channel[FromWorker] = Channel(ours, FromWorker)
        self.log = folder / f"log-{time.monotonic_ns()}"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "outgrow.host", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": str(folder)},
                stdout=log,
                stderr=log,
            )
        theirs.close()
        self.channel.send(Begin("web/1", 3, made, observer=watch))
        with socket.create_server(("127.0.0.1", 0)) as sock:
            sock.setblocking(False)
            self.port: int = sock.getsockname()[1]
            self._until_ready()
            self.channel.send(Listen([0]), [sock.fileno()])

    def _until_ready(self) -> None:
        give_up = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < give_up:
            if any(isinstance(said, Ready) for said, _ in self.channel.receive()):
                return
        raise AssertionError(self.log.read_text())

    def ask(self, path: str, times: int = 1) -> list[int]:
        """Requests one after the other on one connection; their status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_SECONDS)
        found: list[int] = []
        for _ in range(times):
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            found.append(answer.status)
        connection.close()
        return found

    def drain(self) -> int:
        """Have it leave; its exit code."""
        self.channel.send(Drain(closes_idle=True, seconds=5.0))
        return self.process.wait(WAIT_SECONDS)

    def kill(self) -> None:
        """End it as the kernel does when memory runs out."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(WAIT_SECONDS)

    def end(self) -> None:
        """See to it that it is gone."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(WAIT_SECONDS)
        self.channel.close()


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait until something is so; not for ever."""
    give_up = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < give_up, f"waited for {what}"
        await asyncio.wait({asyncio.get_running_loop().create_future()}, timeout=0.01)
