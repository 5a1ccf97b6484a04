"""How an observer lives: alone, or beside a supervisor, after which it hears workers out."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from typing import TYPE_CHECKING

from outgrow.dashboard.observer import Observer
from outgrow.errors import OutgrowError, SettingError
from outgrow.placement import HELD_SIGNALS, Asked, Leave, Observe, Remark, ToObserver, Watching
from outgrow.wire import Channel, ChannelClosedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from outgrow.placement import Seat

BEAT_SECONDS = 1.0
EXIT_FAILED, EXIT_MISUSE = 1, 2


def beside(descriptor: int) -> int:
    """Observe as the supervisor at the other end of a channel says; returns the exit code."""
    for number in HELD_SIGNALS:
        signal.signal(number, _leave_to_supervisor)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_SIGNALS)
    channel = Channel[ToObserver](socket.socket(fileno=descriptor), ToObserver)
    try:
        first, descriptors = channel.receive()[0]
    except (ChannelClosedError, IndexError):
        return EXIT_FAILED
    assert isinstance(first, Observe), first
    channel.sock.setblocking(False)
    page = socket.socket(fileno=descriptors[0]) if descriptors else None
    return asyncio.run(_Post(channel, first.seat, page).keep())


def _leave_to_supervisor(_number: int, _frame: object) -> None:
    """Ctrl+C and a closed terminal reach the whole process group."""


class _Post:
    """An observer beside its supervisor."""

    def __init__(
        self, channel: Channel[ToObserver], seat: Seat, page: socket.socket | None
    ) -> None:
        self._channel = channel
        self._seat = seat
        self._page = page
        self._observer: Observer | None = None
        self._leaving = asyncio.Event()
        self._is_alone = False

    async def keep(self) -> int:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._channel.fileno(), self._hear)
        loop.add_signal_handler(signal.SIGTERM, self._asked)
        try:
            self._observer = observer = Observer(self._seat, self._page)
            if not await _started(observer, self._leaving) and not self._is_alone:
                await observer.stop()
                return 0
        except OutgrowError as problem:
            return _failed(problem)
        beating = asyncio.create_task(self._beat())
        await self._leaving.wait()
        beating.cancel()
        if self._is_alone:
            await observer.answer_no_more()
            await observer.hear_out(self._seat.linger_seconds)
        await observer.stop()
        return 0

    def _hear(self) -> None:
        try:
            for message, _ in self._channel.receive():
                if isinstance(message, Remark) and self._observer is not None:
                    self._observer.remark(message.at_ns, message.kind, message.text)
                elif isinstance(message, Leave):
                    self._leaving.set()
        except ChannelClosedError:
            self._orphaned()

    def _asked(self) -> None:
        """Who sends SIGTERM to all processes at once wants the workers to be heard out."""
        self._send(Asked())

    def _orphaned(self) -> None:
        if not self._is_alone:
            self._is_alone = True
            asyncio.get_running_loop().remove_reader(self._channel.fileno())
            self._leaving.set()

    async def _beat(self) -> None:
        while True:
            self._send(Watching())
            await asyncio.sleep(BEAT_SECONDS)

    def _send(self, message: Watching | Asked) -> None:
        try:
            if self._channel.has_waiting:
                self._channel.flush()
            else:
                self._channel.send(message)
        except ChannelClosedError:
            self._orphaned()


async def _started(observer: Observer, leaving: asyncio.Event) -> bool:
    """Start an observer, which may wait for the folder; False if it was told to leave before."""
    starting = asyncio.ensure_future(observer.start())
    told = asyncio.ensure_future(leaving.wait())
    try:
        await asyncio.wait({starting, told}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait({starting})
            return False
        await starting
        return True
    finally:
        told.cancel()


def _failed(problem: OutgrowError) -> int:
    sys.stderr.write(f"{problem}\n")
    return EXIT_MISUSE if isinstance(problem, SettingError) else EXIT_FAILED


async def stand_alone(
    seat: Seat, page: socket.socket | None, say: Callable[[Observer], None]
) -> None:
    """Observe until SIGTERM or Ctrl+C.

    Args:
        seat: What is kept, and who is answered.
        page: Socket on which the page is asked for.
        say: Called once it hears and answers.

    Raises:
        OutgrowError: It cannot; says why.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    observer = Observer(seat, page)
    try:
        if await _started(observer, stopped):
            say(observer)
            await stopped.wait()
    finally:
        await observer.stop()
