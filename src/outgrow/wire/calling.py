"""The caller's end of a connection: many calls under way, each ended by its answer or its loss."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from time import monotonic_ns
from typing import TYPE_CHECKING

import msgspec

from outgrow.errors import ValueMismatchError
from outgrow.wire.connection import Connection
from outgrow.wire.deadline import EDGE, LONG_NS, late
from outgrow.wire.faults import Fault, error_of
from outgrow.wire.frames import (
    BODY_BYTES_MAX,
    CALLER,
    CALLER_BYTES_MAX,
    CALLERS_MAX,
    CANCEL,
    CREDIT,
    END,
    FAULT,
    HEAD,
    ITEM,
    LEAVING,
    MAGIC,
    NONSENSE,
    PROTOCOL,
    RESULT,
    FrameError,
    Hello,
    WireFrame,
    call_head,
    frame,
    hello_frame,
    read_hello,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

WINDOW_BYTES = 256 * 1024
_CALLS_MAX = 2**32
_read_fault = msgspec.msgpack.Decoder(Fault).decode


class CallLostError(Exception):
    """A call whose answer will not come.

    Attributes:
        may_have_run: Whether any byte of it was handed to the kernel.
    """

    def __init__(self, why: str, *, may_have_run: bool) -> None:
        super().__init__(why)
        self.may_have_run = may_have_run


class AnswerAsideError(Exception):
    """An answer is waited for no longer by who asked, but may still come.

    Attributes:
        answer: Where it comes.
    """

    def __init__(self, answer: asyncio.Future[bytes]) -> None:
        super().__init__("the answer comes elsewhere")
        self.answer = answer


class Call(msgspec.Struct, frozen=True, gc=False):
    """What is sent for a call.

    Attributes:
        operation: Such as `Stock.reserve`.
        caller: The operation that calls, or the route; `edge` outside of all.
        left_ns: Until its deadline; more than 0.
        body: Its arguments.
        extras: What travels with it.
    """

    operation: str
    caller: str
    left_ns: int
    body: bytes
    extras: Mapping[str, bytes]


class CallingConnection(Connection):
    """A connection to a process that answers calls.

    Args:
        callers: The operations that calls come from; others, such as routes, may come as well.
        name: Of this process, for people.
        version: Of the app here; the other side may have another.
        on_change: Called when it becomes usable, is about to leave, or is lost.
        body_bytes_max: The largest answer that is taken.

    Attributes:
        peer: What the other side said of itself; None until it did.
        in_flight: Calls without an answer.
        is_leaving: The other side takes no new calls.
        movable: The service of each call under way that may be made elsewhere as well, by number.
    """

    def __init__(
        self,
        callers: Sequence[str] = (),
        *,
        name: str = "",
        version: int = 0,
        on_change: Callable[[], None] | None = None,
        body_bytes_max: int = BODY_BYTES_MAX,
    ) -> None:
        super().__init__(body_bytes_max)
        self._callers = {each: number for number, each in enumerate(callers, 1)}
        self._callers[EDGE] = 0
        self._callers_more = range(len(callers) + 1, len(callers) + 1 + CALLERS_MAX)
        self._hello = Hello(MAGIC, [PROTOCOL], list(callers), version, body_bytes_max, name)
        self._on_change = on_change
        self._numbers: dict[str, int] = {}
        self._count = 0
        self._answers: dict[int, asyncio.Future[bytes]] = {}
        self._streams: dict[int, _Incoming] = {}
        self._kept: set[int] = set()
        self.movable: dict[int, str] = {}
        self._waiting = 0
        self._quiet_since_ns = monotonic_ns()
        self._why = "no connection"
        self.peer: Hello | None = None
        self.is_leaving = False
        self.ready: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say who we are."""
        super().connection_made(transport)
        self.send(hello_frame(self._hello))
        self._flush()

    @property
    def in_flight(self) -> int:
        """Calls and streams that have not ended, or wait to be sent."""
        return len(self._answers) + len(self._streams) + self._waiting

    @property
    def is_usable(self) -> bool:
        """Whether a new call may go this way."""
        return self.is_open and self._has_shaken_hands and not self.is_leaving

    def answers(self, operation: str) -> bool:
        """Whether the other side has this operation."""
        return operation in self._numbers

    # Calls.

    async def ask(self, call: Call) -> bytes:
        """Make a call; returns the body of its result.

        Raises:
            CallLostError: No answer will come.
            Exception: What the operation raised.
        """
        if self._room is not None:
            await self.own_turn()
        number = self._begin(call)
        if not self._answers:
            self._quiet_since_ns = monotonic_ns()
        answer = self._answers[number] = self._loop.create_future()
        try:
            return await answer
        except asyncio.CancelledError:
            self.forget(number)
            raise

    def begin(self, call: Call) -> tuple[int, asyncio.Future[bytes]]:
        """Send a call: its number, and its answer, which comes or is lost.

        Raises:
            CallLostError: It cannot be sent.
        """
        number = self._begin(call)
        if not self._answers:
            self._quiet_since_ns = monotonic_ns()
        answer = self._answers[number] = self._loop.create_future()
        return number, answer

    def forget(self, number: int) -> None:
        """Have no answer to a call any more."""
        if self._answers.pop(number, None) is not None:
            self._cancel(number)

    def put_aside(self, number: int) -> None:
        """End the wait for an answer by an `AnswerAsideError`, which says where it comes now."""
        answer = self._answers.get(number)
        if answer is not None and not answer.done():
            later = self._answers[number] = self._loop.create_future()
            answer.set_exception(AnswerAsideError(later))

    @property
    def is_full(self) -> bool:
        """Whether the other side does not read at present; a call then has to wait its turn."""
        return self._room is not None

    @property
    def quiet_ns(self) -> int:
        """How long the other side has said nothing, while it had calls to answer."""
        return monotonic_ns() - self._quiet_since_ns

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._quiet_since_ns = monotonic_ns()
        super().data_received(data)

    async def stream(self, call: Call) -> AsyncGenerator[bytes]:
        """Make a call of a stream; gives the body of each item.

        Raises:
            CallLostError: The rest will not come.
            Exception: What the operation raised.
        """
        if self._room is not None:
            await self.own_turn()
        number = self._begin(call)
        incoming = self._streams[number] = _Incoming(self._loop)
        timer = None
        if call.left_ns < LONG_NS:
            error = late(f"`{call.operation}`")
            timer = self._loop.call_later(call.left_ns / 1e9, incoming.end, error)
        taken = 0
        try:
            while (body := await incoming.next()) is not None:
                yield body
                taken += HEAD.size + len(body)
                if taken >= WINDOW_BYTES // 2 and not incoming.has_ended:
                    self.send(frame(CREDIT, number, number=taken))
                    incoming.owed_bytes -= taken
                    taken = 0
        finally:
            if timer is not None:
                timer.cancel()
            if self._streams.pop(number, None) is not None:
                self._cancel(number)

    async def own_turn(self) -> None:
        """Wait until the other side reads; counts as a call under way meanwhile."""
        self._waiting += 1
        try:
            await self.room()
        except asyncio.CancelledError:
            self._waiting -= 1
            self._close_if_done()
            raise
        self._waiting -= 1

    def _begin(self, call: Call) -> int:
        operation = self._numbers.get(call.operation)
        if not self.is_open:
            raise self._lost_call(self._why, may_have_run=False)
        if operation is None:
            raise self._lost_call("it has another version of the service", may_have_run=False)
        if len(call.body) > self.body_bytes_max:
            raise too_large(f"the arguments of `{call.operation}`", call.body, self.body_bytes_max)
        self._count += 1
        number = self._count % _CALLS_MAX
        while number in self._answers or number in self._streams:
            self._count += 1
            number = self._count % _CALLS_MAX
        caller = self._callers.get(call.caller)
        if caller is None:
            caller = self._introduced(call.caller)
        sent = call_head(operation, caller, number, call.left_ns, call.body, call.extras)
        if call.extras and len(sent) + len(call.body) - HEAD.size > self.body_bytes_max:
            what = f"the arguments of `{call.operation}`, with its baggage,"
            raise too_large(what, sent + call.body, self.body_bytes_max)
        self._kept.add(number)
        self.send_with(sent, call.body)
        return number

    def _introduced(self, caller: str) -> int:
        """The number of a caller that is met for the first time; that of the edge for too many."""
        name = caller.encode(errors="replace")
        if not self._callers_more or len(name) > CALLER_BYTES_MAX:
            return 0
        number = self._callers[caller] = self._callers_more[0]
        self._callers_more = self._callers_more[1:]
        self.send(frame(CALLER, 0, name))
        return number

    def _cancel(self, number: int) -> None:
        if self.is_open:
            self.send(frame(CANCEL, number))
            self._close_if_done()

    def retire(self) -> None:
        """Take no new calls, and close when those under way have ended."""
        self.is_leaving = True
        self._close_if_done()

    def _close_if_done(self) -> None:
        if self.is_leaving and not self.in_flight:
            self.close()

    def _handed_over(self) -> None:
        self._kept.clear()

    # What comes.

    def _hello_came(self, body: bytes) -> None:
        hello = read_hello(body)
        if hello.protocols != [PROTOCOL]:
            raise FrameError(f"the other side chose a protocol that is not {PROTOCOL}")
        self.peer = hello
        self.body_bytes_max = hello.body_bytes_max
        self._numbers = {each: number for number, each in enumerate(hello.operations)}
        if not self.ready.done():
            self.ready.set_result(None)
        self._changed()

    def _came(self, one: WireFrame) -> None:
        kind, number = one.kind, one.call
        if kind == RESULT:
            answer = self._answers.pop(number, None)
            if answer is not None and not answer.done():
                answer.set_result(one.body)
        elif kind == FAULT:
            self._fault_came(number, _fault(one.body))
        elif kind == ITEM:
            if (incoming := self._streams.get(number)) is not None:
                incoming.add(one.body)
        elif kind == END:
            if (incoming := self._streams.pop(number, None)) is not None:
                incoming.end(None)
        elif kind == LEAVING:
            self.is_leaving = True
            self._changed()
        else:
            self._other_came(one, "the side that answers")
        if self.is_leaving:
            self._close_if_done()

    def _fault_came(self, number: int, error: Exception) -> None:
        answer = self._answers.pop(number, None)
        if answer is not None and not answer.done():
            answer.set_exception(error)
        if (incoming := self._streams.pop(number, None)) is not None:
            incoming.end(error)

    def _ended(self, why: str) -> None:
        self._why = why
        answers, self._answers = self._answers, {}
        streams, self._streams = self._streams, {}
        for number, answer in answers.items():
            if not answer.done():
                error = self._lost_call(why, may_have_run=number not in self._kept)
                answer.set_exception(error)
        for number, incoming in streams.items():
            incoming.end(self._lost_call(why, may_have_run=number not in self._kept))
        if not self.ready.done():
            self.ready.set_exception(self._lost_call(why, may_have_run=False))
            self.ready.exception()  # read, so that nobody has to
        self._changed()

    def _lost_call(self, why: str, *, may_have_run: bool) -> CallLostError:
        who = f"{self.peer.name}: " if self.peer is not None and self.peer.name else ""
        return CallLostError(who + why, may_have_run=may_have_run)

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change()


class _Incoming:
    """The items of a stream that have come and were not taken yet; at most a window's worth."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._bodies: deque[bytes] = deque()
        self._awaited: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self.has_ended = False
        self.owed_bytes = 0  # of credit, for what came

    def add(self, body: bytes) -> None:
        if self.owed_bytes >= WINDOW_BYTES:
            raise FrameError("a stream sent more than it had credit for")
        self.owed_bytes += HEAD.size + len(body)
        self._bodies.append(body)
        self._wake()

    def end(self, error: Exception | None) -> None:
        self.has_ended = True
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._awaited is not None and not self._awaited.done():
            self._awaited.set_result(None)

    async def next(self) -> bytes | None:
        while not self._bodies:
            if self._error is not None:
                raise self._error
            if self.has_ended:
                return None
            self._awaited = self._loop.create_future()
            await self._awaited
        return self._bodies.popleft()


def too_large(what: str, body: bytes, bytes_max: int) -> ValueMismatchError:
    """The error for a value that is too large to cross."""
    return ValueMismatchError(
        f"{what} are {len(body):,} bytes as they cross, over the limit of {bytes_max:,}",
        hint="Send it in pieces, as a stream, or keep it where both can read it",
    )


def _fault(body: bytes) -> Exception:
    try:
        return error_of(_read_fault(body))
    except NONSENSE as problem:
        raise FrameError(f"an exception makes no sense: {problem}") from None
