"""Turns: who asked first is served first, and who waits too long is told why.

SQLite lets one connection write at a time, and lets those that wait race for it: a loser may starve
for seconds. So tasks that want to write stand in a queue. SQLite's own lock remains the safety;
the turn is only fairness.
"""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from outgrow.errors import WriteTurnError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable


class Visit(Protocol):
    """Is told what becomes of one wish for a turn."""

    def begin(self) -> object:
        """It came."""

    def end(self) -> None:
        """It was given back, or it never came."""


_watch: list[Callable[[str, str, int], Callable[[bool], Visit]]] = []


def watch_turns(watch: Callable[[str, str, int], Callable[[bool], Visit]]) -> None:
    """Have turns counted that are made from now on.

    Args:
        watch: Given a name, `lock` or `pool`, and how many turns there are at once; gives what is
            told of each wish for one, and whether it has to wait.
    """
    _watch[:] = [watch]


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the user's code."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        file, here = Path(self.file), Path.cwd()
        shown = file.relative_to(here) if file.is_relative_to(here) else file
        return f"{shown}:{self.line} in {self.function}"


def place_of_caller() -> Place:
    """Where the caller of our caller stands."""
    frame = sys._getframe(2)  # pyright: ignore[reportPrivateUsage]
    return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_qualname)


@dataclass(frozen=True, eq=False, slots=True)
class Turn:
    """One turn that somebody has.

    Attributes:
        place: Where it was asked for.
        since: When it was got, in seconds of the loop's clock.
        visit: Is told when it is given back; None where nobody counts.
    """

    place: Place
    since: float
    visit: Visit | None = None


class Turns:
    """So many turns at once, first come, first served, for the tasks of one event loop.

    Args:
        count: How many.
        name: By which they are counted; they are not where it is empty.
    """

    def __init__(self, count: int, name: str = "") -> None:
        kind = "lock" if count == 1 else "pool"
        self._visit = _watch[0](name, kind, count) if _watch and name else None
        self.loop = asyncio.get_running_loop()
        self._free_count = count
        self._had: dict[Turn, None] = {}
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self, place: Place, until: float) -> Turn:
        """Wait for a turn, until this time of the loop's clock.

        It must be given back. Between its coming and this function's return nothing can be
        cancelled, so that `turn = await take(...)`, followed by a `try`, loses none.

        Raises:
            TimeoutError: There was none in time.
        """
        visit = self._visit(not self._free_count) if self._visit is not None else None
        if self._free_count:  # then nobody waits
            self._free_count -= 1
        else:
            await self._wait_seen(until, visit)
        if visit is not None:
            visit.begin()
        turn = Turn(place, self.loop.time(), visit)
        self._had[turn] = None
        return turn

    async def _wait_seen(self, until: float, visit: Visit | None) -> None:
        try:
            await self._wait(until)
        except BaseException:
            if visit is not None:
                visit.end()
            raise

    async def _wait(self, until: float) -> None:
        """Return when a turn was handed to us."""
        mine = self.loop.create_future()
        self._waiting.append(mine)
        alarm = self.loop.call_at(until, _give_up, mine)
        try:
            await mine
        except BaseException:
            if mine.done() and not mine.cancelled() and mine.exception() is None:
                self._hand_on()  # it was handed to us in the moment in which we were cancelled
            elif mine in self._waiting:
                self._waiting.remove(mine)
            raise
        finally:
            alarm.cancel()

    def give_back(self, turn: Turn) -> None:
        """Let the next one have it."""
        del self._had[turn]
        self._hand_on()
        if turn.visit is not None:
            turn.visit.end()

    def _hand_on(self) -> None:
        # Handed over, not set free: who comes just now does not overtake those who wait.
        while self._waiting:
            heir = self._waiting.popleft()
            if not heir.done():
                heir.set_result(None)
                return
        self._free_count += 1

    def why_none(self) -> str:
        """Who has the turns, for the text of an error."""
        if not self._had:
            return "others came first"
        oldest = next(iter(self._had))
        seconds = self.loop.time() - oldest.since
        text = f"{oldest.place} has had it for {seconds:.1f} s"
        others = len(self._had) - 1
        return f"{text}, and {others} others theirs" if others else text

    @property
    def had_count(self) -> int:
        """How many turns somebody has."""
        return len(self._had)

    @property
    def waiting_count(self) -> int:
        """How many wait for one."""
        return sum(not one.done() for one in self._waiting)


def _give_up(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())


_of_files: weakref.WeakValueDictionary[tuple[str, int], Turns] = weakref.WeakValueDictionary()


def turns_of_file(path: str) -> Turns:
    """The one queue of this event loop for writing to a file, whoever has opened it."""
    # Turns keep their loop alive, so the id is not another loop's while they exist.
    key = (path, id(asyncio.get_running_loop()))
    found = _of_files.get(key)
    if found is None:
        found = _of_files[key] = Turns(1, f"writer {Path(path).name}")
    return found


_writes: weakref.WeakKeyDictionary[asyncio.Task[object], dict[Hashable, Place]] = (
    weakref.WeakKeyDictionary()
)


@contextmanager
def not_nested(key: Hashable, place: Place, shown: str) -> Generator[None]:
    """Refuse to begin twice in one task, which would wait for itself for ever.

    Raises:
        WriteTurnError: This task has begun already; names where.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("begin() needs a running task")
    mine = _writes.setdefault(task, {})
    if key in mine:
        raise WriteTurnError(
            f"{place} asks to write to {shown}, to which this task writes already since "
            f"{mine[key]}: it would wait for itself",
            hint="Pass the session on, or let the first `begin()` end before",
        )
    mine[key] = place
    try:
        yield
    finally:
        del mine[key]
