"""The latest totals of each worker, and those of some seconds ago."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True)
class Span(Generic[K, T]):
    """What one worker did in the window.

    Attributes:
        first: Totals at its start.
        last: Totals at its end.
        seconds: How long it is; at least 1.
    """

    first: dict[K, T]
    last: dict[K, T]
    seconds: float


@dataclass
class Rings(Generic[K, T]):
    """Totals of all workers over a window.

    Attributes:
        seconds: How long the window is.
    """

    seconds: float
    _rings: dict[str, deque[tuple[float, dict[K, T]]]] = field(
        default_factory=dict[str, "deque[tuple[float, dict[K, T]]]"]
    )

    def add(self, worker: str, now: float, changed: Iterable[tuple[K, T]]) -> None:
        """Take the totals that changed in a worker since it last sent any.

        Args:
            worker: A name that no other process ever has.
            now: Time in seconds, on any clock that only grows.
            changed: With what each is told apart by.
        """
        ring = self._rings.setdefault(worker, deque())
        latest = dict(ring[-1][1]) if ring else {}
        latest.update(changed)
        if not ring:
            ring.append((now - 1.0, {}))  # it began at zero, about one report ago
        ring.append((now, latest))
        while len(ring) > 2 and ring[1][0] <= now - self.seconds:
            ring.popleft()

    def forget(self, worker: str) -> dict[K, T]:
        """Drop the window of a worker that ended; its latest totals."""
        ring = self._rings.pop(worker, None)
        return ring[-1][1] if ring else {}

    def spans(self, now: float) -> Iterator[Span[K, T]]:
        """The window of each worker."""
        for ring in self._rings.values():
            yield _span(ring, now)

    def span(self, worker: str, now: float) -> Span[K, T] | None:
        """The window of one worker; None where it has sent nothing."""
        ring = self._rings.get(worker)
        return _span(ring, now) if ring else None


def _span(ring: deque[tuple[float, dict[K, T]]], now: float) -> Span[K, T]:
    # A silent worker may have sent nothing for long: its window then ends now, not then.
    return Span(ring[0][1], ring[-1][1], max(now - ring[0][0], 1.0))
