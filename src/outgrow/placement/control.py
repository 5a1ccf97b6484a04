"""The control socket: a small JSON API over HTTP, on a Unix socket that only its owner can open.

| request | answer |
|---|---|
| GET /status | what runs and how it fares |
| POST /apply | carries a change out; a line of JSON for each step |
| GET /logs?lines=100&follow=1&worker=web/1 | the log; a line of JSON for each |
| GET /-/live, GET /-/ready | 200 or 503, for probes |
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit

import h11

from outgrow.errors import AddressError, OutgrowError
from outgrow.placement.changes import wish_of
from outgrow.placement.folder import short_path
from outgrow.placement.logbook import is_by, last_lines
from outgrow.placement.peer import peer_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from outgrow.placement.peer import Peer
    from outgrow.placement.supervisor import Supervisor

BODY_BYTES_MAX = 64 * 1024
REQUEST_SECONDS = 10.0
CONNECTIONS_MAX = 64
FOLLOWED_BYTES_MAX = 1024 * 1024
LINES_MAX = 100_000


class ControlServer:
    """Answers on the control socket, and to probes on a port where one is set."""

    def __init__(self, supervisor: Supervisor, path: Path) -> None:
        self._supervisor = supervisor
        self._path = path
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.Task[None]] = set()
        self._probes: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int | None) -> None:
        """Listen.

        Raises:
            AddressError: The port for probes cannot be listened on.
        """
        before = os.umask(0o177)
        try:
            with short_path(self._path) as short:
                self._servers.append(await asyncio.start_unix_server(self._serve_all, short))
        finally:
            os.umask(before)
        if port is not None:
            try:
                self._servers.append(await asyncio.start_server(self._serve_probes, host, port))
            except OSError as problem:
                raise AddressError(f"control port {port}: {problem.strerror}") from None

    async def stop(self) -> None:
        """Answer no more."""
        for server in self._servers:
            server.close()
        tasks = [*self._open, *self._probes]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._serve(reader, writer, has_control=True)

    async def _serve_probes(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await self._serve(reader, writer, has_control=False)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, has_control: bool
    ) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        own = self._open if has_control else self._probes
        own.add(task)
        try:
            if len(own) <= CONNECTIONS_MAX:
                await self._exchange(_Exchange(reader, writer), has_control=has_control)
        except (OSError, h11.ProtocolError, TimeoutError, ValueError, asyncio.CancelledError):
            pass
        finally:
            own.discard(task)
            writer.close()

    async def _exchange(self, exchange: _Exchange, *, has_control: bool) -> None:
        async with asyncio.timeout(REQUEST_SECONDS):
            method, target, body = await exchange.request()
        leaving = asyncio.ensure_future(_left(exchange.reader, cast("Any", asyncio.current_task())))
        try:
            await self._answer(exchange, method, target, body, has_control=has_control)
        finally:
            leaving.cancel()

    async def _answer(
        self, exchange: _Exchange, method: str, target: str, body: bytes, *, has_control: bool
    ) -> None:
        url = urlsplit(target)
        if method == "GET" and url.path == "/-/live":
            await exchange.answer(200, {"live": True})
        elif method == "GET" and url.path == "/-/ready":
            is_ready = self._supervisor.is_ready
            await exchange.answer(200 if is_ready else 503, {"ready": is_ready})
        elif has_control and (method, url.path) == ("GET", "/status"):
            await exchange.answer(200, self._supervisor.status())
        elif has_control and (method, url.path) == ("GET", "/logs"):
            await exchange.stream(self._logs(parse_qs(url.query)))
        elif has_control and (method, url.path) == ("POST", "/apply"):
            await exchange.stream(self._apply(body, exchange.peer()))
        else:
            await exchange.answer(404, {"error": f"no such thing: {method} {url.path}"})

    async def _apply(self, body: bytes, peer: Peer) -> AsyncIterator[dict[str, Any]]:
        try:
            async for line in self._supervisor.change(wish_of(body), peer):
                yield {"step": line}
            yield {"done": True}
        except OutgrowError as problem:
            yield {"error": {"code": problem.code, "text": problem.text, "hint": problem.hint}}

    async def _logs(self, query: dict[str, list[str]]) -> AsyncIterator[dict[str, Any]]:
        count = query.get("lines", ["100"])[0]
        worker = query.get("worker", [None])[0]
        book = self._supervisor.book
        fresh: asyncio.Queue[bytes] = asyncio.Queue()
        waiting_bytes = 0

        def take(lines: bytes) -> None:
            nonlocal waiting_bytes
            if waiting_bytes < FOLLOWED_BYTES_MAX:  # a reader that sleeps misses lines
                waiting_bytes += len(lines)
                fresh.put_nowait(lines)

        lines = min(int(count), LINES_MAX) if count.isdecimal() else 100
        found = await asyncio.to_thread(last_lines, book.path, lines, worker)
        if query.get("follow") == ["1"]:
            book.readers.append(take)
        try:
            for line in found:
                yield log_entry(line)
            while query.get("follow") == ["1"]:
                piece = await fresh.get()
                waiting_bytes -= len(piece)
                for line in piece.splitlines():
                    if is_by(line, worker):
                        yield log_entry(line)
        finally:
            if take in book.readers:
                book.readers.remove(take)


def log_entry(line: bytes) -> dict[str, Any]:
    """A line of the log as values."""
    at, worker, stream, text = (
        *line.decode("utf-8", "replace").rstrip("\n").split(" ", 3),
        "",
        "",
        "",
    )[:4]
    return {"at": at, "worker": worker, "stream": stream, "text": text}


async def _left(reader: asyncio.StreamReader, serving: asyncio.Task[None]) -> None:
    """End a task once its client is gone, of which nothing else tells while there is no news."""
    while await reader.read(65_536):
        pass
    serving.cancel()


class _Exchange:
    """One request and its answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER)

    def peer(self) -> Peer:
        """Who asks, on the Unix socket."""
        return peer_of(self._writer.get_extra_info("socket"))

    async def request(self) -> tuple[str, str, bytes]:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self.reader.read(65_536))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > BODY_BYTES_MAX:
                    raise h11.RemoteProtocolError("the request is too large")
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return head.method.decode(), head.target.decode(), bytes(body)
            else:
                raise h11.RemoteProtocolError("the client left")

    async def answer(self, status: int, content: dict[str, Any]) -> None:
        await self._begin(status)
        await self._send(content)
        await self._end()

    async def stream(self, lines: AsyncIterator[dict[str, Any]]) -> None:
        await self._begin(200)
        try:
            async for line in lines:
                await self._send(line)
        finally:
            await lines.aclose()  # type: ignore[attr-defined]
        await self._end()

    async def _begin(self, status: int) -> None:
        headers = [("content-type", "application/json"), ("connection", "close")]
        await self._write(h11.Response(status_code=status, headers=headers))

    async def _send(self, content: dict[str, Any]) -> None:
        await self._write(h11.Data(data=json.dumps(content).encode() + b"\n"))

    async def _end(self) -> None:
        await self._write(h11.EndOfMessage())

    async def _write(self, event: Any) -> None:
        chunk = cast("bytes | None", self._http.send(event))
        if chunk:
            self._writer.write(chunk)
            await self._writer.drain()
