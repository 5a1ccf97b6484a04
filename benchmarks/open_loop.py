"""An open loop of load: requests start when they are due, whether or not others were answered.

As users do, and unlike wrk: a closed loop slows down with the server and never overloads it. Each
request takes an idle connection or opens a new one, and its latency counts from when it was due, so
that neither a slow generator nor a full queue hides any of it. A client waits only so long; then it
closes its connection.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, NamedTuple

import uvloop

PATIENCE_SECONDS = 5.0
_CONNECTIONS_MAX = 15_000
_OPENED_AT_ONCE = 50
_LOOK_SECONDS = 0.05


class Stage(NamedTuple):
    """A rate that is kept for some time."""

    per_second: float
    seconds: float


class Answer(NamedTuple):
    """What became of one request.

    Attributes:
        due: When it was to start, on `time.monotonic`, which all processes share.
        seconds: From then to the whole answer, or until the client gave up.
        status: 0 where it got no answer.
        late_seconds: How late the generator sent it.
    """

    due: float
    seconds: float
    status: int
    late_seconds: float

    @property
    def ended(self) -> float:
        """When it was answered, or given up."""
        return self.due + self.seconds


def open_loop(
    port: int, path: str, stages: list[Stage], watch: Callable[[], None], *, connections: int = 0
) -> tuple[float, list[Answer]]:
    """Send the stages one after another; returns when the first began, and every answer.

    Args:
        port: On 127.0.0.1.
        path: Asked for with GET.
        stages: Of the load.
        connections: Opened before it begins; further ones are opened when none is idle.
        watch: Called some twenty times a second meanwhile.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_generate, args=(sender, port, path, stages, connections))
    process.start()
    sender.close()  # or its end would not be noticed here
    while not receiver.poll(_LOOK_SECONDS):
        watch()
    began, answers = receiver.recv()
    process.join()
    return began, [Answer(*one) for one in answers]


def _generate(sender: Any, port: int, path: str, stages: list[Stage], connections: int) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        began, answers = runner.run(_Generator(port, path).run(stages, connections))
    sender.send((began, [tuple(one) for one in answers]))


@dataclass
class _Generator:
    port: int
    path: str
    idle: list[_Wire] = field(default_factory=list["_Wire"])
    busy: list[tuple[float, int, _Wire]] = field(default_factory=list["tuple[float, int, _Wire]"])
    answers: list[Answer] = field(default_factory=list[Answer])
    opening: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    all_ended: asyncio.Event = field(default_factory=asyncio.Event)
    expected: int = 0
    wires: int = 0

    async def run(self, stages: list[Stage], connections: int) -> tuple[float, list[Answer]]:
        self.request = f"GET {self.path} HTTP/1.1\r\nHost: b\r\n\r\n".encode()
        for _ in range(0, connections, _OPENED_AT_ONCE):
            await asyncio.gather(*(self._open_ahead() for _ in range(_OPENED_AT_ONCE)))
        watching = asyncio.ensure_future(self._give_up_often())
        began = time.monotonic() + 0.5
        all_due = list(_due(began, stages))
        self.expected = len(all_due)
        for due in all_due:
            if (pause := due - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            self._send(due)
        await self.all_ended.wait()
        watching.cancel()
        return began, self.answers

    def ended(self, due: float, status: int, late_seconds: float) -> None:
        """Keep what became of a request."""
        self.answers.append(Answer(due, time.monotonic() - due, status, late_seconds))
        if len(self.answers) == self.expected:
            self.all_ended.set()

    def _send(self, due: float) -> None:
        late_seconds = time.monotonic() - due
        while self.idle:
            wire = self.idle.pop()
            if not wire.transport.is_closing():
                return wire.ask(due, late_seconds)
        if self.wires >= _CONNECTIONS_MAX:
            return self.ended(due, 0, late_seconds)
        self.wires += 1
        task = asyncio.ensure_future(self._open(due, late_seconds))
        self.opening.add(task)
        task.add_done_callback(self.opening.discard)
        return None

    async def _open_ahead(self) -> None:
        self.wires += 1
        wire = _Wire(self)
        await asyncio.get_running_loop().create_connection(lambda: wire, "127.0.0.1", self.port)
        self.idle.append(wire)

    async def _open(self, due: float, late_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        wire = _Wire(self)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await loop.create_connection(lambda: wire, "127.0.0.1", self.port)
        except OSError:
            self.wires -= 1
            self.ended(due, 0, late_seconds)
        else:
            wire.ask(due, late_seconds)

    async def _give_up_often(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            limit = time.monotonic() - PATIENCE_SECONDS
            while self.busy:
                due, _, wire = self.busy[0]
                if wire.waits_since(due):
                    if due > limit:
                        break
                    wire.give_up()
                heappop(self.busy)


class _Wire(asyncio.Protocol):
    """One connection, with one request at a time."""

    transport: asyncio.Transport
    due = 0.0
    late_seconds = 0.0
    is_waiting = False

    def __init__(self, generator: _Generator) -> None:
        self.generator = generator
        self.buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self, due: float, late_seconds: float) -> None:
        self.due, self.late_seconds, self.is_waiting = due, late_seconds, True
        heappush(self.generator.busy, (due, id(self), self))
        self.transport.write(self.generator.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return
        head = head.lower()
        if len(body) < int(head.split(b"content-length:")[1].split(b"\r\n")[0]):
            return
        self.buffer = b""
        self._answered(int(head[9:12]))
        if b"connection: close" in head:
            self.transport.close()
        else:
            self.generator.idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.generator.wires -= 1
        self._answered(0)

    def waits_since(self, due: float) -> bool:
        return self.is_waiting and self.due == due

    def give_up(self) -> None:
        self._answered(0)
        self.transport.abort()

    def _answered(self, status: int) -> None:
        if self.is_waiting:
            self.is_waiting = False
            self.generator.ended(self.due, status, self.late_seconds)


def _due(began: float, stages: list[Stage]) -> Iterator[float]:
    """When requests start: at random, as users do, and the same in every run."""
    chance = random.Random(1)
    for stage in stages:
        due, end = began, began + stage.seconds
        while (due := due + chance.expovariate(stage.per_second)) < end:
            yield due
        began = end
