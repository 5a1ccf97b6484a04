"""The thread of a worker that reports to the observer, and never makes the worker wait for it.

What cannot be sent now is not collected: totals go on growing where they are, and say the same when
they are told later; spans and logs wait in their own buffers, which have limits and count what
finds no room. So a hung observer costs one message that lies here, and one that is gone nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import ssl
import threading
import time
import weakref
from typing import TYPE_CHECKING, Protocol

from outgrow.telemetry.records import REPORT_BYTES_MAX, Origin, Report, Wanted
from outgrow.telemetry.reports import (
    PROTOCOL,
    FrameError,
    Hello,
    ObserverAddress,
    Refused,
    Welcome,
    frame_of,
    halves_of,
    to_worker,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REPORT_SECONDS = 1.0
LAST_SECONDS = 0.5
CONNECT_SECONDS = 2.0
WELCOME_SECONDS = 60.0
PAUSES_SECONDS = (1.0, 2.0, 4.0, 5.0)
REFUSED_SECONDS = 30.0
_LOOK_SECONDS = 5.0
_SENT_AT_ONCE = 256 * 1024
_TCP_TIMEOUT_MS = 30_000
_logger = logging.getLogger(__name__)


class Collect(Protocol):
    """Gathers what is to be told."""

    def __call__(self, *, is_whole: bool, is_last: bool) -> Report:
        """The next report; its number is given to it later.

        Args:
            is_whole: All totals, and not only those that changed since this was asked last.
            is_last: Nothing more comes.
        """
        ...


class Reporter(threading.Thread):
    """Reports until it is stopped. It raises nothing, and nobody waits for it but `stop`.

    Args:
        address: Of the observer.
        origin: Of this process.
        collect: Gathers each report; called in this thread.
        wanted: Told the ids of traces of which the observer wants what is left; in this thread.
        every_seconds: Between two reports.

    Attributes:
        sent: Reports that were wholly handed to the kernel.
        is_welcome: The observer hears this worker now.
    """

    def __init__(
        self,
        address: ObserverAddress,
        origin: Origin,
        collect: Collect,
        wanted: Callable[[Sequence[bytes]], None],
        *,
        every_seconds: float = REPORT_SECONDS,
    ) -> None:
        super().__init__(name="outgrow-reporter", daemon=True)
        self.sent = 0
        self.is_welcome = False
        self._address = address
        self._origin = origin
        self._collect = collect
        self._wanted = wanted
        self._every_seconds = every_seconds
        self._number = 0
        self._is_whole = True
        self._is_stopping = False
        self._stop_at = 0.0
        self._has_ended = False  # the last report was collected
        self._said = ""
        self._frames: list[bytes] = []  # in the order in which they are to be sent
        self._sent_bytes = 0  # of the first of them
        self._sock: socket.socket | None = None
        self._wake, self._woken = socket.socketpair()
        for each in (self._wake, self._woken):
            each.setblocking(False)
        _reporters.add(self)

    def stop(self, seconds: float = LAST_SECONDS) -> bool:
        """Send the last report, and end; whether it was sent. Any thread, more than once.

        Args:
            seconds: The longest that this takes.
        """
        if not self._is_stopping:
            self._stop_at = time.monotonic() + seconds
            self._is_stopping = True
            with contextlib.suppress(OSError):
                self._wake.send(b"x")
        if self.is_alive() and threading.current_thread() is not self:
            self.join(seconds)
        return self._has_ended and not self._frames

    def run(self) -> None:
        """Connect, report, and try again, until stopped."""
        failures = 0
        while True:
            is_last_try = self._is_stopping
            pause = PAUSES_SECONDS[min(failures, len(PAUSES_SECONDS) - 1)]
            try:
                self._attend()
            except _Refusal as refusal:
                self._say("the observer at %s refuses this worker: %s", self._address, refusal)
                pause = REFUSED_SECONDS
            except (OSError, FrameError) as problem:
                if self._address.host:  # one on this machine is its supervisor's care
                    self._say("cannot report to the observer at %s: %s", self._address, problem)
            except Exception as problem:  # whatever it is, the app must not suffer from it
                self._say("reports to the observer fail: %s", repr(problem))
            failures = 0 if self.is_welcome else failures + 1
            self._hang_up()
            if is_last_try or (self._has_ended and not self._frames):
                return
            self._rest(pause)

    def _say(self, text: str, *values: object) -> None:
        said = text % values
        if said != self._said:
            self._said = said
            _logger.warning("%s", said)

    def _rest(self, seconds: float) -> None:
        poller = select.poll()
        poller.register(self._woken, select.POLLIN)
        until = time.monotonic() + seconds
        while not self._is_stopping and (left := until - time.monotonic()) > 0:
            poller.poll(left * 1000 + 1)

    # One connection.

    def _attend(self) -> None:
        """Talk to the observer, until the connection breaks or all is said."""
        sock = self._sock = _connected(self._address, self._left(CONNECT_SECONDS))
        self._is_whole = True
        self._sent_bytes = 0  # the observer has thrown away what it got of the first frame
        hello = Hello(PROTOCOL, self._origin, self._address.token)
        talk = _Talk(sock, frame_of(hello))
        give_up = time.monotonic() + WELCOME_SECONDS
        due = 0.0
        while not (self._is_stopping and time.monotonic() >= self._stop_at):
            self._hear(talk)
            now = time.monotonic()
            if not self.is_welcome and now > give_up:
                raise TimeoutError("it says nothing")
            if self.is_welcome and not self._frames and self._must_collect(now, due):
                due = max(due, now - self._every_seconds / 2) + self._every_seconds
                self._gather()
            self._send(talk)
            if self._has_ended and not self._frames:
                return self._part(sock)
            self._wait(talk, self._next(due, give_up))
        return None

    def _next(self, due: float, give_up: float) -> float:
        """When there is something to do again that no poll tells of."""
        if not self.is_welcome:
            return give_up
        return time.monotonic() + _LOOK_SECONDS if self._frames else due

    def _must_collect(self, now: float, due: float) -> bool:
        return not self._has_ended and (now >= due or self._is_stopping)

    def _hear(self, talk: _Talk) -> None:
        for message in talk.heard():
            if isinstance(message, Wanted):
                self._wanted(message.trace_ids)
            elif isinstance(message, Welcome):
                self.is_welcome = True
            else:
                raise _Refusal(message)

    def _gather(self) -> None:
        is_last = self._is_stopping
        report = self._collect(is_whole=self._is_whole or is_last, is_last=is_last)
        report.is_last = self._has_ended = is_last
        self._is_whole = False
        self._frames = list(self._framed(report))

    def _framed(self, report: Report) -> list[bytes]:
        self._number += 1
        report.number = self._number
        frame = frame_of(report)
        if len(frame) <= REPORT_BYTES_MAX:
            return [frame]
        halves = halves_of(report)
        if halves is None:
            return []  # the gap in the numbers says so
        self._number -= 1
        return [*self._framed(halves[0]), *self._framed(halves[1])]

    def _send(self, talk: _Talk) -> None:
        while talk.is_ready and self._frames:
            view = memoryview(self._frames[0])[self._sent_bytes :]
            done = talk.sent(view[:_SENT_AT_ONCE]) if self.is_welcome else 0
            if not done:
                return
            self._sent_bytes += done
            if self._sent_bytes == len(self._frames[0]):
                del self._frames[0]
                self._sent_bytes = 0
                self.sent += 1

    def _wait(self, talk: _Talk, until: float) -> None:
        """Wait for the observer, for the time, or to be stopped."""
        if self._is_stopping:
            until = min(until, self._stop_at)
        seconds = max(0.0, until - time.monotonic())
        writes = [talk.sock] if talk.has_more or (self._frames and self.is_welcome) else []
        reads = [talk.sock, self._woken]
        poller = select.poll()
        for each in reads:
            poller.register(each, select.POLLIN)
        for each in writes:
            poller.register(each, select.POLLIN | select.POLLOUT)
        if talk.has_heard_more or not poller.poll(seconds * 1000 + 1):
            return
        with contextlib.suppress(OSError):
            self._woken.recv(16)

    def _part(self, sock: socket.socket) -> None:
        """Leave such that what was sent last arrives: hang up only once the observer has."""
        sock.shutdown(socket.SHUT_WR)
        sock.setblocking(True)
        while (left := self._stop_at - time.monotonic()) > 0:
            sock.settimeout(left)
            if not sock.recv(4096):
                return

    def _left(self, seconds: float) -> float:
        if not self._is_stopping:
            return seconds
        return max(0.01, min(seconds, self._stop_at - time.monotonic()))

    def _hang_up(self) -> None:
        self.is_welcome = False
        sock, self._sock = self._sock, None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.close()

    def abandon(self) -> None:
        """Close what a fork has copied: the connection is the parent's, and shall end with it."""
        self._hang_up()
        self._wake.close()
        self._woken.close()


class _Refusal(Exception):  # noqa: N818
    """The observer says no."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(f"{refused.text}; {refused.hint}" if refused.hint else refused.text)


class _Talk:
    """A connection that never blocks.

    Attributes:
        has_more: The first words are not wholly sent.
        has_heard_more: There is more to hear that no poll tells of.
    """

    def __init__(self, sock: socket.socket, first: bytes) -> None:
        self.sock = sock
        self.has_heard_more = False
        self._first = memoryview(first)
        self._reader = to_worker()

    @property
    def has_more(self) -> bool:
        return bool(self._first)

    @property
    def is_ready(self) -> bool:
        """Whether the first words are sent, of which more is sent here."""
        if self._first:
            self._first = self._first[self.sent(self._first) :]
        return not self._first

    def sent(self, view: memoryview) -> int:
        """Send some of this; how many bytes."""
        try:
            return self.sock.send(view)
        except _LATER:
            return 0

    def heard(self) -> list[Welcome | Refused | Wanted]:
        """What the observer has said.

        Raises:
            ConnectionError: It has hung up.
        """
        try:
            chunk = self.sock.recv(65_536)
        except _LATER:
            self.has_heard_more = False
            return []
        if not chunk:
            raise ConnectionResetError("it has hung up")
        self.has_heard_more = True
        return list(self._reader.read(chunk))


_LATER = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def _connected(address: ObserverAddress, seconds: float) -> socket.socket:
    """A connection that does not block.

    Raises:
        OSError: Nobody hears there, or it is not who it says it is.
    """
    if address.path:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)  # while nobody accepts and the queue is full, connecting would wait
        try:
            sock.connect(address.path)
        except BaseException:
            sock.close()
            raise
        return sock
    raw = socket.create_connection((address.host, address.port), timeout=seconds)
    try:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _TCP_TIMEOUT_MS)
        context = ssl.create_default_context(cafile=address.authority or None)
        sock = context.wrap_socket(raw, server_hostname=address.host)
        sock.setblocking(False)
    except BaseException:
        raw.close()
        raise
    return sock


_reporters: weakref.WeakSet[Reporter] = weakref.WeakSet()


def _forked() -> None:
    for each in list(_reporters):
        each.abandon()
    _reporters.clear()


os.register_at_fork(after_in_child=_forked)
