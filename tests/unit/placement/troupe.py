"""Processes that are played by the test: they say what it wants, when it wants, and never run.

A fleet starts its processes through two seams, a start and a fork; here each gives the test the
other end of the channel. The loop's clock can be put forward, so that nothing waits.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from outgrow.host import Beat, Begin, Failed, Fork, Loaded, Makeup, Order, Ready, Report, Started
from outgrow.model import Settings
from outgrow.placement import crew, nurseries, roster
from outgrow.placement.fleet import Fleet
from outgrow.placement.plan import Plan
from outgrow.placement.sockets import Listeners
from outgrow.wire import Channel, ChannelClosedError, channel_pair
from tests.unit.host.clock import Clock

FIRST_PID = 1 << 23  # above all that the kernel gives, so that no signal hits anybody
EXITED, KILLED = 1 << 8, 9


class Actor:
    """One process as the test plays it.

    Attributes:
        name: The worker's; empty for a nursery.
        orders: What it was told.
        descriptors: How many descriptors came with the orders.
    """

    def __init__(self, name: str, channel: Channel[Order], pid: int, troupe: Troupe) -> None:
        self.name = name
        self.channel = channel
        self.pid = pid
        self.troupe = troupe
        self.orders: list[Order] = []
        self.descriptors = 0
        self.is_gone = False

    def say(self, *reports: Report) -> None:
        for report in reports:
            self.channel.send(report)

    def listen(self) -> list[Order]:
        """Take the orders that have come; returns all so far."""
        try:
            while arrived := self.channel.receive():
                for order, descriptors in arrived:
                    self._take(order, descriptors)
        except ChannelClosedError:
            pass
        return self.orders

    def _take(self, order: Order, descriptors: list[int]) -> None:
        self.orders.append(order)
        self.descriptors += len(descriptors)
        if isinstance(order, Fork):
            sock = Channel[Order](_socket_of(descriptors.pop(0)), Order)
            forked = self.troupe.joined(order.name, sock)
            forked.say(Started(forked.pid))
        for descriptor in descriptors:
            os.close(descriptor)

    def told(self, kind: type[Any]) -> list[Any]:
        """The orders of one kind."""
        return [order for order in self.listen() if isinstance(order, kind)]

    def is_ready(self) -> None:
        """Start up as a good worker does."""
        self.say(Started(self.pid), Ready("asgi3", ""), self.beat())

    def beat(self, busy_percent: float = 10.0, age_seconds: float = 0.0) -> Beat:
        return Beat(age_seconds, 0, 0, 0, busy_percent=busy_percent, memory_bytes=1)

    def dies(self, status: int = KILLED) -> None:
        """End, and be reaped."""
        self.is_gone = True
        self.channel.close()
        self.troupe.fleet.reaped(self.pid, status)


def _socket_of(descriptor: int) -> socket.socket:
    sock = socket.socket(fileno=descriptor)
    sock.setblocking(False)
    return sock


class Troupe:
    """A fleet, and all who play its processes."""

    fleet: Fleet

    def __init__(self, settings: Settings, clock: Clock, services: Sequence[str]) -> None:
        self.settings = settings
        self.services = services
        self.clock = clock
        self.actors: list[Actor] = []
        self.said: list[str] = []
        self.makeup: Makeup | None = None
        self.shared_queues: dict[str, list[str]] = {}
        self.listeners = Listeners(settings)

    def started(self, begin: Begin, stdout: int | None, stderr: int | None) -> Any:
        """In the place of `start_process`."""
        ours, theirs = channel_pair()
        theirs.setblocking(False)
        actor = self.joined(begin.name, Channel[Order](theirs, Order))
        return crew.open_channel(ours), actor.pid

    def joined(self, name: str, channel: Channel[Order]) -> Actor:
        self.actors.append(Actor(name, channel, FIRST_PID + len(self.actors), self))
        return self.actors[-1]

    @property
    def nursery(self) -> Actor:
        """The latest nursery."""
        return [actor for actor in self.actors if not actor.name][-1]

    def workers(self, name: str = "") -> list[Actor]:
        """The workers that were started and live, in order."""
        for actor in list(self.actors):
            actor.listen()
        return [a for a in self.actors if a.name.startswith(name) and a.name and not a.is_gone]

    async def settle(self, seconds: float = 0.0, beats: bool = True) -> None:
        """Put the clock forward, let reports arrive, and have the fleet settle."""
        self.clock.ahead_seconds += seconds
        if beats:
            for actor in self.workers():
                worker = next((w for w in self.fleet.workers.values() if w.pid == actor.pid), None)
                if worker is not None and worker.ready_at:
                    actor.say(actor.beat(worker.busy_percent))
        await self._hear()
        self.fleet.settle()
        for actor in list(self.actors):
            actor.listen()
        await self._hear()

    async def _hear(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def load(self, *culprits: str) -> None:
        """Load a version, and have its nursery report."""
        self.fleet.load(self.settings)
        await self.imported(*culprits)

    async def imported(self, *culprits: str) -> None:
        loaded = Loaded("asgi3", "", list(culprits), 0.1, [*self.services], self.makeup)
        loaded.shared_queues = self.shared_queues
        self.nursery.say(loaded)
        await self.settle()

    async def serve(self) -> None:
        """Load, and have all workers become ready."""
        await self.load()
        await self.all_ready()

    async def all_ready(self) -> None:
        for actor in self.workers():
            if not any(w.pid == actor.pid and w.ready_at for w in self.fleet.workers.values()):
                actor.is_ready()
        await self.settle()

    def names(self) -> list[str]:
        """Names of the workers that are ready and stay."""
        return sorted(worker.name for worker in self.fleet.ready)

    def fails(self, actor: Actor, text: str) -> None:
        """A process that cannot start says why, and ends."""
        actor.say(Failed("OG107", text, ""))
        actor.dies(EXITED)


Play = Callable[[Troupe], Awaitable[None]]


def play(
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    piece: Play,
    plan: Plan | None = None,
    services: Sequence[str] = (),
) -> Troupe:
    """Have a piece played by a troupe on a clock of its own."""
    clock = Clock()

    async def run() -> Troupe:
        troupe = Troupe(settings, clock, services)
        monkeypatch.setattr(nurseries, "start_process", troupe.started)
        monkeypatch.setattr(roster, "start_process", troupe.started)
        troupe.fleet = Fleet(
            settings,
            troupe.listeners,
            None,
            troupe.said.append,
            has_colors=False,
            plan=plan,
            calls_folder="calls",
        )
        try:
            await piece(troupe)
        finally:
            _strike(troupe)
        return troupe

    with asyncio.Runner(loop_factory=lambda: clock) as runner:
        return runner.run(run())


def _strike(troupe: Troupe) -> None:
    troupe.listeners.close()
    for worker in troupe.fleet.workers.values():
        troupe.clock.remove_reader(worker.channel.fileno())
        worker.channel.close()
    for load in troupe.fleet.loads:
        if load.nursery is not None:
            troupe.clock.remove_reader(load.nursery.fileno())
            load.nursery.close()
    for actor in troupe.actors:
        actor.channel.close()
