"""A small HTTP/1.1 client on asyncio streams, for the traffic maker and the demo.

It asks once and never again: what fails is told, so that counts of errors are true. Connections
are kept, and given up before a server would close them.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

BODY_BYTES_MAX = 64 * 1024 * 1024
NOT_HTTP = (asyncio.IncompleteReadError, asyncio.LimitOverrunError, LookupError, ValueError)
KEEP_SECONDS = 2.0  # servers close idle connections after 5 s; never race with that


class BrokenAnswerError(ConnectionError):
    """The peer closed early, or what it sent is not HTTP/1.1."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where to ask: a host and port, or the path of a Unix socket."""

    host: str = "127.0.0.1"
    port: int = 80
    unix_path: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(kw_only=True)
class _Line:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idle_since: float = 0.0

    def usable(self, now: float) -> bool:
        fresh = now - self.idle_since < KEEP_SECONDS
        return fresh and not self.reader.at_eof() and not self.writer.is_closing()


@dataclass(kw_only=True)
class Exchange:
    """Asks one address, over as many connections as there are questions at a time."""

    address: Address
    answer_seconds: float = 10.0
    _idle: list[_Line] = field(default_factory=list[_Line])

    async def ask(self, method: str, path: str, body: bytes = b"") -> Answer:
        """The answer to one request.

        Raises:
            OSError: No connection, or it broke (`BrokenAnswerError`).
            TimeoutError: No whole answer within `answer_seconds`.
        """
        async with asyncio.timeout(self.answer_seconds), self._line() as line:
            line.writer.write(_request(self.address, method, path, body))
            return await _answer(line.reader, method)

    async def close(self) -> None:
        """Close the kept connections."""
        for line in self._idle:
            line.writer.close()
        self._idle.clear()

    @asynccontextmanager
    async def _line(self) -> AsyncGenerator[_Line]:
        line = self._kept() or await self._opened()
        try:
            yield line
        except BaseException:
            line.writer.close()
            raise
        line.idle_since = time.monotonic()
        self._idle.append(line)

    def _kept(self) -> _Line | None:
        while self._idle:
            line = self._idle.pop()
            if line.usable(time.monotonic()):
                return line
            line.writer.close()
        return None

    async def _opened(self) -> _Line:
        if self.address.unix_path:
            reader, writer = await asyncio.open_unix_connection(self.address.unix_path)
        else:
            reader, writer = await asyncio.open_connection(self.address.host, self.address.port)
        return _Line(reader=reader, writer=writer)


def _request(address: Address, method: str, path: str, body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {address.host}:{address.port}"]
    if body or method not in {"GET", "HEAD"}:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _answer(reader: asyncio.StreamReader, method: str) -> Answer:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        status = int(first.split(" ", 2)[1])
        pairs = [line.split(":", 1) for line in lines]
        headers = {name.strip().lower(): value.strip() for name, value in pairs}
        empty = method == "HEAD" or status in {204, 304}
        body = b"" if empty else await _body(reader, headers)
    except NOT_HTTP as error:
        raise BrokenAnswerError(f"broken answer: {error}") from error
    if headers.get("connection", "").lower() == "close":
        reader.feed_eof()  # so that nobody asks on this connection again
    return Answer(status=status, headers=headers, body=body)


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(_allowed(int(headers["content-length"])))
    pieces = bytearray()
    while size := int((await reader.readline()).split(b";")[0], 16):
        _allowed(len(pieces) + size)
        pieces += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return bytes(pieces)


def _allowed(size_bytes: int) -> int:
    if size_bytes > BODY_BYTES_MAX:
        raise BrokenAnswerError(f"body of more than {BODY_BYTES_MAX} bytes")
    return size_bytes
