"""The processes that import the app and fork workers from it, one for each loaded version."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import TYPE_CHECKING, Protocol

from outgrow.errors import StartupTimeoutError, WorkerDiedError
from outgrow.host import Failed, Loaded
from outgrow.placement.crew import (
    Load,
    as_failed,
    close_descriptors,
    ended_how,
    open_channel,
    send,
    send_waiting,
    start_process,
)
from outgrow.wire import Channel, ChannelClosedError, channel_pair

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from outgrow.host import Fork, Report
    from outgrow.placement.pipes import Pipes


class Loading(Protocol):
    """What is done with news from a nursery."""

    def load_ready(self, load: Load) -> None:
        """The app is imported."""
        ...

    def load_failed(self, load: Load, failed: Failed) -> None:
        """It cannot be imported."""
        ...


class Nurseries:
    """Starts nurseries, hears them, and has them fork.

    Args:
        loop: Which hears them.
        pipes: Where they print; None for the terminal.
        fleet: Which is told.
        say: Tells people.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pipes: Pipes | None,
        fleet: Loading,
        say: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._pipes = pipes
        self._fleet = fleet
        self._say = say

    def start(self, load: Load) -> None:
        """Import the app in a process of its own."""
        out, err = self._pipes.open("import") if self._pipes else (None, None)
        load.nursery, load.nursery_pid = start_process(load.begin, out, err)
        load.started_at = self._loop.time()
        load.loaded, load.failed, load.restart_at = None, None, 0.0
        close_descriptors(out, err)
        self._loop.add_reader(load.nursery.fileno(), self.hear, load)

    def hear(self, load: Load) -> None:
        """Take what a nursery reports."""
        if load.nursery is None:
            return
        try:
            reports = load.nursery.receive()
        except ChannelClosedError:
            self.close(load)
            return
        for report, _ in reports:
            if isinstance(report, Loaded):
                # A nursery that was lost and came back may have imported something else.
                is_first = not load.has_served
                load.makeup = report.makeup if is_first or report.makeup == load.makeup else None
                load.loaded, load.has_served = report, True
                self._say_culprits(load)
                self._fleet.load_ready(load)
            elif isinstance(report, Failed):
                self._fail(load, report)

    def _say_culprits(self, load: Load) -> None:
        culprits = load.loaded.culprits if load.loaded else []
        if not culprits:
            return
        self.close(load)
        if load.begin.settings.fork == "auto" and sys.platform == "linux":
            self._say(
                f"workers cannot be forked, since importing the app left {'; '.join(culprits)}. "
                "Each worker imports it for itself, which costs time and memory"
            )

    def fork(self, load: Load, fork: Fork, out: int | None, err: int | None) -> Channel[Report]:
        """Have a worker forked; returns the channel to it. The nursery must live."""
        assert load.nursery is not None
        ours, theirs = channel_pair()
        with theirs:
            outputs = (out, err) if out is not None and err is not None else ()
            send(load.nursery, fork, (theirs.fileno(), *outputs))
        return open_channel(ours)

    def judge(self, load: Load, now: float) -> None:
        """Give an import up that takes too long, and try again one that is needed."""
        settings = load.begin.settings
        if load.nursery is not None:
            send_waiting(load.nursery)
        if load.restart_at and now >= load.restart_at and not load.is_dropped:
            try:
                self.start(load)
            except OSError as problem:
                load.restart_at = now + load.patience.died(now, 0.0)
                self._say(f"the nursery could not be started: {problem}")
        is_importing = load.nursery and load.loaded is None and load.failed is None
        if is_importing and now - load.started_at > settings.startup_seconds:
            text = f"importing `{settings.app}` took more than {settings.startup_seconds:g} s"
            self._fail(load, as_failed(StartupTimeoutError(text)))

    def reaped(self, load: Load, status: int) -> None:
        """A nursery's process ended; a version that is needed gets another."""
        self.hear(load)
        load.nursery_pid = 0
        self.close(load)
        if load.is_dropped or (load.loaded and load.loaded.culprits):
            return
        if not load.has_served:
            if not load.failed:
                text = f"the process that imports the app {ended_how(status)}"
                self._fail(load, as_failed(WorkerDiedError(text)))
            return
        now = self._loop.time()
        lived = now - load.started_at if load.loaded else 0.0
        delay = load.patience.died(now, lived)
        load.loaded, load.restart_at = None, now + delay
        when = f"in {delay:g} s" if delay else "now"
        self._say(f"the nursery {ended_how(status)}; another imports the app again {when}")

    def _fail(self, load: Load, failed: Failed) -> None:
        load.failed = failed
        self._fleet.load_failed(load, failed)

    def end(self, load: Load) -> None:
        """Let a nursery go, and make sure that it goes: it may hang in the import or a hook."""
        self.close(load)
        if load.nursery_pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(load.nursery_pid, signal.SIGKILL)

    def close(self, load: Load) -> None:
        """Let a nursery go; its workers live on."""
        if load.nursery is not None:
            self._loop.remove_reader(load.nursery.fileno())
            load.nursery.close()
            load.nursery = None
