"""What is not taken, and why: an error for a whole request, a count for each item."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal, get_args

from outgrow.telemetry.otlp.limits import NAMES_MAX, NAMES_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from outgrow.telemetry.otlp.limits import Signal

Reason = Literal[
    "access",
    "broken",
    "encoding",
    "fault",
    "ids",
    "items",
    "kind",
    "loop",
    "names",
    "pressure",
    "size",
    "time",
    "unfinished",
]
REASONS: tuple[Reason, ...] = get_args(Reason)

# As google.rpc.Code numbers it.
INVALID_ARGUMENT = 3

TEXTS: Mapping[Reason, str] = {
    "ids": "the id of a trace or span has a wrong length or is zero",
    "items": "too many items in one request",
    "kind": "a metric has no points of a known kind",
    "names": f"more than {NAMES_MAX} names in an hour: put what varies into attributes",
    "size": "an item is too large",
    "time": "a time is beyond the year 2262",
}


class OtlpRefusedError(Exception):
    """A whole request that is not taken.

    Attributes:
        reason: For the count.
        status: Of HTTP.
        code: As google.rpc.Code numbers it.
        text: What is wrong, and what to do.
        retry_seconds: The sender should try again after so long; None where that is no use.
    """

    def __init__(
        self,
        reason: Reason,
        text: str,
        *,
        status: int = 400,
        code: int = INVALID_ARGUMENT,
        retry_seconds: int | None = None,
    ) -> None:
        super().__init__(text)
        self.reason: Reason = reason
        self.status = status
        self.code = code
        self.text = text
        self.retry_seconds = retry_seconds


class ReceivedCounts:
    """What was received and refused since the start; may be used from any thread.

    Attributes:
        items: That were taken, by signal.
        requests: By signal and status of HTTP.
        refused_items: By signal and reason.
        refused_requests: By signal and reason.
    """

    def __init__(self) -> None:
        self.items: dict[Signal, int] = {}
        self.requests: dict[tuple[Signal, int], int] = {}
        self.refused_items: dict[tuple[Signal, Reason], int] = {}
        self.refused_requests: dict[tuple[Signal, Reason], int] = {}
        self._lock = threading.Lock()

    def take(self, signal: Signal, items: int, refused: Mapping[Reason, int]) -> None:
        """Count a request of which something was taken."""
        with self._lock:
            self.items[signal] = self.items.get(signal, 0) + items
            for reason, count in refused.items():
                key = (signal, reason)
                self.refused_items[key] = self.refused_items.get(key, 0) + count

    def refuse(self, signal: Signal, reason: Reason) -> None:
        """Count a request that was refused as a whole."""
        with self._lock:
            key = (signal, reason)
            self.refused_requests[key] = self.refused_requests.get(key, 0) + 1

    def answer(self, signal: Signal, status: int) -> None:
        """Count an answer."""
        with self._lock:
            self.requests[signal, status] = self.requests.get((signal, status), 0) + 1


class Names:
    """So many distinct names in an hour, so that nobody fills memory or a page with them.

    Args:
        clock_seconds: Any clock that only grows.
        names_max: Of one kind.
    """

    def __init__(self, clock_seconds: Callable[[], float], names_max: int = NAMES_MAX) -> None:
        self._clock_seconds = clock_seconds
        self._names_max = names_max
        self._until_seconds = clock_seconds() + NAMES_SECONDS
        self._known: dict[str, dict[str, set[str]]] = {}
        self._counts: dict[str, int] = {}

    def of(self, kind: str, service: str) -> set[str]:
        """The names that are known of a service; look there first, it is the quickest.

        Args:
            kind: `traces`, `metrics` or `logs`.
            service: The service.
        """
        if self._clock_seconds() >= self._until_seconds:
            self._until_seconds = self._clock_seconds() + NAMES_SECONDS
            self._known.clear()
            self._counts.clear()
        services = self._known.setdefault(kind, {})
        if service not in services and len(services) >= self._names_max:
            return set()
        return services.setdefault(service, set())

    def meet(self, kind: str, service: str, name: str) -> bool:
        """Whether a name may be taken; it is known from then on."""
        known = self.of(kind, service)
        if name in known:
            return True
        if self._counts.get(kind, 0) >= self._names_max:
            return False
        self._counts[kind] = self._counts.get(kind, 0) + 1
        known.add(name)
        return True
