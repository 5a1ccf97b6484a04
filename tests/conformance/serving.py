"""An observer's receiver with its archive, on a free port of loopback."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette

from outgrow.dashboard.access import Access
from outgrow.dashboard.otlp import OtlpDesk
from outgrow.telemetry import Archive, LogSearch, MetricPoint, OtlpReceiver, SpanRecord
from outgrow.telemetry.records import LogRecord

START_SECONDS = 10.0
DAY_NS = 86_400 * 10**9


class Served(uvicorn.Server):
    """A server that says when it listens, and where."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()
        self.port = 0

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.port = self.servers[0].sockets[0].getsockname()[1]
        self.listening.set()


@dataclass
class Receiving:
    """An observer that receives.

    Attributes:
        url: Of its receiver, without the path of a signal.
        archive: Where what was received is read back from.
        receiver: With its counts.
    """

    url: str
    archive: Archive
    receiver: OtlpReceiver

    def spans(self, trace_ids: set[bytes]) -> list[SpanRecord]:
        """What is kept of these traces, in the order of their ids."""
        self.archive.write(is_all=True)
        found = [span for trace_id in trace_ids for span in self.archive.trace(trace_id)[0]]
        return sorted(found, key=lambda span: (span.trace_id, span.span_id))

    def logs(self, now_ns: int) -> list[LogRecord]:
        """All lines, oldest first."""
        self.archive.write(is_all=True)
        found = self.archive.logs(LogSearch(limit=1000), now_ns - DAY_NS, now_ns + DAY_NS)
        return sorted(found, key=lambda line: (line.at_ns, line.severity, line.text))

    def points(self, name: str, now_ns: int) -> list[MetricPoint]:
        """All points of a metric."""
        self.archive.write(is_all=True)
        return self.archive.metric(name, now_ns - DAY_NS, now_ns + DAY_NS, 1000)


@contextmanager
def receiving(folder: Path, **options: Any) -> Iterator[Receiving]:
    """Receive into a folder; options are the archive's."""
    archive = Archive(folder, **options)
    receiver = OtlpReceiver(archive)
    desk = OtlpDesk(receiver)
    app = Starlette(routes=desk.routes(Access()))
    config = uvicorn.Config(
        app, port=0, log_level="error", lifespan="off", timeout_graceful_shutdown=1
    )
    server = Served(config)
    thread = threading.Thread(target=asyncio.run, args=(server.serve(),))
    thread.start()
    try:
        assert server.listening.wait(START_SECONDS)
        yield Receiving(f"http://127.0.0.1:{server.port}", archive, receiver)
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
        desk.close()
        archive.close()
