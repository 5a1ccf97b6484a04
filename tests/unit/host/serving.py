"""An edge in this process, and clients that speak to it byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from outgrow.host.app import LoadedApp
from outgrow.host.edge import Edge
from outgrow.model import Interface, Settings
from outgrow.telemetry import RouteTotals
from tests.unit.host.clock import Clock

WAIT_SECONDS = 5.0


class App:
    """An app with a path for each thing that a client can meet.

    Attributes:
        gate: `/wait` and `/stream` go on once it is open.
        seen: What happened, in words.
    """

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.seen: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            return await self.echo(receive, send)
        if scope["type"] != "http":
            return None
        self.seen.append(f"begun {scope['path']}")
        try:
            await getattr(self, scope["path"].strip("/") or "hello")(receive, send)
        except asyncio.CancelledError:
            self.seen.append(f"cancelled {scope['path']}")
            raise
        self.seen.append(f"ended {scope['path']}")
        return None

    async def hello(self, _receive: Any, send: Any) -> None:
        await answer(send, 200, b"hello")

    async def broken(self, _receive: Any, _send: Any) -> None:
        raise ValueError("broken")

    async def wait(self, _receive: Any, send: Any) -> None:
        await self.gate.wait()
        await answer(send, 200, b"waited")

    async def stream(self, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        await self.gate.wait()
        await send({"type": "http.response.body", "body": b"two"})

    async def body(self, receive: Any, send: Any) -> None:
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.seen.append("disconnected")
                return
            size += len(message.get("body", b""))
            if not message.get("more_body"):
                return await answer(send, 200, b"%d" % size)

    async def endless(self, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(10_000):
            await send({"type": "http.response.body", "body": b"x" * 65_536, "more_body": True})

    async def echo(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        self.seen.append(f"closed with {message['code']}")


async def answer(send: Any, status: int, body: bytes) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, content: bytes) -> None:
        self.writer.write(content)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def ask(self, path: str = "/", *headers: str, method: str = "GET") -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: x", *headers, "", ""]
        await self.send("\r\n".join(lines).encode())

    async def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the next response."""
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), WAIT_SECONDS)
        first, *lines = head.decode().split("\r\n")[:-2]
        pairs = [line.partition(": ") for line in lines]
        return int(first.split()[1]), {name.lower(): value for name, _, value in pairs}

    async def response(self) -> tuple[int, dict[str, str], bytes]:
        """The next response, which says its length."""
        status, headers = await self.head()
        length = int(headers.get("content-length", "0"))
        return status, headers, await self.reader.readexactly(length)

    def reset(self) -> None:
        """Break the connection off, as a client that was killed does."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        with contextlib.suppress(ConnectionError):
            return await asyncio.wait_for(self.reader.read(), WAIT_SECONDS)
        return b""


class Served:
    """An edge at work in this process."""

    def __init__(self, edge: Edge, app: App, clock: Clock) -> None:
        self.edge = edge
        self.app = app
        self.clock = clock
        self.ports: list[int] = []
        self.clients: list[Client] = []

    async def open_port(self) -> int:
        """Have the edge listen on one more socket; returns its number."""
        sock = socket.create_server(("127.0.0.1", 0))
        sock.setblocking(False)
        self.ports.append(sock.getsockname()[1])
        await self.edge.listen(len(self.ports) - 1, sock)
        return len(self.ports) - 1

    async def client(self, number: int = 0) -> Client:
        """A client, once the edge has its connection."""
        before = self.edge.connection_count
        client = Client(*await asyncio.open_connection("127.0.0.1", self.ports[number]))
        self.clients.append(client)
        await self.until(lambda: self.edge.connection_count > before)
        return client

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the loop turn until something is so."""
        for _ in range(20_000):
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError(f"never came: {self.app.seen}")

    async def pass_time(self, seconds: float) -> None:
        """Put the clock forward, a second at a time, with a sweep after each."""
        for _ in range(int(seconds)):
            self.clock.ahead_seconds += 1.0
            for _ in range(3):
                await asyncio.sleep(0)
            await self.edge._tick(0)

    @property
    def totals(self) -> dict[str, RouteTotals]:
        """What was counted, by `GET /path`."""
        return {f"{one.method} {one.route}": one for one in self.edge.state.counter.routes.values()}

    def calls(self) -> dict[str, tuple[int, int, int]]:
        """Calls, errors and cut-off calls by route."""
        return {name: (t.calls, t.errors, t.cut_off) for name, t in self.totals.items()}


def serve(
    test: Callable[[Served], Awaitable[None]],
    app: Any = None,
    interface: Interface = "asgi3",
    **settings: Any,
) -> Served:
    """Run a test against an edge that serves an app on one port."""
    clock = Clock()

    async def run() -> Served:
        own = App()
        chosen = Settings(**({"access_log": False, "log_level": "critical"} | settings))
        edge = Edge(LoadedApp(app or own, interface, ""), chosen)
        served = Served(edge, own, clock)
        await edge.start()
        await served.open_port()
        try:
            await test(served)
        finally:
            own.gate.set()
            for client in served.clients:
                client.writer.close()
            await edge.drain(closes_idle=True, seconds=0)
            await edge.stop()
            for client in served.clients:
                with contextlib.suppress(OSError):
                    await client.writer.wait_closed()
        return served

    with asyncio.Runner(loop_factory=lambda: clock) as runner:
        return runner.run(run())
