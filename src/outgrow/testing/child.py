"""A process that imports an app and forks its services, for the placement `split` of tests.

Each service gets a process of its own. The test orders over a channel to each; when its end closes,
the process ends.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import random
import signal
import socket
import sys
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec

from outgrow.host import Clock, Exchange, Host, kept_source
from outgrow.model import App, Graph, graph_of
from outgrow.testing.clock import ManualClock
from outgrow.wire import Channel, ChannelClosedError, Fault, fault_of

if TYPE_CHECKING:
    from collections.abc import Callable


class Load(msgspec.Struct, tag="load"):
    """First order: what to import.

    Attributes:
        paths: Where modules are found.
        folder: The working folder.
        files: Where each module of these is, for those that are found nowhere else.
        services: `MODULE:NAME` each.
        providers: Likewise.
        environment: Where fields find their values; the process's own where None.
        now: What the clock shows, where the test passes one in.
        meetings: Where each service listens, by its name.
        keeper: Where durable work is asked for.
    """

    paths: list[str]
    folder: str
    files: dict[str, str]
    services: list[str]
    providers: list[str]
    environment: dict[str, str] | None
    now: datetime | None
    meetings: dict[str, str]
    keeper: str


class Begin(msgspec.Struct, tag="begin"):
    """Fork a process for a service; its channel comes along."""

    service: str


class Advance(msgspec.Struct, tag="advance"):
    """To a service: set its clock forward."""

    seconds: float


class Count(msgspec.Struct, tag="count"):
    """To a service: say how many tasks sleep by its clock."""


class Stop(msgspec.Struct, tag="stop"):
    """To a service: stop."""


Order = Load | Begin | Advance | Count | Stop


class Done(msgspec.Struct, tag="done"):
    """What was ordered is done.

    Attributes:
        count: What was counted.
    """

    count: int = 0


class Failed(msgspec.Struct, tag="failed"):
    """What was ordered failed."""

    fault: Fault


Report = Done | Failed


def thing_of(name: str) -> Any:
    """What stands at the top of a module, by `MODULE:NAME`."""
    module, _, path = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def _import_file(module: str, file: str) -> None:
    """Import a module that is on no path, as a test runner does it."""
    folder = Path(file).parent
    names = module.split(".")
    for count in range(len(names) - 1, 0, -1):
        package = ModuleType(".".join(names[:count]))
        package.__path__ = [str(folder)]
        sys.modules.setdefault(package.__name__, package)
        folder = folder.parent
    spec = importlib.util.spec_from_file_location(module, file)
    assert spec is not None
    assert spec.loader is not None
    made = sys.modules[module] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)


class Play:
    """One service in its process."""

    def __init__(self, load: Load, graph: Graph, name: str, channel: Channel[Order]) -> None:
        self._load = load
        self._graph = graph
        self._name = name
        self._channel = channel
        self._clock = ManualClock(load.now) if load.now is not None else None
        self._stopped = asyncio.Event()

    async def run(self) -> None:
        """Serve until told to stop."""
        loop = asyncio.get_running_loop()
        exchange = Exchange(self._name, 1, self._graph, random.Random(1))
        model = self._graph.services[self._name]
        remote = exchange.remote_clients([self._name])
        app = App(services=[model.cls], providers=self._providers())
        source = kept_source(self._load.keeper, self._name, moves_at_once=True)
        host = Host(app, environment=self._load.environment, running=remote, source=source)
        exchange.take({name: [each] for name, each in self._load.meetings.items()})
        try:
            await host.start()
            await exchange.listen(self._load.meetings[self._name], host.answerers())
        except Exception as problem:
            self._channel.send(Failed(fault_of(problem)))
            return
        self._channel.send(Done())
        loop.add_reader(self._channel.fileno(), self._obey)
        await self._stopped.wait()
        loop.remove_reader(self._channel.fileno())
        try:
            await exchange.leave(0.0)
            await host.stop()
        except Exception as problem:
            self._channel.send(Failed(fault_of(problem)))
        else:
            self._channel.send(Done())
        await source.close()
        await exchange.close()

    def _providers(self) -> list[Callable[..., Any]]:
        clock = self._clock

        def given() -> Clock:
            assert clock is not None
            return clock

        named = [thing_of(each) for each in self._load.providers]
        return [given, *named] if clock is not None else named

    def _obey(self) -> None:
        try:
            orders = [order for order, _ in self._channel.receive()]
        except ChannelClosedError:
            os._exit(1)  # the test is gone
        for order in orders:
            if isinstance(order, Advance) and self._clock is not None:
                self._clock.advance(order.seconds)
                self._channel.send(Done())
            elif isinstance(order, Count):
                self._channel.send(Done(self._clock.sleepers_count if self._clock else 0))
            elif isinstance(order, Stop):
                self._stopped.set()


def main(descriptor: int) -> int:
    """Import, then fork a process for each service that is ordered; returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # at the test's Ctrl+C the channels close
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children need no burial
    channel = _channel(descriptor)
    graph: Graph | None = None
    load: Load | None = None
    while True:
        try:
            arrived = channel.receive()
        except ChannelClosedError:
            return 0
        for order, descriptors in arrived:
            if isinstance(order, Load):
                load = order
                graph = _imported(order, channel)
            elif isinstance(order, Begin) and graph is not None and load is not None:
                if os.fork() == 0:
                    channel.sock.close()
                    asyncio.run(Play(load, graph, order.service, _channel(descriptors[0])).run())
                    return 0
                os.close(descriptors[0])


def _imported(load: Load, channel: Channel[Order]) -> Graph | None:
    os.chdir(load.folder)
    sys.path[:0] = [each for each in load.paths if each not in sys.path]
    try:
        for module, file in load.files.items():
            try:
                importlib.import_module(module)
            except ModuleNotFoundError:
                _import_file(module, file)
        services = [thing_of(each) for each in load.services]
        for each in load.providers:
            thing_of(each)
        graph = graph_of(services)
    except Exception as problem:
        channel.send(Failed(fault_of(problem)))
        return None
    channel.send(Done())
    return graph


def _channel(descriptor: int) -> Channel[Order]:
    os.set_inheritable(descriptor, False)
    sock = socket.socket(fileno=descriptor)
    sock.setblocking(True)
    return Channel(sock, Order)
