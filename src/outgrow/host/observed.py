"""What a worker records and reports for an observer, from when it begins to serve to its end."""

from __future__ import annotations

import os
import socket
from time import time_ns
from typing import TYPE_CHECKING

from outgrow.store import watch_turns
from outgrow.telemetry import (
    Collector,
    Origin,
    ProcessProbe,
    Reporter,
    keeper,
    start_recording,
    station_book,
    stop_recording,
)

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from outgrow.host.edge import Edge
    from outgrow.host.heartbeat import Heartbeat
    from outgrow.host.orders import Begin, Watch
    from outgrow.telemetry import LinkTotals, Visit


class Observed:
    """The recording of one worker.

    Args:
        watch: Who wants it.
        begin: Of the worker.
        edge: Its requests.
        heart: Its busy share, and its waits for the GIL.
        links: Its calls.
    """

    def __init__(
        self,
        watch: Watch,
        begin: Begin,
        edge: Edge,
        heart: Heartbeat,
        links: Callable[[], Iterable[LinkTotals]],
    ) -> None:
        self._app = watch.app
        self._worker = begin.name
        self._probe = ProcessProbe(
            heart.meter,
            heart.gil,
            in_flight=lambda: edge.in_flight + heart.calls_in_flight(),
            connections=lambda: edge.connection_count,
        )
        origin = Origin(
            app=watch.app,
            worker=begin.name,
            epoch=os.urandom(8).hex(),
            group=begin.name.partition("/")[0],
            version=begin.version,
            machine=socket.gethostname(),
            pid=os.getpid(),
            began_at_ns=time_ns(),
            labels=watch.labels,
        )
        collector = Collector(edge.state.counter, links, self._probe)
        self._reporter = Reporter(watch.address, origin, collector, keeper.wanted)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Record and report from now on; on the loop, before the app starts."""
        start_recording(self._app, self._worker)
        watch_turns(_turn_station)
        self._probe.start(loop)
        self._reporter.start()

    def app_started(self) -> None:
        """See what the app's start-up has made, such as a tracer provider."""
        start_recording(self._app, self._worker)

    def stop(self) -> None:
        """Send the last report; takes half a second at most. Any thread, more than once."""
        self._reporter.stop()
        self._probe.stop()
        stop_recording()


def _turn_station(name: str, kind: str, capacity: int) -> Callable[[bool], Visit]:
    station = station_book.meet(name, kind, capacity)
    return lambda waits: station.visit(waits=waits)
