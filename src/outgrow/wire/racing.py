"""One call that is made in two places: the first answer counts.

A process that stands still or has no room gives no answer, and neither does one that is lost: then
the other place is waited for. An exception of the operation is an answer.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from outgrow.errors import OverloadedError, UnavailableError
from outgrow.wire.calling import CallLostError

if TYPE_CHECKING:
    from outgrow.wire.calling import Call, CallingConnection
    from outgrow.wire.peer import Peer


class Leg:
    """One of the places where a call is made.

    Args:
        peer: Which process, as the caller knows it.
        connection: To it.
        number: Of the call, there.
        answer: Which comes or is lost.

    Attributes:
        peer: Which process.
        connection: To it.
        answer: Which comes or is lost.
    """

    def __init__(
        self, peer: Peer, connection: CallingConnection, number: int, answer: asyncio.Future[bytes]
    ) -> None:
        self.peer = peer
        self.connection = connection
        self.answer = answer
        self._number = number

    @classmethod
    def begun(cls, peer: Peer, connection: CallingConnection, call: Call) -> Leg:
        """Make the call there.

        Raises:
            CallLostError: It cannot be sent.
        """
        return cls(peer, connection, *connection.begin(call))

    @property
    def problem(self) -> BaseException | None:
        """What it ended with; None for a result."""
        return self.answer.exception()

    def end(self) -> None:
        """Wait for it no more."""
        self.connection.forget(self._number)
        if self.answer.done():
            self.answer.exception()  # read, so that nobody has to


async def first_answered(legs: list[Leg]) -> Leg:
    """The leg whose answer counts: a result, or an exception of the operation.

    Raises:
        CallLostError: No answer will come.
        OverloadedError: No place had room.
        UnavailableError: No place took it.
    """
    waiting, ended = list(legs), list[Leg]()
    while waiting:
        await asyncio.wait([leg.answer for leg in waiting], return_when=asyncio.FIRST_COMPLETED)
        for leg in [each for each in waiting if each.answer.done()]:
            if not _is_no_answer(leg.problem):
                return leg
            waiting.remove(leg)
            ended.append(leg)
    problems = [leg.problem for leg in ended]
    lost = [each for each in problems if isinstance(each, CallLostError)]
    if not lost:
        return ended[-1]
    raise CallLostError(str(lost[-1]), may_have_run=any(each.may_have_run for each in lost))


def _is_no_answer(problem: BaseException | None) -> bool:
    if isinstance(problem, OverloadedError | UnavailableError):
        return not problem.may_have_run  # it was refused before it began
    return isinstance(problem, CallLostError)
