"""One worker: an event loop that serves the app until it is told to leave."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import importlib
import os
import random
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

from outgrow.errors import HookFailedError, OutgrowError
from outgrow.host.durable.newcomer import Newcomer
from outgrow.host.durable.source import has_left_work, keep_at
from outgrow.host.edge import TICK_SECONDS, Edge
from outgrow.host.exchange import Exchange
from outgrow.host.heartbeat import Heartbeat
from outgrow.host.house import app_graph, drain_work, links, start_part, work_in_hand
from outgrow.host.observed import Observed
from outgrow.host.orders import Directory, Drain, Failed, Listen, Ready, Release, Started, Worn
from outgrow.model import all_events, catalog_of, describe_work, may_publish

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from outgrow.host.app import LoadedApp
    from outgrow.host.orders import Begin, Order
    from outgrow.telemetry import LinkTotals
    from outgrow.wire import Channel

EXIT_FAILED = 3
EDGE_NAME = "web"
_ORPHAN_DRAIN_SECONDS = 1.0
_STDERR = 2  # the app may have put something else in the place of `sys.stderr`


class Worker:
    """Serves an app that is loaded, on sockets that the supervisor hands over.

    Args:
        begin: Name and settings.
        channel: To the supervisor.
        loaded: The app.
        early: Orders that came already, each with its descriptors.
    """

    def __init__(
        self,
        begin: Begin,
        channel: Channel[Order],
        loaded: LoadedApp,
        early: Sequence[tuple[Order, list[int]]] = (),
    ) -> None:
        self._begin = begin
        self._settings = begin.settings
        self._channel = channel
        self._loaded = loaded
        self._early = early
        self._leaving: asyncio.Future[Drain] | None = None
        self._edge: Edge | None = None
        self._exchange: Exchange | None = None
        self._observed: Observed | None = None
        self._requests_max = _worn_after(begin)
        self._is_orphan = False
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self) -> int:
        """Serve until told to leave; returns the exit code of the process."""
        os.environ["OUTGROW_WORKER"] = self._begin.name
        keep_at(self._begin.durable, self._settings, self._newcomer())
        _prepare_process()
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(self._live())

    def _newcomer(self) -> Newcomer | None:
        """The version that starts here, for those who keep what waits of older ones."""
        graph = app_graph()
        if not (may_publish(graph) or has_left_work(self._settings, os.environ)):
            return None
        works = [describe_work(one.cls) for one in graph.services.values()]
        app = self._settings.name or self._settings.app or ""
        return Newcomer(app, catalog_of(works, all_events()), self._begin.is_proven)

    async def _live(self) -> int:
        loop = asyncio.get_running_loop()
        self._leaving = loop.create_future()
        self._heart = Heartbeat(self._channel, loop, self._obey, self._orphaned)
        self._heart.send(Started(os.getpid()))
        for order, descriptors in self._early:
            loop.call_soon(self._obey, order, descriptors)
        self._heart.start()
        loop.add_signal_handler(signal.SIGTERM, self._heart.send, Worn())
        try:
            return await self._serve(loop)
        except OutgrowError as problem:
            self._heart.send(Failed(problem.code, problem.text, problem.hint))
            return EXIT_FAILED

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> int:
        run_hook(self._settings.after_fork, self._begin.name)
        self._edge = edge = self._made_edge()
        self._heart.edge, self._heart.links = edge, self._links
        self._heart.work_in_hand = work_in_hand
        assert self._leaving is not None
        self._observe(edge, loop)
        ticking = loop.create_task(self._tick(edge))
        starting = loop.create_task(edge.start())
        await asyncio.wait({starting, self._leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return await self._give_up(starting, ticking)
        await starting
        if self._observed is not None:
            self._observed.app_started()
        self._heart.is_starting = False
        self._heart.send(Ready(self._loaded.interface, self._loaded.framework))
        drain = await self._leaving
        await self._drain(edge, drain)
        await edge.stop()
        if self._exchange is not None:
            await self._exchange.close()
        self._heart.send_last()
        if self._observed is not None:
            self._observed.stop()
        run_hook(self._settings.before_exit, self._begin.name)
        await _cancelled(ticking)
        return 0

    def _observe(self, edge: Edge, loop: asyncio.AbstractEventLoop) -> None:
        """Record from now on, where somebody wants it."""
        watch = self._begin.observer
        if watch is not None:
            observed = Observed(watch, self._begin, edge, self._heart, self._links)
            self._observed, self._heart.last_words = observed, observed.stop
            observed.start(loop)

    def _made_edge(self) -> Edge:
        part = self._begin.part
        if part is None:
            return Edge(self._loaded, self._settings)
        graph = app_graph()
        exchange = self._exchange = Exchange(
            self._begin.name, self._begin.version, graph, random.Random()
        )
        self._heart.calls_in_flight = lambda: exchange.in_flight

        async def start() -> None:
            own = [model.cls for name, model in graph.services.items() if name in part.runs]
            answerers = await start_part(own, exchange.remote_clients(part.runs))
            await exchange.listen(part.meeting, answerers)

        return Edge(self._loaded, self._settings, start=start, has_app=EDGE_NAME in part.runs)

    def _links(self) -> list[LinkTotals]:
        """What is counted here: calls where they are answered, hedges where they are made."""
        return links() if self._exchange is None else [*links(), *self._exchange.links()]

    async def _drain(self, edge: Edge, drain: Drain) -> None:
        loop = asyncio.get_running_loop()
        give_up = loop.time() + drain.seconds
        # Another takes what this worker would have taken next.
        giving_back = loop.create_task(drain_work(drain.seconds))
        await edge.drain(closes_idle=drain.closes_idle, seconds=drain.seconds)
        await giving_back
        if self._exchange is not None:
            part = self._begin.part
            if self._is_orphan and part is not None and EDGE_NAME not in part.runs:
                # Nobody replaces it: what others have begun may need it to the end.
                await self._exchange.emptied(max(give_up - loop.time(), 0.0))
            # Only now: what the edge's last requests call may need the services that run here.
            await self._exchange.leave(max(give_up - loop.time(), 0.0))

    async def _give_up(self, *tasks: asyncio.Task[Any]) -> int:
        for task in tasks:
            await _cancelled(task)
        return 0

    async def _tick(self, edge: Edge) -> None:
        ticking = asyncio.ensure_future(edge.tick())
        try:
            while not ticking.done():
                await asyncio.sleep(TICK_SECONDS)
                if self._requests_max and edge.requests_total >= self._requests_max:
                    self._requests_max = 0
                    self._heart.send(Worn())
        finally:
            ticking.cancel()

    def _obey(self, order: Order, descriptors: list[int]) -> None:
        edge = self._edge
        if isinstance(order, Drain):
            self._leave(order)
        elif isinstance(order, Directory) and self._exchange is not None:
            self._exchange.take(order.meetings)
        elif isinstance(order, Listen) and edge is not None:
            if len(descriptors) < len(order.sockets):
                self._heart.send(Worn())  # it has no room for them: another worker must take them
            for number, descriptor in zip(order.sockets, descriptors, strict=False):
                self._keep(edge.listen(number, socket.socket(fileno=descriptor)))
        elif isinstance(order, Release) and edge is not None:
            for number in order.sockets:
                edge.release(number)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _leave(self, drain: Drain) -> None:
        assert self._leaving is not None
        if not self._leaving.done():
            self._leaving.set_result(drain)
        elif self._edge is not None:
            # Told twice: the second order is the stricter one.
            self._keep(self._drain(self._edge, drain))

    def _orphaned(self) -> None:
        try:
            os.write(2, b"outgrow: the supervisor is gone, so this worker stops\n")
        except OSError:
            _print_nowhere()  # it was the supervisor that read it
        self._is_orphan = True
        self._leave(Drain(closes_idle=True, seconds=_ORPHAN_DRAIN_SECONDS))


def _print_nowhere() -> None:
    """Have what is printed fail nobody, as what runs at the end of an app may print."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def run_hook(hook: str | None, worker: str) -> None:
    """Call a hook, `module:function`, with the worker's name.

    Raises:
        HookFailedError: It cannot be found, or raised.
    """
    if not hook:
        return
    module, _, name = hook.partition(":")
    try:
        getattr(importlib.import_module(module), name)(worker)
    except Exception as problem:
        text = f"the hook `{hook}` raised {type(problem).__name__}: {problem}"
        raise HookFailedError(text) from problem


async def _cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, Exception):
        await task


def _worn_after(begin: Begin) -> int:
    settings = begin.settings
    if not settings.requests_max:
        return 0
    return settings.requests_max + random.randint(0, settings.requests_jitter)


def _prepare_process() -> None:
    faulthandler.enable(file=_STDERR, all_threads=True)
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(line_buffering=True)


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
