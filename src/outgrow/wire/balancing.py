"""Which of several equal processes a call goes to, and what happens when one of them is lost.

Of two that are chosen by chance, the one with fewer calls under way takes the call: that keeps a
slow one from getting its full share, without anybody measuring. One that answers nothing while the
others do is left out for a while, and then tried with one call at a time. Nothing stands between
caller and callee.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from time import monotonic_ns
from typing import TYPE_CHECKING, Literal

from outgrow.errors import AddressError, DeadlineExceededError, UnavailableError
from outgrow.wire.calling import AnswerAsideError, Call, CallingConnection, CallLostError
from outgrow.wire.deadline import EARLY_NS, late
from outgrow.wire.peer import LEFT_OUT_SECONDS_MIN, MISSES_MAX, Peer, RetryBudget
from outgrow.wire.racing import Leg, first_answered
from outgrow.wire.sockets import connect

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    from outgrow.wire.sockets import Certificates, Meeting

REACH_SECONDS_MAX = 5.0
AGAIN_SECONDS_MIN = 0.02
AGAIN_SECONDS_MAX = 1.0
LEFT_OUT_SECONDS_MAX = 4.0  # not more, as one call at a time is all that it takes to see
SENDING_NS_MAX = 100_000
QUIET_NS_MAX = 1_000_000_000
LOOK_SECONDS = 0.05

Repeat = Literal["retry", "hedge", "won"]


class Peers:
    """All processes that this one calls.

    Args:
        make: Makes the end of a new connection; is given what to call when it changes.
        dice: Where chance comes from.
        certificates: For TCP.
        on_repeat: Told of each call that is made again as the first place was lost (`retry`), or in
            a second place because the first is late (`hedge`, and `won` when the second answers
            first).
    """

    def __init__(
        self,
        make: Callable[[Callable[[], None]], CallingConnection],
        dice: random.Random,
        certificates: Certificates | None = None,
        on_repeat: Callable[[Call, Repeat], None] | None = None,
    ) -> None:
        self._make = make
        self._on_repeat = on_repeat
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

    async def ask(
        self,
        service: str,
        call: Call,
        *,
        is_idempotent: bool,
        hedge_after_seconds: float | None = None,
    ) -> bytes:
        """Make a call where its service runs; returns the body of its result.

        Args:
            service: Its name.
            call: What is sent.
            is_idempotent: It may be made again, and in two places at once.
            hedge_after_seconds: When it is made in a second place; None for not before the first is
                found silent.

        Raises:
            UnavailableError: Nobody answered.
            DeadlineExceededError: Nobody could be reached in time.
            Exception: What the operation raised.
        """
        budget = self._budget(service)
        deadline_ns = monotonic_ns() + call.left_ns
        may_have_run = False
        while True:
            peer = self._choose(service)
            if peer is None:
                peer = await self._reached(service, call, deadline_ns, may_have_run)
            assert peer.connection is not None
            try:
                if is_idempotent:
                    return await self._ask_movably(
                        service, peer, call, deadline_ns, hedge_after_seconds
                    )
                body = await peer.connection.ask(call)
            except CallLostError as lost:
                may_have_run = may_have_run or lost.may_have_run
                if (may_have_run and not is_idempotent) or not budget.spend():
                    raise unavailable(call, lost, may_have_run=may_have_run) from None
                call = _again(call, deadline_ns)
                self._tell(call, "retry")
            except asyncio.CancelledError:
                if monotonic_ns() >= deadline_ns - EARLY_NS:
                    self._missed(peer)
                raise
            except Exception:
                if not is_idempotent:
                    self._answered(peer)
                raise
            else:
                if peer.misses:
                    self._answered(peer)
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
            asked_ns = 0
            try:
                async for body in items:
                    if peer.misses:
                        self._answered(peer)
                    yield body
                    asked_ns = monotonic_ns()
            except CallLostError as lost:
                if lost.may_have_run or not budget.spend():
                    raise unavailable(call, lost, may_have_run=lost.may_have_run) from None
                call = _again(call, deadline_ns)
                self._tell(call, "retry")
            except (asyncio.CancelledError, DeadlineExceededError):
                # Who takes an item only after the deadline has nobody else to blame.
                if asked_ns < deadline_ns - EARLY_NS <= monotonic_ns():
                    self._missed(peer)
                raise
            except Exception:
                self._answered(peer)
                raise
            else:
                self._answered(peer)
                return
            finally:
                await items.aclose()

    # Calls that may be made in two places.

    async def _ask_movably(
        self,
        service: str,
        peer: Peer,
        call: Call,
        deadline_ns: int,
        hedge_after_seconds: float | None,
    ) -> bytes:
        """Make a call that may be made elsewhere as well while it is under way."""
        connection = peer.connection
        assert connection is not None
        if connection.is_full:
            other = self._choose_beside(peer, service)
            if other is not None and other.connection is not None and not other.connection.is_full:
                peer, connection = other, other.connection
            else:
                await connection.own_turn()
        number, answer = connection.begin(call)
        connection.movable[number] = service
        timer = None
        if peer.is_suspect:
            self._hedge(peer, connection, number)
        elif hedge_after_seconds is not None:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(hedge_after_seconds, self._hedge_late, peer, connection, number)
        try:
            body = await answer
        except AnswerAsideError as aside:
            first = Leg(peer, connection, number, aside.answer)
            return await self._raced(service, call, first, deadline_ns)
        except asyncio.CancelledError:
            connection.forget(number)
            raise
        except CallLostError:
            raise
        except Exception:
            self._answered(peer)
            raise
        else:
            if peer.misses:
                self._answered(peer)
            return body
        finally:
            if timer is not None:
                timer.cancel()
            connection.movable.pop(number, None)

    def _hedge_late(self, peer: Peer, connection: CallingConnection, number: int) -> None:
        self._hedge(peer, connection, number)
        if number in connection.movable:  # there is no other place, or the budget is used up, now
            loop = asyncio.get_running_loop()
            loop.call_later(LOOK_SECONDS, self._hedge_late, peer, connection, number)

    def _hedge(self, peer: Peer, connection: CallingConnection, number: int) -> None:
        """Have a call made in a second place, if there is one and the budget pays for it."""
        service = connection.movable.get(number)
        if service is None or self._choose_beside(peer, service) is None:
            return
        if self._budgets[service].spend():
            del connection.movable[number]
            connection.put_aside(number)

    async def _raced(self, service: str, call: Call, first: Leg, deadline_ns: int) -> bytes:
        """The answer that comes first, of a place that is late and of another."""
        begun_ns = deadline_ns - call.left_ns
        legs = [first]
        try:
            other = self._choose_beside(first.peer, service)
            if other is not None and other.connection is not None:
                again = _again(call, deadline_ns)
                with suppress(CallLostError):  # then it is as if there were no other
                    legs.append(Leg.begun(other, other.connection, again))
                    self._tell(call, "hedge")
            won = await first_answered(legs)
            self._answered(won.peer)
            waited_ns = monotonic_ns() - begun_ns
            if won is not first and first.connection.quiet_ns + SENDING_NS_MAX >= waited_ns:
                self._missed(first.peer)  # it was not just slower: it said nothing at all
            if won is not first:
                self._tell(call, "won")
                if first.peer.is_suspect and not first.answer.done():
                    self._await_sign(legs.pop(0), deadline_ns)
            return won.answer.result()
        except asyncio.CancelledError:
            if monotonic_ns() >= deadline_ns - EARLY_NS:
                for leg in legs[1:]:
                    self._missed(leg.peer)
            raise
        finally:
            for leg in legs:
                leg.end()

    def _await_sign(self, leg: Leg, deadline_ns: int) -> None:
        """Have a suspect's answer taken as a sign of life, though nobody needs it any more."""

        def ended(answer: asyncio.Future[bytes]) -> None:
            if not isinstance(answer.exception(), CallLostError):
                self._answered(leg.peer)

        leg.answer.add_done_callback(ended)
        left_seconds = max(0.0, (deadline_ns - monotonic_ns()) / 1e9)
        asyncio.get_running_loop().call_later(left_seconds, leg.end)

    def _tell(self, call: Call, how: Repeat) -> None:
        if self._on_repeat is not None:
            self._on_repeat(call, how)

    def _choose_beside(self, peer: Peer, service: str) -> Peer | None:
        """The process with the fewest calls under way, besides this one."""
        usable = self._usable.get(service, [])
        # By where they are: a process that was dropped and is back is another peer, but no other.
        others = [each for each in usable if each.meeting != peer.meeting and not each.is_suspect]
        return min(others, key=_load_of, default=None)

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
        chosen = one if one.load <= other.load else other
        if chosen.misses and chosen.is_suspect and chosen.left_out_until_ns <= monotonic_ns():
            self._leave_out(chosen)  # this call is to see; no other, while that is under way
        return chosen

    async def _reached(
        self, service: str, call: Call, deadline_ns: int, may_have_run: bool = False
    ) -> Peer:
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
                    may_have_run=may_have_run,
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
        if any(each.misses == 0 for each in others):
            self._leave_out(peer)

    def _answered(self, peer: Peer) -> None:
        """It gave an answer, so it takes its full share again."""
        if peer.misses:
            peer.misses = 0
            peer.left_out_seconds = LEFT_OUT_SECONDS_MIN
            if peer.left_out_until_ns:
                peer.left_out_until_ns = 0
                self._changed()

    def _leave_out(self, peer: Peer) -> None:
        """Give it no calls for a while, and make those elsewhere as well that it has and may."""
        peer.left_out_until_ns = monotonic_ns() + int(peer.left_out_seconds * 1e9)
        loop = asyncio.get_running_loop()
        loop.call_later(peer.left_out_seconds + 0.001, self._changed)
        peer.left_out_seconds = min(peer.left_out_seconds * 2, LEFT_OUT_SECONDS_MAX)
        self._changed()
        self._watch(peer)

    def _watch(self, peer: Peer) -> None:
        if not peer.is_watched and peer.connection is not None:
            peer.is_watched = True
            self._look(peer, peer.connection)

    def _look(self, peer: Peer, connection: CallingConnection) -> None:
        """Have calls under way to a silent process made elsewhere, and look again later.

        Those for which the budget has not enough now are made later, out of what it earns.
        """
        is_silent = peer.is_suspect or (peer.is_forgotten and connection.quiet_ns >= QUIET_NS_MAX)
        peer.is_watched = bool(connection.movable) and (peer.is_suspect or peer.is_forgotten)
        if is_silent:
            for number in [*connection.movable]:
                self._hedge(peer, connection, number)
        if peer.is_watched:
            loop = asyncio.get_running_loop()
            loop.call_later(LOOK_SECONDS, self._look, peer, connection)

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
        peer.is_forgotten = True
        if peer.connection is not None:
            self._watch(peer)
            peer.connection.retire()
        elif peer.keeper is not None:
            peer.keeper.cancel()

    def _let_go(self, peer: Peer, _keeper: object) -> None:
        self._kept.discard(peer)


def unavailable(call: Call, lost: CallLostError, *, may_have_run: bool) -> UnavailableError:
    """The error for a call that was lost.

    Args:
        call: Which.
        lost: How, the last time that it was made.
        may_have_run: Whether it may have run then, or when it was made before.
    """
    ran = "may have run" if may_have_run else "did not run"
    return UnavailableError(
        f"`{call.operation}` got no answer, and {ran}: {lost}", may_have_run=may_have_run
    )


def _load_of(peer: Peer) -> int:
    return peer.load


def _again(call: Call, deadline_ns: int) -> Call:
    left_ns = deadline_ns - monotonic_ns()
    if left_ns <= 0:
        raise late(f"`{call.operation}`")
    return Call(call.operation, call.caller, left_ns, call.body, call.extras)
