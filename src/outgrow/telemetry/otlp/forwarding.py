"""What is kept goes on to a user's own backend, as far as that takes it; the rest is counted.

A thread sends. What waits for it is bounded: while the other side is slow or away, what is newest
is dropped, and nobody waits.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, TypeVar

import msgspec

from outgrow.telemetry.otlp.encoding import encoded_logs, encoded_points, encoded_spans
from outgrow.telemetry.otlp.limits import Signal
from outgrow.telemetry.otlp.sending import Sender

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from outgrow.telemetry.otlp.sending import ForwardTarget
    from outgrow.telemetry.records import LogRecord, MetricPoint, SpanRecord

WAITING_MAX = 20_000
AT_ONCE_MAX = 1000
GATHER_SECONDS = 1.0
MEASURE_SECONDS = 15.0
BACK_OFF_SECONDS = 1.0
BACK_OFF_SECONDS_MAX = 30.0
TRY_SECONDS_MAX = 300.0
STOP_SECONDS = 3.0

_log = logging.getLogger(__name__)
T = TypeVar("T")


class ForwardCounts(msgspec.Struct, frozen=True):
    """What was sent on since the start.

    Attributes:
        sent: Items that the other side took, by signal.
        dropped: Items that it did not get, by signal.
        refused: Items that it did not want, by signal.
        failed: Requests that failed, all tries counted.
        waiting: Items that wait.
        problem: Why nothing is sent now; empty where it is.
    """

    sent: dict[Signal, int]
    dropped: dict[Signal, int]
    refused: dict[Signal, int]
    failed: int
    waiting: int
    problem: str


class Forwarder(threading.Thread):
    """Sends on what it is fed.

    Args:
        target: Where to.
        via: `OtlpReceiver.via` of the same observer, which then refuses what it sends to itself.
        measure: Says the metrics of now, about every 15 s; None where only spans and logs go on.
        chance: A number from 0 to 1, by which tries are spread.
        back_off_seconds: Before the second try; doubles up to 30.
        measure_seconds: Between two measurements.
    """

    def __init__(
        self,
        target: ForwardTarget,
        *,
        via: str = "",
        measure: Callable[[], Sequence[MetricPoint]] | None = None,
        chance: Callable[[], float] = random.random,
        back_off_seconds: float = BACK_OFF_SECONDS,
        measure_seconds: float = MEASURE_SECONDS,
    ) -> None:
        super().__init__(name="outgrow-forward", daemon=True)
        self._sender = Sender(target, via)
        self._measure = measure
        self._chance = chance
        self._back_off_seconds = back_off_seconds
        self._measure_seconds = measure_seconds
        self._spans: deque[SpanRecord] = deque()
        self._logs: deque[LogRecord] = deque()
        self._points: deque[MetricPoint] = deque()
        self._turn = threading.Condition()
        self._is_stopping = False
        self._stop_at = 0.0
        self._sent: dict[Signal, int] = {}
        self._dropped: dict[Signal, int] = {}
        self._refused: dict[Signal, int] = {}
        self._failed = 0
        self._problem = ""

    def kept(
        self,
        spans: Sequence[SpanRecord],
        logs: Sequence[LogRecord],
        points: Sequence[MetricPoint] = (),
    ) -> None:
        """Take what was kept; never blocks. May be called from any thread."""
        with self._turn:
            self._take(self._spans, spans, "traces")
            self._take(self._logs, logs, "logs")
            self._take(self._points, points, "metrics")
            if self._waiting >= AT_ONCE_MAX:
                self._turn.notify()

    @property
    def _waiting(self) -> int:
        return len(self._spans) + len(self._logs) + len(self._points)

    def counts(self) -> ForwardCounts:
        """What was sent so far."""
        with self._turn:
            return ForwardCounts(
                dict(self._sent),
                dict(self._dropped),
                dict(self._refused),
                self._failed,
                self._waiting,
                self._problem,
            )

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Send what waits, as far as that takes no longer, and end."""
        with self._turn:
            self._is_stopping = True
            self._stop_at = time.monotonic() + seconds
            self._turn.notify_all()
        self.join(seconds)

    def run(self) -> None:
        """Send until stopped."""
        measured = time.monotonic()
        while not self._is_stopping:
            with self._turn:
                if not self._is_stopping and self._waiting < AT_ONCE_MAX:
                    self._turn.wait(min(GATHER_SECONDS, self._measure_seconds))
            if time.monotonic() - measured >= self._measure_seconds:
                measured = time.monotonic()
                self._send_points()
            self._send_waiting()
        self._send_waiting()
        self._send_points()
        self._sender.close()

    def _take(self, waiting: deque[T], items: Sequence[T], signal: Signal) -> None:
        room = max(0, WAITING_MAX - self._waiting)
        waiting.extend(items[:room])
        if len(items) > room:
            self._add(self._dropped, signal, len(items) - room)

    def _add(self, counts: dict[Signal, int], signal: Signal, count: int) -> None:
        counts[signal] = counts.get(signal, 0) + count

    def _send_waiting(self) -> None:
        while spans := self._some(self._spans):
            self._send("traces", len(spans), lambda spans=spans: encoded_spans(spans))
        while logs := self._some(self._logs):
            self._send("logs", len(logs), lambda logs=logs: encoded_logs(logs))
        while points := self._some(self._points):
            self._send("metrics", len(points), lambda points=points: encoded_points(points))

    def _some(self, waiting: deque[T]) -> list[T]:
        with self._turn:
            return [waiting.popleft() for _ in range(min(AT_ONCE_MAX, len(waiting)))]

    def _send_points(self) -> None:
        if self._measure is None:
            return
        try:
            points = self._measure()
        except Exception:
            _log.exception("the metrics to be sent on could not be read")
            return
        for first in range(0, len(points), AT_ONCE_MAX):
            some = points[first : first + AT_ONCE_MAX]
            self._send("metrics", len(some), lambda some=some: encoded_points(some))

    def _send(self, signal: Signal, count: int, encode: Callable[[], bytes]) -> None:
        try:
            body = encode()
        except Exception:
            _log.exception("%d %s could not be written, and are not sent on", count, signal)
            self._note(signal, dropped=count)
            return
        if self._is_stopping and time.monotonic() > self._stop_at:
            self._note(signal, dropped=count, problem=self._problem)
            return
        began = time.monotonic()
        pause_seconds = self._back_off_seconds
        while True:
            outcome = self._sender.send(signal, body)
            if outcome.kind == "sent":
                self._note(signal, sent=count - outcome.refused, refused=outcome.refused)
                return
            self._note(signal, failed=1, problem=outcome.text)
            if outcome.kind == "refused":
                self._note(signal, refused=count, problem=outcome.text)
                return
            wait_seconds = outcome.retry_seconds
            if wait_seconds is None:
                wait_seconds = pause_seconds * (0.5 + self._chance())
                pause_seconds = min(pause_seconds * 2, BACK_OFF_SECONDS_MAX)
            if time.monotonic() + wait_seconds - began > TRY_SECONDS_MAX or self._must_end(
                wait_seconds
            ):
                self._note(signal, dropped=count, problem=outcome.text)
                return

    def _must_end(self, wait_seconds: float) -> bool:
        """Wait; whether to end instead of trying again."""
        until = time.monotonic() + wait_seconds
        with self._turn:
            while not self._is_stopping and (left := until - time.monotonic()) > 0:
                self._turn.wait(left)
            return self._is_stopping

    def _note(
        self,
        signal: Signal,
        *,
        sent: int = 0,
        dropped: int = 0,
        refused: int = 0,
        failed: int = 0,
        problem: str = "",
    ) -> None:
        with self._turn:
            self._add(self._sent, signal, sent)
            self._add(self._dropped, signal, dropped)
            self._add(self._refused, signal, refused)
            self._failed += failed
            before, self._problem = self._problem, problem
        if problem and not before:
            _log.warning("%s can not be sent on: %s", signal, problem)
        elif before and not problem:
            _log.info("telemetry is sent on again")
