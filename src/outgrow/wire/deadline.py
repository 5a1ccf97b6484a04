"""The moment after which an answer is useless; it travels with each call.

One timer serves an inbound request: it belongs to the outermost deadline, and calls within only
compare the clock. A deadline acts where the code that it ends awaits next.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from outgrow.errors import DeadlineExceededError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

DEFAULT_SECONDS = 10.0
SECONDS_MAX = 1e9
NEVER_NS = 1 << 62
EARLY_NS = 2_000_000  # by so much a timer may go off too soon
LONG_NS = NEVER_NS // 2  # from here on it is no deadline, whatever the other side's clock
EDGE = "edge"
WEB = "web"


class Frame(msgspec.Struct, gc=False):
    """Which operation runs, and until when its answer is of use.

    Attributes:
        operation: Such as `Stock.reserve`. Outside of all operations the route that a request took,
            such as `GET /orders/{id}`; `web` where that is not known; `edge` outside of requests.
        deadline_ns: On the clock `time.monotonic_ns`.
        segment: The part of a trace that it belongs to, as far as this process has it; None where
            nothing is recorded.
        span: Its number in that.
    """

    operation: str
    deadline_ns: int
    segment: Any = None
    span: int = 0


current: ContextVar[Frame | None] = ContextVar("outgrow_frame", default=None)
_name_edge: list[Callable[[], str]] = [lambda: EDGE]
_place_edge: list[Callable[[], tuple[Any, int]]] = [lambda: (None, 0)]
_tell_missed: list[Callable[[DeadlineExceededError], None]] = []


def name_edge(name: Callable[[], str]) -> None:
    """Have those who call outside of all operations named by this."""
    _name_edge[:] = [name]


def edge_name() -> str:
    """The name of who calls, outside of all operations."""
    return _name_edge[0]()


def place_edge(place: Callable[[], tuple[Any, int]]) -> None:
    """Have this say which segment and span calls are made in, outside of all operations."""
    _place_edge[:] = [place]


def calling() -> Frame:
    """The frame that a call is made from; outside of all operations one of the edge, endless."""
    frame = current.get()
    return frame if frame is not None else Frame(edge_name(), NEVER_NS, *_place_edge[0]())


def endless(frame: Frame) -> Frame:
    """The same frame without a deadline, for what runs in a task of its own."""
    return replace(frame, deadline_ns=NEVER_NS)


def is_edge(caller: str) -> bool:
    """Whether this is the name of no operation, but of an edge or one of its routes."""
    return " " in caller or caller in (EDGE, WEB)


def on_missed(tell: Callable[[DeadlineExceededError], None]) -> None:
    """Have missed deadlines told of that were set outside of all operations."""
    _tell_missed[:] = [tell]


class Deadline:
    """Ends the block that it is entered for.

    Args:
        seconds: From the moment it is entered.
        what: Who is late, for the message; the block itself where empty.

    Raises:
        DeadlineExceededError: On the way out, where the time was up.
    """

    def __init__(self, seconds: float, what: str = "") -> None:
        self._seconds = seconds
        self._what = what
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None
        self._is_up = False
        self._cancels_before = 0
        self._before: Frame | None = None

    def __enter__(self) -> None:
        """Set the deadline, unless a nearer one holds already."""
        self._before = before = current.get()
        moment = monotonic_ns() + int(self._seconds * 1e9)
        if before is not None and before.deadline_ns <= moment:
            return
        frame = before if before is not None else calling()
        current.set(replace(frame, deadline_ns=moment))
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # a thread: nothing can end it, but its calls compare
        self._task = asyncio.current_task(loop)
        if self._task is not None:
            self._cancels_before = self._task.cancelling()
            self._timer = loop.call_later(self._seconds, self._end)

    def _end(self) -> None:
        self._is_up = True
        assert self._task is not None
        self._task.cancel()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the deadline back; say so where it was missed."""
        current.set(self._before)
        if self._timer is not None:
            self._timer.cancel()
        if self._is_up and self._task is not None:
            cancels = self._task.uncancel()
            if cancels <= self._cancels_before and isinstance(error, asyncio.CancelledError):
                raise self._missed() from error

    def _missed(self) -> DeadlineExceededError:
        problem = late(self._what, self._seconds)
        if self._before is None or is_edge(self._before.operation):
            for tell in _tell_missed:
                tell(problem)
        return problem


def deadline(seconds: float) -> Deadline:
    """Give everything called inside a `with` block so long, all together.

    A nearer deadline that holds already stays. Calls that are made outside of any deadline have one
    of 10 seconds.

    Args:
        seconds: From now; more than 0, and finite.

    Raises:
        ValueError: It is not.
    """
    if not seconds > 0:
        raise ValueError(f"a deadline of {seconds} s is over before it begins")
    if seconds > SECONDS_MAX:
        raise ValueError(
            f"a deadline of {seconds} s never comes; the longest is {SECONDS_MAX:g} s, and without "
            f"any each call has {DEFAULT_SECONDS:g} s"
        )
    return Deadline(seconds)


def late(what: str, seconds: float | None = None) -> DeadlineExceededError:
    """The error for an answer that comes too late."""
    limit = f" of {round(seconds, 3) or seconds:g} s" if seconds is not None else ""
    return DeadlineExceededError(f"{what or 'a block'} missed its deadline{limit}")


def remaining_seconds() -> float | None:
    """Seconds until the deadline that holds here; None where none does."""
    frame = current.get()
    if frame is None or frame.deadline_ns >= NEVER_NS:
        return None
    return (frame.deadline_ns - monotonic_ns()) / 1e9
