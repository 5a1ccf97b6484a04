"""Both ends of a connection, and the reader of frames, fed with bytes that chance chose.

The bytes are read as a list of things to say, so that most of them get past the first words.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any

import msgspec

from outgrow.wire import AnsweringConnection, Call, CallingConnection, CallLostError
from outgrow.wire.connection import Connection
from outgrow.wire.frames import (
    BODY_BYTES_MAX,
    CALLER,
    HEAD,
    HELLO_BYTES_MAX,
    MAGIC,
    FrameError,
    FrameReader,
    Hello,
    hello_frame,
)

LIMIT_BYTES = 4096
TURNS_MAX = 50
MINUTE_NS = 60 * 10**9
SHOWN = ("Stock.take", "Stock.hang", "Stock.watch")
HELLO_BYTES = hello_frame(Hello(MAGIC, [1], list(SHOWN), body_bytes_max=LIMIT_BYTES))
NUMBERS = (0, 1, 22, 1000, 2**17, 2**18, 2**32, 2**63, 2**64 - 1)


class Choices:
    """Reads bytes as choices; 0 when there are none left."""

    def __init__(self, chosen: bytes) -> None:
        self._chosen = chosen
        self._at = 0

    @property
    def are_left(self) -> bool:
        return self._at < len(self._chosen)

    def number(self) -> int:
        self._at += 1
        return self._chosen[self._at - 1] if self._at <= len(self._chosen) else 0

    def piece(self) -> bytes:
        size = self.number()
        self._at += size
        return self._chosen[self._at - size : self._at]


def said(choices: Choices) -> bytes:
    """One thing to say: mostly a frame, at times a lie or anything at all."""
    kind, what, body = choices.number(), choices.number(), choices.piece()
    if what == 0:
        return body
    if what == 1:
        return HELLO_BYTES
    length = len(body) if what > 3 else NUMBERS[what] * len(body) % 2**32
    call = choices.number() % 8
    number = NUMBERS[choices.number() % len(NUMBERS)]
    flags, operation = what & 1, what % 5
    return HEAD.pack(length, kind % (CALLER + 2), flags, operation, 0, call, number) + body


class Answers:
    """An operation that gives its arguments back, hangs, or is a stream."""

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.is_stream = shown == "Stock.watch"

    async def answer(
        self, caller: str, deadline_ns: int, extras: Mapping[str, bytes], body: bytes
    ) -> bytes:
        if self.shown == "Stock.hang":
            await asyncio.Event().wait()
        return body

    async def stream(
        self, caller: str, deadline_ns: int, extras: Mapping[str, bytes], body: bytes
    ) -> AsyncGenerator[bytes]:
        for _ in range(len(body)):
            yield body * 16


class Pipe(asyncio.Transport):
    """A transport whose other side is nobody; it reads what it is given, to check it."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = FrameReader(max(BODY_BYTES_MAX, HELLO_BYTES_MAX))
        self.is_closed = False

    def write(self, data: Any) -> None:
        self.frames.read(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self) -> None:
        self.is_closed = True

    abort = close


async def feed(connection: Connection, choices: Choices, *, is_greeted: bool) -> None:
    """Say it all to a connection, in pieces, and look whether it holds too much of it."""
    pipe = Pipe()
    connection.connection_made(pipe)
    if is_greeted:
        connection.data_received(HELLO_BYTES)
    while choices.are_left and not pipe.is_closed:
        turn = choices.number()
        words = b"".join(said(choices) for _ in range(turn % 4 + 1))
        cut = turn * 7 % (len(words) + 1)
        for each in (words[:cut], words[cut:]):
            connection.data_received(each)
            assert connection._reader.kept_bytes <= HEAD.size + HELLO_BYTES_MAX
        if turn & 16:
            connection.pause_writing()
        if turn & 32:
            await asyncio.sleep(0)
        if turn & 64:
            connection.resume_writing()
    connection.connection_lost(None)


async def fed_callee(choices: Choices, *, is_greeted: bool) -> None:
    """A callee; afterwards no call is under way."""
    callee = AnsweringConnection([Answers(each) for each in SHOWN], body_bytes_max=LIMIT_BYTES)
    await feed(callee, choices, is_greeted=is_greeted)
    for _ in range(TURNS_MAX):
        if not callee.in_flight:
            break
        await asyncio.sleep(0)
    assert not callee.in_flight
    assert callee._sweep_timer is None or callee._sweep_timer.cancelled()


async def fed_caller(choices: Choices, *, is_greeted: bool) -> None:
    """A caller with calls under way; afterwards each has ended."""
    caller = CallingConnection(body_bytes_max=LIMIT_BYTES)

    async def ask() -> None:
        with suppress(Exception):
            await caller.ask(Call(SHOWN[0], "edge", MINUTE_NS, b"", {}))

    async def read() -> None:
        with suppress(Exception):
            async for _ in caller.stream(Call(SHOWN[2], "edge", MINUTE_NS, b"", {})):
                pass

    async def begin() -> None:
        with suppress(CallLostError):
            await caller.ready
        await asyncio.gather(ask(), ask(), read(), read())

    calls = asyncio.ensure_future(begin())
    await feed(caller, choices, is_greeted=is_greeted)
    await asyncio.wait_for(calls, 5)
    assert not caller.in_flight


def fed_reader(choices: Choices) -> None:
    """The reader of frames; it keeps less than one of them."""
    reader = FrameReader(LIMIT_BYTES)
    with suppress(FrameError):
        while choices.are_left:
            reader.read(said(choices))
            assert reader.kept_bytes < HEAD.size + LIMIT_BYTES


async def try_one(chosen: bytes) -> None:
    """Feed one of them.

    Raises:
        Exception: Whatever they raise: nothing should.
    """
    loop = asyncio.get_running_loop()
    problems: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, problem: problems.append(problem))
    choices = Choices(chosen)
    which = choices.number()
    if which % 4 == 0:
        fed_reader(choices)
    elif which % 4 == 1:
        await fed_caller(choices, is_greeted=bool(which & 8))
    else:
        await fed_callee(choices, is_greeted=bool(which & 8))
    assert len(asyncio.all_tasks()) == 1
    assert not problems, problems


def known() -> list[bytes]:
    """Inputs to begin with, one for each kind of frame."""
    call = msgspec.msgpack.encode([1])
    return [
        bytes([which, turn, kind, 9, len(call), *call, number, 5, 0])
        for which in (0, 9, 10)
        for turn in (32, 112)
        for kind in range(CALLER + 1)
        for number in (0, 1)
    ]
