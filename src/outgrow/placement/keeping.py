"""The keeper beside the workers: owns the file of events and jobs, and is started again at once.

Workers wait for it, and repeat what it did not answer; nothing that was acknowledged depends on its
life. Where durable work is on PostgreSQL there is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from typing import TYPE_CHECKING

from outgrow.placement.crew import close_descriptors, ended_how, start_module
from outgrow.placement.patience import Patience
from outgrow.store import url_of_durable

if TYPE_CHECKING:
    from collections.abc import Callable

    from outgrow.model import Settings
    from outgrow.placement.folder import Folder
    from outgrow.placement.pipes import Pipes

SOCKET_NAME = "keeper.sock"
STOP_SECONDS = 5.0


class Keeping:
    """Has one keeper run, where durable work is in a file.

    Args:
        settings: Where durable work is kept.
        folder: Of the supervisor.
        pipes: Where the keeper prints; None for the terminal.
        say: Tells people.

    Attributes:
        place: Where workers find durable work: the keeper's socket, or a server's URL.
        pid: The keeper's process; 0 while none runs.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Folder,
        pipes: Pipes | None,
        say: Callable[[str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._pipes = pipes
        self._say = say
        self._url = settings.durable_url or url_of_durable(os.environ, folder.path)
        meeting = f"unix:{folder.calls_path() / SOCKET_NAME}"
        self._has_keeper = self._url.startswith("sqlite")
        self.place = meeting if self._has_keeper else self._url
        self.pid = 0
        self._life: socket.socket | None = None
        self._patience = Patience()
        self._started_at = 0.0
        self._is_stopping = False
        self._ended = asyncio.Event()

    def settle(self, *, is_needed: bool) -> None:
        """Start it where it is needed and does not run."""
        now = self._loop.time()
        if not is_needed or not self._has_keeper or self._is_stopping or self.pid:
            return
        if now < self._patience.next_start_at:
            return
        out, err = None, None
        try:
            out, err = self._pipes.open("keeper") if self._pipes else (None, None)
            self._start(out, err)
        except OSError as problem:
            seconds = self._patience.died(now, 0.0)
            self._say(f"the keeper could not be started: {problem}; again in {seconds:g} s")
        finally:
            close_descriptors(out, err)

    def _start(self, out: int | None, err: int | None) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            words = (self._url, self.place)
            self.pid = start_module("outgrow.host.durable", theirs, words, out, err)
        self._life, self._started_at = ours, self._loop.time()
        self._ended.clear()

    def reaped(self, pid: int, status: int) -> None:
        """A child process ended; it may have been the keeper."""
        if not pid or pid != self.pid:
            return
        self._hang_up()
        self.pid = 0
        self._ended.set()
        if self._is_stopping:
            return
        now = self._loop.time()
        seconds = self._patience.died(now, now - self._started_at)
        when = f"in {seconds:g} s" if seconds else "at once"
        self._say(
            f"the keeper (process {pid}) {ended_how(status)}; it is started again {when}, and "
            "events and jobs wait for it"
        )

    def told(self) -> dict[str, object] | None:
        """Its process and where it is asked; None where there is none."""
        return {"pid": self.pid, "place": self.place} if self.pid else None

    def kill(self) -> None:
        """End it at once; what was acknowledged is on disk."""
        self._is_stopping = True
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def stop(self) -> None:
        """Have it end, now that all workers have."""
        self._is_stopping = True
        if not self.pid:
            return
        self._hang_up()
        try:
            await asyncio.wait_for(self._ended.wait(), STOP_SECONDS)
        except TimeoutError:
            self.kill()

    def _hang_up(self) -> None:
        if self._life is not None:
            self._life.close()
            self._life = None
