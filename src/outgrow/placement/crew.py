"""The processes that a supervisor has started, and what is known of each."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from outgrow.host import Begin, Failed, Fork, Order, Report
from outgrow.placement.patience import Patience
from outgrow.placement.plan import EDGE
from outgrow.wire import Channel, ChannelClosedError, channel_pair

if TYPE_CHECKING:
    import socket

    from outgrow.errors import OutgrowError
    from outgrow.host import Beat, Loaded, Makeup

WorkerState = Literal["starting", "ready", "silent", "stuck", "draining"]

SILENT_SECONDS = 1.0
STUCK_SECONDS = 2.0


@dataclass(eq=False)
class Load:
    """One load of the app: a version, and the nursery that imported it.

    Attributes:
        version: 1 at first, one more with each reload.
        begin: What its workers are told; without a name.
        nursery: The channel to its nursery, while that lives.
        nursery_pid: Its process.
        loaded: What the nursery reported; None while it imports.
        failed: Why it cannot be used; None while all is well.
        started_at: When the nursery was started, in seconds on the loop's clock.
        is_dropped: Nothing more is started of it.
        makeup: What its services are made of; None where it is not known, or not the same for all
            of its workers.
        kept: Older versions by group, whose workers are as good as its own.
        restarts_all: Take over no workers of another version.
        proven: Groups of which a worker was ready.
    """

    version: int
    begin: Begin
    nursery: Channel[Report] | None = None
    nursery_pid: int = 0
    loaded: Loaded | None = None
    failed: Failed | None = None
    started_at: float = 0.0
    is_dropped: bool = False
    has_served: bool = False
    restart_at: float = 0.0
    patience: Patience = field(default_factory=Patience)
    makeup: Makeup | None = None
    kept: dict[str, frozenset[int]] = field(default_factory=dict[str, frozenset[int]])
    restarts_all: bool = False
    proven: set[str] = field(default_factory=set[str])

    def accepts(self, group: str, other: Load) -> bool:
        """Whether a group's workers that another version started are as good as its own."""
        return other is self or other.version in self.kept.get(group, ())

    @property
    def forks(self) -> bool:
        """Whether its workers are forked from the nursery, rather than importing for themselves."""
        return self.loaded is not None and not self.loaded.culprits


@dataclass(eq=False)
class Worker:
    """One worker process.

    Attributes:
        key: Unlike any other worker's, ever.
        name: Such as `web/1`; a replacement has the same.
        load: The version it runs.
        group: The group it belongs to.
        runs: What it runs: services, and `web` for the edge.
        meeting: Where it answers calls from other workers; empty where it does not.
        channel: To it.
        started_at: In seconds on the loop's clock, as all moments here.
        pid: Its process; 0 until it has said so.
        ready_at: When it was ready; 0 before.
        beat_at: When it was last heard.
        beat: What it last said.
        busy_percent: What it last measured.
        memory_bytes: What it last measured.
        listening: Sockets that it was told to accept from.
        drain_at: When it was told to leave; 0 before.
        drain_seconds: How long it may take to.
        is_worn: It wants to be replaced.
        dumped_at: When it was told to dump its stacks; 0 before.
        killed_at: When it was killed by us; 0 before.
        failed: Why it could not start, in its own words.
        lost_at: When its channel closed; 0 while it is open.
        directory: Where it was told that other services run.
    """

    key: str
    name: str
    load: Load
    channel: Channel[Report]
    started_at: float
    pid: int = 0
    ready_at: float = 0.0
    beat_at: float = 0.0
    beat: Beat | None = None
    busy_percent: float = 0.0
    memory_bytes: int = 0
    listening: set[int] = field(default_factory=set[int])
    drain_at: float = 0.0
    drain_seconds: float = 0.0
    is_worn: bool = False
    dumped_at: float = 0.0
    killed_at: float = 0.0
    failed: Failed | None = None
    lost_at: float = 0.0
    group: str = EDGE
    runs: tuple[str, ...] = (EDGE,)
    meeting: str = ""
    directory: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    @property
    def has_edge(self) -> bool:
        """Whether outsiders enter through it."""
        return EDGE in self.runs

    def serves(self, load: Load) -> bool:
        """Whether it runs the code of a version, be it started for it or taken over by it."""
        return load.accepts(self.group, self.load)

    def state(self, now: float) -> WorkerState:
        """What it does at this moment."""
        if self.drain_at:
            return "draining"
        if not self.ready_at:
            return "starting"
        if now - self.beat_at > SILENT_SECONDS:
            return "silent"
        if self.beat is not None and self.beat.tick_age_seconds > STUCK_SECONDS:
            return "stuck"
        return "ready"

    def stands_still_seconds(self, now: float) -> float:
        """How long its event loop has not turned, as far as can be seen."""
        silent = now - self.beat_at if self.beat_at else 0.0
        ticked = self.beat.tick_age_seconds if self.beat is not None else 0.0
        return silent + (ticked if ticked > STUCK_SECONDS else 0.0)

    def kill(self, number: signal.Signals, now: float) -> None:
        """Send a signal that ends it."""
        if self.pid:
            self.killed_at = self.killed_at or now
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def start_process(
    begin: Begin, stdout: int | None, stderr: int | None
) -> tuple[Channel[Report], int]:
    """Start a Python process of our own that becomes what `begin` says.

    Args:
        begin: The first order.
        stdout: Where it prints; None for where this process does.
        stderr: Likewise.

    Returns:
        The channel to it, and its process id.
    """
    ours, theirs = channel_pair()
    with theirs:
        pid = start_module("outgrow.host", theirs, (), stdout, stderr)
    channel = open_channel(ours)
    channel.send(begin)
    return channel, pid


def start_module(
    module: str,
    theirs: socket.socket,
    words: tuple[str, ...],
    stdout: int | None,
    stderr: int | None,
) -> int:
    """Start a Python process of our own; returns its process id.

    Args:
        module: That it runs.
        theirs: Its end of what connects it to this process; the first word is the descriptor.
        words: Further ones.
        stdout: Where it prints; None for where this process does.
        stderr: Likewise.
    """
    descriptor = theirs.fileno()
    started = subprocess.Popen(
        [sys.executable, "-m", module, str(descriptor), *words],
        pass_fds=[descriptor],
        stdin=None if stdout is None else subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
    )
    # The supervisor reaps all its children itself; without this the object would complain.
    started.returncode = 0
    return started.pid


def open_channel(ours: socket.socket) -> Channel[Report]:
    """The supervisor's end of a channel; it never blocks."""
    ours.setblocking(False)
    return Channel(ours, Report)


def begin_named(begin: Begin, fork: Fork) -> Begin:
    """The same, for this worker."""
    return msgspec.structs.replace(begin, name=fork.name, part=fork.part, is_proven=fork.is_proven)


def send(channel: Channel[Any], order: Order, descriptors: tuple[int, ...] = ()) -> None:
    """Send an order to a process that may be gone: its death will be noticed elsewhere."""
    with contextlib.suppress(Exception):
        channel.send(order, descriptors)


def send_waiting(channel: Channel[Any]) -> None:
    """Send what the socket did not take before."""
    if channel.has_waiting:
        with contextlib.suppress(ChannelClosedError):
            channel.flush()


def what_is_awaited(load: Load, workers: list[Worker], now: float) -> str:
    """What keeps this version from serving, in words; empty where nothing does.

    Args:
        load: The version.
        workers: Its workers.
        now: Seconds, on the loop's clock.
    """
    if load.loaded is None:
        return f"the import of `{load.begin.settings.app}` ({now - load.started_at:.0f} s)"
    for worker in workers:
        if not worker.ready_at:
            waits_for = worker.beat.waits_for if worker.beat else ""
            place = f", at {waits_for}" if waits_for else ""
            return f"{worker.name}: the app's start-up ({now - worker.started_at:.0f} s){place}"
    return ""


def close_descriptors(*descriptors: int | None) -> None:
    """Close those that are there."""
    for descriptor in descriptors:
        if descriptor is not None:
            os.close(descriptor)


def as_failed(problem: OutgrowError) -> Failed:
    """An error as processes report it to one another."""
    return Failed(problem.code, problem.text, problem.hint)


def ended_how(status: int | None) -> str:
    """A wait status in words."""
    if status is None:
        return "ended"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
        more = ", perhaps for lack of memory" if number == signal.SIGKILL else ""
        return f"was killed by {name}{more}"
    return f"exited with code {os.WEXITSTATUS(status)}"
