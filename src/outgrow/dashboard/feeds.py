"""What the observer exchanges with the tools that a team already has.

Others' services send it OTLP, Prometheus reads its metrics, and what it keeps goes on to a backend
of the user's. Made before the archive, which it is told of by `open`: the archive says what it
keeps to `kept` from its first moment on.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from outgrow.dashboard.metrics import Metrics
from outgrow.dashboard.otlp import OtlpDesk
from outgrow.dashboard.source import Source
from outgrow.telemetry import Forwarder, Keeping, OtlpReceiver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.routing import Route

    from outgrow.dashboard.access import Access
    from outgrow.telemetry import ForwardTarget, Health, LogRecord, MetricPoint, SpanRecord

# So much may wait to be written before others are asked to wait with what they send.
WAITING_RECORDS_MAX = 100_000
LOOK_SECONDS = 0.2


class Store(Source, Keeping, Protocol):
    """The archive."""

    def health(self) -> Health:
        """How it fares."""
        ...


class Feeds:
    """Receives, exposes and sends on.

    Args:
        app: Name of the app that is observed.
        version: Of Outgrow.
        forward: Where what is kept goes on to; None where it stays.
    """

    def __init__(self, *, app: str, version: str, forward: ForwardTarget | None = None) -> None:
        self._app = app
        self._version = version
        self._forward = forward
        self._store: Store | None = None
        self._desk: OtlpDesk | None = None
        self._metrics: Metrics | None = None
        self._forwarder: Forwarder | None = None
        self._look_at = 0.0
        self._was_full = False

    def open(self, store: Store) -> None:
        """Begin; the store is open already."""
        self._store = store
        receiver = OtlpReceiver(self)
        self._desk = OtlpDesk(receiver, is_full=self._is_full)
        if self._forward is not None:
            self._forwarder = Forwarder(self._forward, via=receiver.via, measure=self._measured)
        self._metrics = Metrics(
            store,
            app=self._app,
            version=self._version,
            health=store.health,
            received=receiver.counts,
            forwarded=self._forwarder.counts if self._forwarder else None,
        )
        if self._forwarder is not None:
            self._forwarder.start()

    def routes(self, access: Access) -> list[Route]:
        """POST /v1/traces, /v1/metrics and /v1/logs, and GET /metrics; for `page_app`.

        Args:
            access: Who may send and look.
        """
        assert self._desk is not None
        assert self._metrics is not None
        return [*self._desk.routes(access), *self._metrics.routes(access)]

    def kept(self, spans: Sequence[SpanRecord], logs: Sequence[LogRecord]) -> None:
        """Take note of what the archive keeps; for its `on_kept`."""
        if self._metrics is not None:
            self._metrics.kept(spans, logs)
        if self._forwarder is not None:
            self._forwarder.kept(spans, logs)

    def keep(
        self,
        *,
        spans: Sequence[SpanRecord] = (),
        logs: Sequence[LogRecord] = (),
        points: Sequence[MetricPoint] = (),
    ) -> None:
        """Keep what others sent; the archive says spans and logs to `kept`, but not points."""
        assert self._store is not None
        self._store.keep(spans=spans, logs=logs, points=points)
        if points and self._forwarder is not None:
            self._forwarder.kept((), (), points)

    def lose(self, what: str, count: int) -> None:
        """Have the archive count what others sent and is not kept."""
        assert self._store is not None
        self._store.lose(what, count)

    def close(self) -> None:
        """Finish what is being received, send on what waits for some seconds, and end.

        Blocks; call it before the archive is closed.
        """
        if self._desk is not None:
            self._desk.close()
        if self._forwarder is not None:
            self._forwarder.stop()

    def _measured(self) -> list[MetricPoint]:
        return self._metrics.points() if self._metrics is not None else []

    def _is_full(self) -> bool:
        """Whether too much waits to be written, as it was a moment ago: looking takes a while."""
        now = time.monotonic()
        if self._store is not None and now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            self._was_full = self._store.health().waiting > WAITING_RECORDS_MAX
        return self._was_full
