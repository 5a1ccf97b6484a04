"""What a caller knows of one process that answers, and how often it may make calls again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from outgrow.wire.calling import CallingConnection
    from outgrow.wire.sockets import Meeting

MISSES_MAX = 5
LEFT_OUT_SECONDS_MIN = 1.0
RETRY_RATIO = 0.1
RETRIES_SAVED_MAX = 10.0


class RetryBudget:
    """Allows one retry for ten calls, so that retries cannot make an overload worse."""

    def __init__(self) -> None:
        self._saved = RETRIES_SAVED_MAX

    def earn(self) -> None:
        """A call is made."""
        if self._saved < RETRIES_SAVED_MAX:
            self._saved += RETRY_RATIO

    def spend(self) -> bool:
        """Whether one may be made again."""
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True


class Peer:
    """One process that answers calls, as a caller sees it.

    Attributes:
        meeting: Where it listens.
        connection: To it; None while there is none.
        misses: Calls in a row that it did not answer in time.
        left_out_until_ns: When it is given calls again, on the clock `time.monotonic_ns`.
        why: Why it cannot be reached.
        is_forgotten: It takes no new calls; it leaves, or the supervisor finds it silent.
        is_watched: Calls under way to it are made elsewhere once it is found silent.
    """

    def __init__(self, meeting: Meeting) -> None:
        self.meeting = meeting
        self.connection: CallingConnection | None = None
        self.misses = 0
        self.left_out_until_ns = 0
        self.left_out_seconds = LEFT_OUT_SECONDS_MIN
        self.why = "not connected yet"
        self.keeper: asyncio.Task[None] | None = None
        self.is_forgotten = False
        self.is_watched = False

    @property
    def is_usable(self) -> bool:
        """Whether it takes calls."""
        return self.connection is not None and self.connection.is_usable

    @property
    def load(self) -> int:
        """Calls under way to it."""
        return self.connection.in_flight if self.connection is not None else 0

    @property
    def is_suspect(self) -> bool:
        """Whether it missed so many calls that it is given one at a time, to see."""
        return self.misses >= MISSES_MAX
