"""The process that imports the app once and forks workers from it.

Forking takes some 20 ms where importing takes seconds, and workers share what the import made. The
nursery forks twice, so that a worker's parent is the supervisor and outlives the nursery.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import socket
import sys
import time
from typing import TYPE_CHECKING

import msgspec

from outgrow.host.app import LoadedApp, load_app
from outgrow.host.durable.source import has_left_work
from outgrow.host.failing import watch_failures
from outgrow.host.forkable import ForkWatch
from outgrow.host.house import app_graph
from outgrow.host.makeup import makeup_of
from outgrow.host.orders import Begin, Fork, Loaded, Order
from outgrow.host.worker import Worker, run_hook
from outgrow.model import all_events, may_publish, shared_queues
from outgrow.telemetry import watch_frameworks, watch_outside
from outgrow.wire import Channel, ChannelClosedError, current, edge_name

if TYPE_CHECKING:
    from collections.abc import Iterator

_STDOUT, _STDERR = 1, 2
_DUMP_SHARE, _DUMP_SECONDS_MIN = 0.9, 0.2


def import_app(begin: Begin) -> tuple[LoadedApp, list[str]]:
    """The app, and what forbids to fork this process now that it is imported.

    Raises:
        AppError: It cannot be found, imported or understood.
    """
    # A hung import is ended by the supervisor; shortly before, it says where it hangs.
    seconds = begin.settings.startup_seconds * _DUMP_SHARE
    faulthandler.dump_traceback_later(max(seconds, _DUMP_SECONDS_MIN), file=_STDERR)
    try:
        with ForkWatch() as watch:
            loaded = load_app(begin.settings)
    finally:
        faulthandler.cancel_dump_traceback_later()
    watch_frameworks()
    watch_failures()
    watch_outside(calling_name)
    culprits = watch.culprits() if begin.settings.fork == "auto" else ["the setting fork=never"]
    return loaded, culprits


def calling_name() -> str:
    """The operation that runs here, or the route; `web` for one not known, `edge` for neither."""
    frame = current.get()
    return frame.operation if frame is not None else edge_name()


class Nursery:
    """Imports the app and forks workers on order, until its channel closes."""

    def __init__(self, begin: Begin, channel: Channel[Order]) -> None:
        self._begin = begin
        self._channel = channel

    def run(self) -> Worker | None:
        """Serve orders. Returns in each forked child with its worker, in the nursery with None.

        Raises:
            AppError: The app cannot be loaded.
        """
        begun, began_ns = time.monotonic(), time.time_ns()
        loaded, culprits = import_app(self._begin)
        # What the import made stays: keep the collector off it, or each worker copies the pages.
        gc.collect()
        gc.freeze()
        seconds = time.monotonic() - begun
        _flush()
        graph = app_graph()
        all_events()  # says where two have one name
        self._channel.send(
            Loaded(
                loaded.interface,
                loaded.framework,
                culprits,
                seconds,
                sorted(graph.services),
                makeup_of(graph, began_ns),
                may_publish(graph) or has_left_work(self._begin.settings, os.environ),
                shared_queues(graph),
            )
        )
        for order, descriptors in self._orders():
            if isinstance(order, Fork):
                run_hook(self._begin.settings.before_fork, order.name)
                _flush()
                if _forked_twice():
                    return self._worker(order, descriptors, loaded)
            for descriptor in descriptors:
                os.close(descriptor)
        return None

    def _orders(self) -> Iterator[tuple[Order, list[int]]]:
        while True:
            try:
                yield from self._channel.receive()
            except ChannelClosedError:
                return

    def _worker(self, order: Fork, descriptors: list[int], loaded: LoadedApp) -> Worker:
        self._channel.close()
        if not descriptors:
            os._exit(1)
        channel = open_channel(descriptors[0])
        for descriptor, stream in zip(descriptors[1:], (_STDOUT, _STDERR), strict=False):
            os.dup2(descriptor, stream)
            os.close(descriptor)
        begin = msgspec.structs.replace(
            self._begin, name=order.name, part=order.part, is_proven=order.is_proven
        )
        return Worker(begin, channel, loaded)


def open_channel(descriptor: int) -> Channel[Order]:
    """The channel to the supervisor, from its descriptor."""
    os.set_inheritable(descriptor, False)
    return Channel(socket.socket(fileno=descriptor), Order)


def _flush() -> None:
    """What waits in a buffer at a fork is printed by each child."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def _forked_twice() -> bool:
    """Fork a grandchild, which belongs to the supervisor; True in it."""
    child = os.fork()
    if child:
        with contextlib.suppress(ChildProcessError):  # the app may ignore SIGCHLD
            os.waitpid(child, 0)
        return False
    if os.fork():
        os._exit(0)
    return True
