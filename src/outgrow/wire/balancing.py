"""Which of several equal processes a call goes to, and what happens when one of them is lost.

Of two that are chosen by chance, the one with fewer calls under way takes the call: that keeps a
slow one from getting its full share, without anybody measuring. One that answers nothing while the
others do is left out for a while. Nothing stands between caller and callee.
"""

from __future__ import annotations

import asyncio
from functools import partial
from time import monotonic_ns
from typing import TYPE_CHECKING

from outgrow.errors import AddressError, UnavailableError
from outgrow.wire.calling import Call, CallingConnection, CallLostError
from outgrow.wire.deadline import late
from outgrow.wire.sockets import connect

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from outgrow.wire.sockets import Certificates, Meeting

REACH_SECONDS_MAX = 5.0
AGAIN_SECONDS_MIN = 0.02
AGAIN_SECONDS_MAX = 1.0
MISSES_MAX = 5
LEFT_OUT_SECONDS_MIN = 1.0
LEFT_OUT_SECONDS_MAX = 30.0
RETRY_RATIO = 0.1
RETRIES_SAVED_MAX = 10.0
EARLY_NS = 2_000_000


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
    """

    def __init__(self, meeting: Meeting) -> None:
        self.meeting = meeting
        self.connection: CallingConnection | None = None
        self.misses = 0
        self.left_out_until_ns = 0
        self.left_out_seconds = LEFT_OUT_SECONDS_MIN
        self.why = "not connected yet"
        self.keeper: asyncio.Task[None] | None = None

    @property
    def is_usable(self) -> bool:
        """Whether it takes calls."""
        return self.connection is not None and self.connection.is_usable

    @property
    def load(self) -> int:
        """Calls under way to it."""
        return self.connection.in_flight if self.connection is not None else 0

    def answered(self) -> None:
        """It gave an answer."""
        if self.misses:
            self.misses = 0
            self.left_out_seconds = LEFT_OUT_SECONDS_MIN


class Peers:
    """All processes that this one calls.

    Args:
        make: Makes the end of a new connection; is given what to call when it changes.
        dice: Where chance comes from.
        certificates: For TCP.
    """

    def __init__(
        self,
        make: Callable[[Callable[[], None]], CallingConnection],
        dice: random.Random,
        certificates: Certificates | None = None,
    ) -> None:
        self._make = make
        self._random = dice.random
        self._certificates = certificates
        self._peers: dict[Meeting, Peer] = {}
        self._kept: set[Peer] = set()
        self._directory: dict[str, list[Peer]] = {}
        self._usable: dict[str, list[Peer]] = {}
        self._budgets: dict[str, RetryBudget] = {}
        self._changes: asyncio.Event = asyncio.Event()

    def update(self, directory: Mapping[str, Sequence[Meeting]]) -> None:
        """Take over where each service runs now.

        Who is new is connected to; calls to who is gone may end, but none begins.
        """
        wanted = dict.fromkeys(each for meetings in directory.values() for each in meetings)
        for meeting in self._peers.keys() - wanted.keys():
            self._forget(self._peers.pop(meeting))
        for meeting in wanted:
            if meeting not in self._peers:
                peer = self._peers[meeting] = Peer(meeting)
                peer.keeper = asyncio.get_running_loop().create_task(self._keep(peer))
                peer.keeper.add_done_callback(partial(self._let_go, peer))
                self._kept.add(peer)
        self._directory = {
            service: [self._peers[each] for each in meetings]
            for service, meetings in directory.items()
        }
        self._changed()

    async def close(self) -> None:
        """Close all connections; calls under way are lost."""
        self.update({})
        keepers = [peer.keeper for peer in self._kept if peer.keeper is not None]
        for peer in self._kept:
            if peer.connection is not None:
                peer.connection.close()
        await asyncio.gather(*keepers, return_exceptions=True)

    # Calls.

    async def ask(self, service: str, call: Call, *, is_idempotent: bool) -> bytes:
        """Make a call where its service runs; returns the body of its result.

        Raises:
            UnavailableError: Nobody answered.
            DeadlineExceededError: Nobody could be reached in time.
            Exception: What the operation raised.
        """
        budget = self._budget(service)
        deadline_ns = monotonic_ns() + call.left_ns
        while True:
            peer = self._choose(service) or await self._reached(service, call, deadline_ns)
            assert peer.connection is not None
            try:
                body = await peer.connection.ask(call)
            except CallLostError as lost:
                may_repeat = is_idempotent or not lost.may_have_run
                if not may_repeat or not budget.spend():
                    raise unavailable(call, lost) from None
                call = _again(call, deadline_ns)
            except asyncio.CancelledError:
                if monotonic_ns() >= deadline_ns - EARLY_NS:
                    self._missed(peer)
                raise
            except Exception:
                peer.answered()
                raise
            else:
                if peer.misses:
                    peer.answered()
                return body

    async def stream(self, service: str, call: Call) -> AsyncGenerator[bytes]:
        """Make a call of a stream; gives the body of each item.

        Raises:
            UnavailableError: Nobody answered, or the rest will not come.
            Exception: What the operation raised.
        """
        budget = self._budget(service)
        deadline_ns = monotonic_ns() + call.left_ns
        while True:
            peer = self._choose(service) or await self._reached(service, call, deadline_ns)
            assert peer.connection is not None
            items = peer.connection.stream(call)
            try:
                async for body in items:
                    yield body
            except CallLostError as lost:
                if lost.may_have_run or not budget.spend():
                    raise unavailable(call, lost) from None
                call = _again(call, deadline_ns)
            else:
                return
            finally:
                await items.aclose()

    def _budget(self, service: str) -> RetryBudget:
        """What is left for retries, with this call's share."""
        budget = self._budgets.get(service)
        if budget is None:
            budget = self._budgets[service] = RetryBudget()
        budget.earn()
        return budget

    def _choose(self, service: str) -> Peer | None:
        usable = self._usable.get(service)
        if not usable:
            return None
        count = len(usable)
        if count == 1:
            return usable[0]
        first = int(self._random() * count)
        second = int(self._random() * (count - 1))
        one, other = usable[first], usable[second + (second >= first)]
        return one if one.load <= other.load else other

    async def _reached(self, service: str, call: Call, deadline_ns: int) -> Peer:
        """Some process that takes calls; waits for one that is on its way."""
        until_ns = min(deadline_ns, monotonic_ns() + int(REACH_SECONDS_MAX * 1e9))
        while (peer := self._choose(service)) is None:
            left_seconds = (until_ns - monotonic_ns()) / 1e9
            if left_seconds <= 0:
                if until_ns == deadline_ns:
                    raise late(f"`{call.operation}`, which could not be sent,")
                # A worker that was not told yet is told soon, so it runs nowhere only by now.
                known = self._directory.get(service, [])
                where = "; ".join(f"{each.meeting}: {each.why}" for each in known[:3])
                why = where or f"`{service}` runs nowhere"
                raise UnavailableError(
                    f"`{call.operation}` cannot be called: {why}",
                    hint="`outgrow status` shows what runs",
                    may_have_run=False,
                )
            self._changes.clear()
            try:
                async with asyncio.timeout(min(left_seconds, REACH_SECONDS_MAX)):
                    await self._changes.wait()
            except TimeoutError:
                self._changed()
        return peer

    # Peers.

    def _changed(self) -> None:
        now = monotonic_ns()
        self._usable = {}
        for service, peers in self._directory.items():
            usable = [peer for peer in peers if peer.is_usable]
            kept = [peer for peer in usable if peer.left_out_until_ns <= now]
            self._usable[service] = kept or usable
        self._changes.set()

    def _missed(self, peer: Peer) -> None:
        """A call to it had no answer in time; leave it out if it is the only one to do so."""
        peer.misses += 1
        if peer.misses < MISSES_MAX or peer.left_out_until_ns > monotonic_ns():
            return
        others = [
            each
            for peers in self._directory.values()
            if peer in peers
            for each in peers
            if each is not peer and each.is_usable
        ]
        if not any(each.misses == 0 for each in others):
            return
        peer.left_out_until_ns = monotonic_ns() + int(peer.left_out_seconds * 1e9)
        loop = asyncio.get_running_loop()
        loop.call_later(peer.left_out_seconds + 0.001, self._changed)
        peer.left_out_seconds = min(peer.left_out_seconds * 2, LEFT_OUT_SECONDS_MAX)
        self._changed()

    async def _keep(self, peer: Peer) -> None:
        """Connect to a process, and again whenever the connection is lost."""
        delay = AGAIN_SECONDS_MIN
        while self._peers.get(peer.meeting) is peer:
            try:
                connection = await self._connected(peer.meeting)
            except (OSError, ValueError, AddressError, CallLostError) as problem:
                peer.why = self._why(peer.meeting, problem)
                await asyncio.sleep(delay * (0.5 + self._random()))
                delay = min(delay * 2, AGAIN_SECONDS_MAX)
                continue
            peer.connection = connection
            self._changed()
            delay = AGAIN_SECONDS_MIN
            await connection.closed()
            peer.connection = None
            peer.why = "the connection was lost"
            self._changed()
            if self._peers.get(peer.meeting) is peer:
                await asyncio.sleep(delay)

    def _why(self, meeting: Meeting, problem: Exception) -> str:
        if isinstance(problem, AddressError):
            return problem.text
        if isinstance(problem, CallLostError) and meeting.kind == "tcp" and self._certificates:
            # All that comes of a certificate that is refused is the end of the connection.
            return f"{problem}; does it believe {self._certificates.own}?"
        return str(problem)

    async def _connected(self, meeting: Meeting) -> CallingConnection:
        connection = await connect(meeting, lambda: self._make(self._changed), self._certificates)
        try:
            await connection.ready
        except BaseException:
            connection.close()  # nobody else knows of it
            raise
        return connection

    def _forget(self, peer: Peer) -> None:
        if peer.connection is not None:
            peer.connection.retire()
        elif peer.keeper is not None:
            peer.keeper.cancel()

    def _let_go(self, peer: Peer, _keeper: object) -> None:
        self._kept.discard(peer)


def unavailable(call: Call, lost: CallLostError) -> UnavailableError:
    """The error for a call that was lost."""
    ran = "may have run" if lost.may_have_run else "did not run"
    return UnavailableError(
        f"`{call.operation}` got no answer, and {ran}: {lost}", may_have_run=lost.may_have_run
    )


def _again(call: Call, deadline_ns: int) -> Call:
    left_ns = deadline_ns - monotonic_ns()
    if left_ns <= 0:
        raise late(f"`{call.operation}`")
    return Call(call.operation, call.caller, left_ns, call.body, call.extras)
