"""The callee's end of a connection: each call in a task and a context of its own."""

from __future__ import annotations

import asyncio
import contextvars
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from outgrow.errors import OverloadedError, UnavailableError, ValueMismatchError
from outgrow.wire.calling import WINDOW_BYTES, too_large
from outgrow.wire.connection import Connection
from outgrow.wire.deadline import EDGE, late
from outgrow.wire.faults import fault_of
from outgrow.wire.frames import (
    BODY_BYTES_MAX,
    CALL,
    CALLER,
    CALLER_BYTES_MAX,
    CALLERS_MAX,
    CANCEL,
    CREDIT,
    END,
    FAULT,
    HAS_EXTRAS,
    HEAD,
    ITEM,
    LEAVING,
    MAGIC,
    PROTOCOL,
    RESULT,
    FrameError,
    Hello,
    WireFrame,
    frame,
    hello_frame,
    read_hello,
    split_extras,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Coroutine, Mapping

CALLS_MAX = 10_000
SWEEP_SECONDS = 0.1
RETRY_AFTER_SECONDS = 1.0
ITEMS_AT_ONCE_MAX = 64
_encode = msgspec.msgpack.Encoder().encode
_NO_EXTRAS: dict[str, bytes] = {}


class Answerer(Protocol):
    """Who answers the calls of one operation."""

    @property
    def shown(self) -> str:
        """Such as `Stock.reserve`."""
        ...

    @property
    def is_stream(self) -> bool:
        """Whether the answer is many items."""
        ...

    def answer(
        self, caller: str, deadline_ns: int, extras: Mapping[str, bytes], body: bytes
    ) -> Coroutine[Any, Any, bytes]:
        """The body of the result."""
        ...

    def stream(
        self, caller: str, deadline_ns: int, extras: Mapping[str, bytes], body: bytes
    ) -> AsyncGenerator[bytes]:
        """The bodies of the items."""
        ...


class _Running(msgspec.Struct):
    """A call that is being answered.

    Attributes:
        credit_bytes: How much more of a stream the caller takes.
        more: Set when there is more credit; None where nobody waits for it.
    """

    answerer: Any
    task: asyncio.Task[None]
    deadline_ns: int
    credit_bytes: int = WINDOW_BYTES
    more: asyncio.Future[None] | None = None


class AnsweringConnection(Connection):
    """A connection from a process that calls.

    Args:
        answerers: The operations that are answered here; their order is their number.
        name: Of this process, for people.
        version: Of the app here.
        body_bytes_max: The largest call that is taken.
    """

    def __init__(
        self,
        answerers: list[Answerer],
        *,
        name: str = "",
        version: int = 0,
        body_bytes_max: int = BODY_BYTES_MAX,
    ) -> None:
        super().__init__(body_bytes_max)
        self._answerers = answerers
        self._name = name
        self._version = version
        self._callers = [EDGE]
        self._callers_left = CALLERS_MAX
        self._running: dict[int, _Running] = {}
        self._ending: dict[int, asyncio.Task[None]] = {}
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._is_leaving = False

    @property
    def in_flight(self) -> int:
        """Calls that are being answered, or that were cancelled and have not ended."""
        return len(self._running) + len(self._ending)

    def leave(self) -> None:
        """Tell the caller to make no new calls here; it closes when it has all answers."""
        self._is_leaving = True
        if self.is_open and self._has_shaken_hands:
            self.send(frame(LEAVING, 0))

    def pause_writing(self) -> None:
        """Take no more calls either: who does not read answers could have any number made."""
        super().pause_writing()
        if self.is_open and self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Send on, and take calls."""
        if self.is_open and self._transport is not None:
            self._transport.resume_reading()
        super().resume_writing()

    def _hello_came(self, body: bytes) -> None:
        hello = read_hello(body)
        if PROTOCOL not in hello.protocols:
            spoken = ", ".join(map(str, hello.protocols)) or "none"
            raise FrameError(f"protocol {PROTOCOL} is spoken here, and {spoken} there")
        self._callers += hello.operations
        self.body_bytes_max = hello.body_bytes_max
        names = [each.shown for each in self._answerers]
        mine = Hello(MAGIC, [PROTOCOL], names, self._version, self._own_bytes_max, self._name)
        self.send(hello_frame(mine))
        if self._is_leaving:
            self.send(frame(LEAVING, 0))

    def _came(self, one: WireFrame) -> None:
        if one.kind == CALL:
            self._begin(one)
        elif one.kind == CANCEL:
            self._cut_short(one.call)
        elif one.kind == CREDIT:
            self._credit(one)
        elif one.kind == CALLER:
            self._caller_came(one.body)
        else:
            self._other_came(one, "the side that calls")

    def _caller_came(self, name: bytes) -> None:
        self._callers_left -= 1
        if self._callers_left < 0 or len(name) > CALLER_BYTES_MAX:
            raise FrameError("too many callers, or one with too long a name")
        self._callers.append(name.decode(errors="replace"))

    def _begin(self, one: WireFrame) -> None:
        if one.operation >= len(self._answerers) or one.caller >= len(self._callers):
            raise FrameError("a call of an operation that is not here")
        if one.call in self._running or one.call in self._ending:
            raise FrameError("a call has the number of one that is under way")
        answerer = self._answerers[one.operation]
        if len(self._running) + len(self._ending) >= CALLS_MAX:
            self._send_fault(one.call, answerer, _too_many())
            return
        deadline_ns = monotonic_ns() + one.number
        work = self._streamed if answerer.is_stream else self._answered
        task = self._loop.create_task(
            work(answerer, one, self._callers[one.caller], deadline_ns),
            context=contextvars.Context(),
        )
        self._running[one.call] = _Running(answerer, task, deadline_ns)
        if self._sweep_timer is None:
            self._sweep_timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    async def _answered(
        self, answerer: Answerer, one: WireFrame, caller: str, deadline_ns: int
    ) -> None:
        call = one.call
        try:
            if self._room is not None:
                await self.room()
            if one.flags & HAS_EXTRAS:
                extras, body = split_extras(one.body)
            else:
                extras, body = _NO_EXTRAS, one.body
            body = await answerer.answer(caller, deadline_ns, extras, body)
            if len(body) > self.body_bytes_max:
                self._check_size(answerer, body)
        except BaseException as error:
            self._fault(call, answerer, error)
        else:
            # A call that nobody waits for any more is not among those that run.
            if self._running.pop(call, None) is not None and self.is_open:
                self.send_with(HEAD.pack(len(body), RESULT, 0, 0, 0, call, 0), body)

    async def _streamed(
        self, answerer: Answerer, one: WireFrame, caller: str, deadline_ns: int
    ) -> None:
        call = one.call
        running = self._running.get(call)
        if running is None:
            return
        try:
            extras, body = _parts(one)
            items = answerer.stream(caller, deadline_ns, extras, body)
            try:
                await self._send_items(running, call, items)
            finally:
                await items.aclose()
        except BaseException as error:
            self._fault(call, answerer, error)
        else:
            if self._running.pop(call, None) is not None and self.is_open:
                self.send(frame(END, call))

    async def _send_items(self, running: _Running, call: int, items: AsyncGenerator[bytes]) -> None:
        count = 0
        async for body in items:
            self._check_size(running.answerer, body)
            while running.credit_bytes <= 0:
                running.more = self._loop.create_future()
                await running.more
            await self.room()
            if self._running.get(call) is not running:
                return  # nobody reads it, whatever it makes of being cancelled
            running.credit_bytes -= HEAD.size + len(body)
            self.send_with(HEAD.pack(len(body), ITEM, 0, 0, 0, call, 0), body)
            count += 1
            if count % ITEMS_AT_ONCE_MAX == 0:
                await asyncio.sleep(0)  # items that need no waiting must not keep the others out

    def _credit(self, one: WireFrame) -> None:
        running = self._running.get(one.call)
        if running is None:
            return  # it has ended meanwhile
        running.credit_bytes += one.number
        if running.credit_bytes > WINDOW_BYTES:
            raise FrameError("a stream was given more credit than there is")
        if running.more is not None and not running.more.done():
            running.more.set_result(None)

    def _check_size(self, answerer: Answerer, body: bytes) -> None:
        if len(body) > self.body_bytes_max:
            raise too_large(f"the results of `{answerer.shown}`", body, self.body_bytes_max)

    # Calls that end before their answer.

    def _fault(self, call: int, answerer: Answerer, error: BaseException) -> None:
        if self._running.pop(call, None) is None or not self.is_open:
            return
        if isinstance(error, asyncio.CancelledError):
            error = UnavailableError(f"`{answerer.shown}` was cancelled where it ran")
        if not isinstance(error, Exception):
            raise error
        self._send_fault(call, answerer, error)

    def _send_fault(self, call: int, answerer: Answerer, error: Exception) -> None:
        kind = f"the {type(error).__name__} of `{answerer.shown}`"
        try:
            body = _encode(fault_of(error, is_traced=True))
        except (TypeError, ValueError, RecursionError) as problem:
            error = ValueMismatchError(f"{kind} cannot cross: {problem}")
            body = _encode(fault_of(error))
        if len(body) > self.body_bytes_max:
            body = _encode(fault_of(too_large(kind, body, self.body_bytes_max)))
        self.send(frame(FAULT, call, body))

    def _cut_short(self, call: int) -> _Running | None:
        """Stop a call that nobody waits for."""
        running = self._running.pop(call, None)
        if running is not None and not running.task.done():
            self._ending[call] = running.task
            running.task.add_done_callback(lambda _: self._ending.pop(call))
            running.task.cancel()
        return running

    def _sweep(self) -> None:
        """End what is late: its caller gave up, but may be unable to say so."""
        self._sweep_timer = None
        now = monotonic_ns()
        for call, running in [*self._running.items()]:
            if now >= running.deadline_ns:
                self._cut_short(call)
                error = late(f"`{running.answerer.shown}`")
                self._send_fault(call, running.answerer, error)
        if self._running:
            self._sweep_timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def _ended(self, why: str) -> None:
        for call in [*self._running]:
            self._cut_short(call)
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()


def _too_many() -> OverloadedError:
    return OverloadedError(
        f"a connection has {CALLS_MAX:,} calls under way", retry_after_seconds=RETRY_AFTER_SECONDS
    )


def _parts(one: WireFrame) -> tuple[Mapping[str, bytes], bytes]:
    return split_extras(one.body) if one.flags & HAS_EXTRAS else (_NO_EXTRAS, one.body)
