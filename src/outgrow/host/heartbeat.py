"""The thread in each worker that tells the supervisor how it is, and hears what it wants.

It is a thread so that a worker whose event loop stands still says so, and notices even then that
its supervisor is gone. It samples the loop's busy share on the way.
"""

from __future__ import annotations

import faulthandler
import os
import select
import threading
import time
from typing import TYPE_CHECKING

from outgrow.host.orders import Beat, Dump
from outgrow.host.places import running_line
from outgrow.telemetry import BusyMeter, GilProbe, LinkTotals, RouteTotals, resident_bytes
from outgrow.wire import Channel, ChannelClosedError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterable

    from outgrow.host.edge import Edge
    from outgrow.host.orders import Order

SAMPLE_SECONDS = 0.05
BEAT_SECONDS = 0.25
MEASURE_SECONDS = 1.0
ORPHAN_GRACE_SECONDS = 1.5
_SAMPLE_NS = int(SAMPLE_SECONDS * 1e9)


class Heartbeat(threading.Thread):
    """Beats until the channel closes.

    Args:
        channel: To the supervisor.
        loop: The worker's event loop.
        deliver: Called on the loop with each order and its descriptors.
        orphaned: Called on the loop once the supervisor is gone; the process ends 1.5 s later
            whatever it does, and half a second for its last words.

    Attributes:
        meter: How busy the loop is.
        gil: How long this thread waits for the GIL.
        last_words: Called, from this thread, before the process is ended.
    """

    def __init__(
        self,
        channel: Channel[Order],
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[Order, list[int]], None],
        orphaned: Callable[[], None],
    ) -> None:
        super().__init__(name="outgrow-heartbeat", daemon=True)
        self.edge: Edge | None = None
        self.links: Callable[[], Iterable[LinkTotals]] = list
        self.calls_in_flight: Callable[[], int] = int
        self.work_in_hand: Callable[[], int] = int
        self.is_starting = True
        self.last_words: Callable[[], None] = _nothing
        self._channel = channel
        self._loop = loop
        self._deliver = deliver
        self._orphaned = orphaned
        self._lock = threading.Lock()
        self._loop_thread = threading.current_thread()
        self.meter = BusyMeter(self._loop_thread)
        self.gil = GilProbe()
        self._sent_calls: dict[tuple[str, str], int] = {}
        self._sent_links: dict[tuple[str, str], tuple[int, ...]] = {}

    def send(self, report: object) -> None:
        """Send a report, from any thread. One that can't be sent is dropped: nobody is there."""
        with self._lock:
            try:
                self._channel.send(report)
            except ChannelClosedError:
                return

    def send_last(self) -> None:
        """Send all that was counted and not yet told, before the process ends."""
        self.send(self._measured())

    def run(self) -> None:
        """Sample, beat, measure and listen, each at its own pace."""
        poller = select.poll()
        poller.register(self._channel.fileno(), select.POLLIN)
        beat_at = measure_at = 0.0
        while True:
            self.gil.sleep()
            if not poller.poll(SAMPLE_SECONDS * 1000):
                self.gil.woken(_SAMPLE_NS)
            elif not self._listened():
                return self._die_with_supervisor()
            self.meter.sample(self._occupied())
            now = time.monotonic()
            if now >= measure_at:
                measure_at, beat_at = now + MEASURE_SECONDS, now + BEAT_SECONDS
                self.send(self._measured())
            elif now >= beat_at:
                beat_at = now + BEAT_SECONDS
                self.send(self._beat())

    def _occupied(self) -> float:
        """Share of a WSGI app's threads that are taken; they may wait, and be all there is."""
        edge = self.edge
        return min(1.0, edge.in_flight / edge.threads) if edge and edge.threads else 0.0

    def _listened(self) -> bool:
        try:
            for order, descriptors in self._channel.receive():
                if isinstance(order, Dump):
                    self._dump()
                else:
                    self._loop.call_soon_threadsafe(self._deliver, order, descriptors)
        except ChannelClosedError:
            return False
        except RuntimeError:  # the loop is closed: the process is at its end
            return False
        return True

    def _dump(self) -> None:
        os.write(
            2, f"outgrow: stacks of process {os.getpid()}, the innermost line first\n".encode()
        )
        faulthandler.dump_traceback(file=2, all_threads=True)

    def _die_with_supervisor(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._orphaned)
        except RuntimeError:
            return
        time.sleep(ORPHAN_GRACE_SECONDS)
        try:
            self.last_words()
        finally:
            os._exit(1)

    def _beat(self) -> Beat:
        edge = self.edge
        if edge is None:
            return Beat(0.0, 0, 0, 0, waits_for=running_line(self._loop_thread.ident))
        age = max(0.0, self._loop.time() - edge.ticked_at) if edge.ticked_at else 0.0
        return Beat(
            tick_age_seconds=age,
            in_flight=edge.in_flight + self.calls_in_flight(),
            work_in_hand=self.work_in_hand(),
            connections=edge.connection_count,
            requests_total=edge.requests_total,
            waits_for=(edge.waits_for or running_line(self._loop_thread.ident))
            if self.is_starting
            else "",
        )

    def _waits_for(self, edge: Edge) -> str:
        if not self.is_starting:
            return ""
        return edge.waits_for or running_line(self._loop_thread.ident)

    def _measured(self) -> Beat:
        beat = self._beat()
        beat.busy_percent = self.meter.busy_percent()
        beat.memory_bytes = resident_bytes()
        beat.changed = self._changed()
        beat.links = self._changed_links()
        return beat

    def _changed(self) -> list[RouteTotals]:
        if self.edge is None:
            return []
        changed: list[RouteTotals] = []
        for key, totals in list(self.edge.state.counter.routes.items()):
            if self._sent_calls.get(key) != totals.calls:
                self._sent_calls[key] = totals.calls
                changed.append(totals)
        return changed

    def _changed_links(self) -> list[LinkTotals]:
        changed: list[LinkTotals] = []
        for totals in self.links():
            key = (totals.caller, totals.callee)
            counts = (totals.calls, totals.refused, totals.hedges, totals.hedges_won)
            if self._sent_links.get(key) != counts:
                self._sent_links[key] = counts
                changed.append(totals)
        return changed


def _nothing() -> None:
    pass
