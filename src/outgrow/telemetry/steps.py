"""The step meter: how long a coroutine really ran, its waits left out."""

from __future__ import annotations

from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Generator


class Steps:
    """Adds up the steps of one coroutine on the event loop.

    A step lasts from a resumption to the next wait. Tasks that the coroutine starts are not its
    steps. Costs about 0.3 µs a step.

    Attributes:
        total_ns: Wall time of all steps so far, in nanoseconds.
    """

    __slots__ = ("_awaited", "total_ns")

    def __init__(self) -> None:
        self.total_ns = 0
        self._awaited: Generator[Any, Any, Any] | None = None

    def of(self, awaitable: Awaitable[None]) -> Steps:
        """Await the result instead of the awaitable."""
        self._awaited = awaitable.__await__()
        return self

    def __await__(self) -> Generator[Any, Any, None]:
        """Drive the coroutine as `await` does, with a clock around each step."""
        inner = self._awaited
        assert inner is not None
        value: Any = None
        problem: BaseException | None = None
        while True:
            begun = perf_counter_ns()
            try:
                waits_for = inner.send(value) if problem is None else inner.throw(problem)
            except StopIteration:
                return
            finally:
                self.total_ns += perf_counter_ns() - begun
            try:
                value, problem = (yield waits_for), None
            except GeneratorExit:
                inner.close()
                raise
            except BaseException as raised:
                value, problem = None, raised
