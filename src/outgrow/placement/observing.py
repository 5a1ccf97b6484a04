"""The observer beside the workers: started, started again when it ends, never waited for.

It is a process of its own, which keeps what workers report and serves the page. Nothing that
befalls it reaches a worker: it gets another chance later, and requests go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from outgrow.host import Watch
from outgrow.placement.crew import close_descriptors, ended_how, start_module
from outgrow.placement.seat import (
    HELD_SIGNALS,
    FromObserver,
    Leave,
    Observe,
    Remark,
    Seat,
    ToObserver,
    Watching,
)
from outgrow.placement.seating import missing_packages, page_socket, remote_address, seat_of
from outgrow.placement.sockets import name_of
from outgrow.telemetry import ObserverAddress
from outgrow.wire import Channel, ChannelClosedError, channel_pair

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from outgrow.model import Settings
    from outgrow.placement.folder import Folder
    from outgrow.placement.pipes import Pipes

DELAY_SECONDS_MAX = 30.0
GOOD_LIFE_SECONDS = 10.0
SILENT_SECONDS = 60.0
STOP_SECONDS = 5.0
ASKED_SECONDS = 1.0
EXIT_MISUSE = 2
# Requests come first where the machine is too small for both.
NICENESS = 5
_OWN_GAP_SECONDS = 5.0
_REMARKS_MAX = 100


@dataclass(eq=False)
class _Process:
    """The observer's process, of which moments are in seconds on the loop's clock."""

    pid: int
    channel: Channel[FromObserver] | None
    started_at: float
    heard_at: float
    is_up: bool = False
    asked_at: float = 0.0
    is_told_to_leave: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Observing:
    """Has one observer run, or knows of one that runs elsewhere.

    Args:
        settings: Whether, and how.
        folder: Of the supervisor.
        pipes: Where the observer prints; None for the terminal.
        say: Tells people.
        objectives: What is promised of operations, as outgrow.toml has it.
        signs: Which signs are silenced, likewise.
        prices: What things cost, likewise.
        durable: Where events and jobs are kept; empty for nowhere.

    Attributes:
        page: Address of the page; empty where there is none.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Folder,
        pipes: Pipes | None,
        say: Callable[[str], None],
        objectives: Mapping[str, object],
        signs: Mapping[str, object] | None = None,
        prices: Mapping[str, object] | None = None,
        durable: str = "",
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._folder = folder
        self._pipes = pipes
        self._say = say
        self._settings = settings
        self._durable = durable
        self._seat = seat_of(settings, folder, objectives, signs or {}, prices or {}, durable)
        self._process: _Process | None = None
        self._sock: socket.socket | None = None
        self._start_at = 0.0
        self._failures = 0
        self._is_stopping = False
        self._is_said = False
        self._said_missing = False
        self._settled_at = self._loop.time()
        self._remarks: deque[Remark] = deque(maxlen=_REMARKS_MAX)
        self.page = ""
        self._is_wanted = self._must_run()

    @property
    def is_up(self) -> bool:
        """Whether it hears and answers."""
        return self._process is not None and self._process.is_up

    @property
    def pid(self) -> int:
        """Its process; 0 while none runs."""
        return self._process.pid if self._process else 0

    def watch(self, commit: str) -> Watch | None:
        """Where workers report, and as whom; None where nobody wants to know.

        Args:
            commit: That they run; empty where it is not known.
        """
        settings = self._settings
        labels = {"commit": commit} if commit else {}
        if settings.observe == "never":
            return None
        if settings.observer:
            return Watch(remote_address(settings), self._seat.app, labels)
        if not self._is_wanted:
            return None
        return Watch(ObserverAddress(path=self._seat.reports), self._seat.app, labels)

    def _must_run(self) -> bool:
        settings = self._settings
        if settings.observe == "never" or settings.observer:
            return False
        missing = missing_packages()
        if missing and not self._said_missing:
            self._said_missing = True
            self._say(
                "nothing is kept or shown of what happens: that takes "
                "`pip install 'outgrow[watch]'`, or `--observe never` to have it so"
            )
        return not missing

    def renew(
        self,
        settings: Settings,
        objectives: Mapping[str, object],
        signs: Mapping[str, object] | None = None,
        prices: Mapping[str, object] | None = None,
    ) -> None:
        """Observe by other settings from now on; only the page stays where it is."""
        seat = seat_of(settings, self._folder, objectives, signs or {}, prices or {}, self._durable)
        is_same, self._settings, self._seat = seat == self._seat, settings, seat
        self._is_wanted = self._must_run()
        self._failures, self._start_at = 0, 0.0
        if self._process and not (is_same and self._is_wanted):
            self._tell(self._process, Leave())

    def remark(self, kind: str, text: str) -> None:
        """Have a moment marked, which charts show; later, if nobody hears it now."""
        self._remarks.append(Remark(time.time_ns(), kind, text))
        self._send_remarks()

    # The steps.

    def settle(self, *, may_speak: bool) -> None:
        """Take the next step from what is to what should be.

        Args:
            may_speak: The app serves, so people may be told where the page is.
        """
        now = self._loop.time()
        process = self._process
        if process is None:
            if self._is_wanted and not self._is_stopping and now >= self._start_at:
                self._start(now)
            return
        if now - self._settled_at > _OWN_GAP_SECONDS:
            process.heard_at = now  # it is us who stood still
        self._settled_at = now
        if process.asked_at and now - process.asked_at > ASKED_SECONDS:
            self._tell(process, Leave())
        self._send_remarks()
        if now - process.heard_at > SILENT_SECONDS:
            self._say(f"the observer has said nothing for {SILENT_SECONDS:g} s; it is ended")
            process.heard_at = now
            self.kill()
        if process.is_up and may_speak and not self._is_said:
            self._is_said = True
            if self.page:
                self._say(f"look: {self.page}")

    def _start(self, now: float) -> None:
        if self._sock is None:
            self._sock = page_socket(self._settings, self._say)
            self.page = f"http://{name_of(self._sock)}" if self._sock else ""
        out, err = None, None
        try:
            out, err = self._pipes.open("observer") if self._pipes else (None, None)
            self._process = self._started(out, err, now)
        except OSError as problem:
            self._say(f"the observer could not be started: {problem}; again in {self._fail():g} s")
        finally:
            close_descriptors(out, err)

    def _started(self, out: int | None, err: int | None, now: float) -> _Process:
        channel, pid = start_observer(self._seat, self._sock, out, err)
        process = _Process(pid, channel, now, now)
        self._loop.add_reader(channel.fileno(), self._hear, process)
        return process

    def _hear(self, process: _Process) -> None:
        channel = process.channel
        if channel is None:
            return
        try:
            for message, _ in channel.receive():
                process.heard_at = self._loop.time()
                if isinstance(message, Watching):
                    process.is_up = True
                else:
                    process.asked_at = process.asked_at or process.heard_at
        except ChannelClosedError:
            self._hang_up(process)

    def _send_remarks(self) -> None:
        process = self._process
        while self._remarks and process and process.is_up and process.channel:
            if process.channel.has_waiting:
                self._tell(process)
                return
            self._tell(process, self._remarks.popleft())

    def _tell(self, process: _Process, message: ToObserver | None = None) -> None:
        """Say something, or what waits to be said; its end will be noticed elsewhere."""
        if process.channel is None or process.is_told_to_leave:
            return
        process.is_told_to_leave = isinstance(message, Leave)
        with contextlib.suppress(ChannelClosedError):
            if message is None:
                process.channel.flush()
            else:
                process.channel.send(message)

    def _hang_up(self, process: _Process) -> None:
        if process.channel is not None:
            self._loop.remove_reader(process.channel.fileno())
            process.channel.close()
            process.channel = None

    # How it ends.

    def reaped(self, pid: int, status: int) -> None:
        """A child process ended; it may have been the observer."""
        process = self._process
        if process is None or process.pid != pid:
            return
        self._hang_up(process)
        self._process = None
        process.ended.set()
        if self._is_stopping or process.is_told_to_leave:
            return
        how = ended_how(status)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == EXIT_MISUSE:
            self._is_wanted = False
            self._say("the observer cannot run by these settings; mend them, and reload")
            return
        if self._loop.time() - process.started_at > GOOD_LIFE_SECONDS:
            self._failures = 0
        self._say(
            f"the observer (process {pid}) {how}; it is started again in {self._fail():g} s, "
            "requests go on"
        )

    def _fail(self) -> float:
        """Wait longer each time; returns for how long (seconds)."""
        delay = min(2.0**self._failures, DELAY_SECONDS_MAX)
        self._failures += 1
        self._start_at = self._loop.time() + delay
        return delay

    def start_no_more(self) -> None:
        """Let it end, if it does, without another in its place: all stops."""
        self._is_stopping = True

    async def stop(self) -> None:
        """Have it write what it has, and end; for some seconds at the most."""
        self._is_stopping = True
        if self._process:
            self._tell(self._process, Leave())
            with contextlib.suppress(ProcessLookupError):
                os.kill(
                    self._process.pid, signal.SIGCONT
                )  # one that stands still has much to write
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.ended.wait(), STOP_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it at once."""
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let go of it and of the page."""
        self._is_stopping = True
        self.kill()
        if self._process:
            self._hang_up(self._process)
        if self._sock is not None:
            self._sock.close()
            self._sock = None


def start_observer(
    seat: Seat, page: socket.socket | None, out: int | None, err: int | None
) -> tuple[Channel[FromObserver], int]:
    """Start a process that observes.

    Args:
        seat: What it keeps, and whom it answers.
        page: Where it is asked for the page.
        out: Where it prints; None for where this process does.
        err: Likewise.

    Returns:
        The channel to it, and its process id.
    """
    ours, theirs = channel_pair()
    # Ctrl+C reaches the whole group; the observer lets these in once it has handlers for them.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_SIGNALS)
    with theirs, contextlib.ExitStack() as stack:
        stack.callback(signal.pthread_sigmask, signal.SIG_SETMASK, before)
        pid = start_module("outgrow.dashboard", theirs, (), out, err)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
    ours.setblocking(False)
    channel = Channel[FromObserver](ours, FromObserver)
    with contextlib.suppress(ChannelClosedError):
        channel.send(Observe(seat), (page.fileno(),) if page else ())
    return channel, pid
